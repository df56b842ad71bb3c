//! Text that lines up: numbers with thousands, tables with columns.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `-1234567` as `-1,234,567`.
pub fn grouped_signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// `count` over `span`, rounded to a whole number a second; 0 over no time.
pub fn per_second(count: u64, span: Duration) -> u64 {
    let micros = span.as_micros();
    if micros == 0 {
        return 0;
    }
    u64::try_from((u128::from(count) * 1_000_000 + micros / 2) / micros).unwrap_or(u64::MAX)
}

/// `part` of `whole` in percent with one decimal; `-` when the whole is 0.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let permille = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", permille / 10, permille % 10)
}

/// `part` per `whole` with one decimal; `-` when the whole is 0.
pub fn ratio(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = (u128::from(part) * 10 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// `1`, `"order"` as `1 order`; `2`, `"order"` as `2 orders`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Rows under a header. The first column is text and starts on the left, the others end on the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    header: bool,
}

impl Table {
    /// A table without a header.
    pub fn plain() -> Self {
        Table::default()
    }

    /// A table under `header`.
    pub fn new(header: &[&str]) -> Self {
        Table { rows: vec![header.iter().map(|&name| name.to_owned()).collect()], header: true }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The table as lines, each indented by two spaces and ended.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                let gap = if column == 0 { " " } else { "   " };
                line.push_str(gap);
                if column == 0 {
                    line.push_str(cell);
                    line.push_str(&pad);
                } else {
                    line.push_str(&pad);
                    line.push_str(cell);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
            if at == 0 && self.header {
                let rule: usize = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
                out.push_str(&format!("  {}\n", "─".repeat(rule)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped_signed(-1_234), "-1,234");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "-");
        assert_eq!(ratio(25, 10), "2.5");
        assert_eq!(per_second(1_500, Duration::from_millis(500)), 3_000);
        assert_eq!(counted(1, "order"), "1 order");
        assert_eq!(counted(1_200, "order"), "1,200 orders");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "count"]);
        table.row(["holds", "1,200"]).row(["错误", "3"]);
        assert_eq!(table.render(), "  what    count\n  ─────────────\n  holds   1,200\n  错误          3\n");
    }
}
