//! What planning knows of cells, to a command.

use quartermaster_engine::{
    command::{CellCode, Command, FactRow, Request, StockCommand},
    event::Facts,
};
use quartermaster_proto::v1;

use super::{checks::Checks, fulfilment::digits};
use crate::grpc::{limits, status::ApiError};

/// A SetCellFacts.
pub(crate) fn set(message: v1::SetCellFactsRequest) -> Result<(Request, Command), ApiError> {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut rows = Vec::new();
    if checks.length("facts", message.facts.len(), 1, &limits::FACTS_MAX) {
        rows.extend(message.facts.into_iter().enumerate().map(|(place, facts)| row(&mut checks, place, facts)));
        each_once(&mut checks, &rows);
    }
    checks.finish((request, Command::Stock(StockCommand::SetFacts(rows))))
}

fn row(checks: &mut Checks, place: usize, facts: v1::CellFacts) -> FactRow {
    let cell = CellCode {
        sku: checks.code(format_args!("facts[{place}].sku"), facts.sku),
        location: checks.code(format_args!("facts[{place}].location"), facts.location),
    };
    let field = format_args!("facts[{place}].weekly_demand_milli").to_string();
    let weekly_demand_milli =
        facts.weekly_demand_milli.map(|demand| checks.range(field, demand, 0, &limits::WEEKLY_DEMAND_MILLI_MAX));
    let date = facts.oldest_receipt_date;
    let oldest_receipt_day = digits(&date).and_then(day_number);
    if oldest_receipt_day.is_none() && !date.is_empty() {
        let problem = format_args!("is {date:?}; a day from 1970-01-01 on is needed, as YYYY-MM-DD").to_string();
        checks.refuse(format_args!("facts[{place}].oldest_receipt_date"), problem);
    }
    FactRow { cell, facts: Facts { weekly_demand_milli, oldest_receipt_day } }
}

/// Days since 1970-01-01 of year × 10,000 + month × 100 + day; none when there is no such day, or it is before.
fn day_number(date: u32) -> Option<u32> {
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = lengths.get(..usize::try_from(month.checked_sub(1)?).ok()?)?;
    let length = lengths.get(before.len())?;
    let years = year.checked_sub(1970)?;
    // Leap days since the first, of 1972: every fourth year, not every hundredth, but every four-hundredth.
    let through = |year: u32| year / 4 - year / 100 + year / 400;
    let leap_days = through(year - 1) - through(1969);
    (1..=*length).contains(&day).then(|| years * 365 + leap_days + before.iter().sum::<u32>() + day - 1)
}

fn each_once(checks: &mut Checks, rows: &[FactRow]) {
    let mut sorted: Vec<(&CellCode, usize)> = rows.iter().map(|row| &row.cell).zip(0..).collect();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        if let [(cell, first), (same, again)] = pair
            && cell == same
        {
            let problem = format_args!("repeats {:?} at {:?} of facts[{first}]", cell.sku, cell.location).to_string();
            checks.refuse(format_args!("facts[{again}]"), problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sku: &str, demand: Option<i64>, date: &str) -> v1::CellFacts {
        let (sku, location, oldest_receipt_date) = (sku.into(), "L".into(), date.into());
        v1::CellFacts { sku, location, weekly_demand_milli: demand, oldest_receipt_date }
    }

    fn told(facts: Vec<v1::CellFacts>) -> Result<Vec<Facts>, Vec<String>> {
        match set(v1::SetCellFactsRequest { request_id: "f".into(), facts }) {
            Ok((_, Command::Stock(StockCommand::SetFacts(rows)))) => Ok(rows.iter().map(|row| row.facts).collect()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                let wrong = error.violations().into_iter();
                Err(wrong.map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect())
            }
        }
    }

    #[test]
    fn what_is_not_said_is_unknown() {
        let expected = |demand, day| Facts { weekly_demand_milli: demand, oldest_receipt_day: day };
        let message = vec![
            facts("A", Some(0), "1970-01-01"),
            facts("B", Some(4_294_967_294), "2026-11-11"),
            facts("C", None, ""),
        ];
        let all = [expected(Some(0), Some(0)), expected(Some(4_294_967_294), Some(20_768)), expected(None, None)];
        assert_eq!(told(message), Ok(all.into()));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let message = vec![
            facts("", Some(-1), "11.11.2026"),
            facts("A", Some(4_294_967_295), "2027-02-29"),
            facts("A", None, "1969-12-31"),
        ];
        let expected = [
            "facts[0].sku: is missing; a code of 1 to 64 bytes is needed",
            "facts[0].weekly_demand_milli: is -1; 0 to 4,294,967,294 are allowed",
            "facts[0].oldest_receipt_date: is \"11.11.2026\"; a day from 1970-01-01 on is needed, as YYYY-MM-DD",
            "facts[1].weekly_demand_milli: is 4294967295; 0 to 4,294,967,294 are allowed",
            "facts[1].oldest_receipt_date: is \"2027-02-29\"; a day from 1970-01-01 on is needed, as YYYY-MM-DD",
            "facts[2].oldest_receipt_date: is \"1969-12-31\"; a day from 1970-01-01 on is needed, as YYYY-MM-DD",
            "facts[2]: repeats \"A\" at \"L\" of facts[1]",
        ];
        assert_eq!(told(message), Err(expected.map(str::to_owned).into()));
    }
}
