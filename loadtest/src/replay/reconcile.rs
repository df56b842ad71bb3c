//! The end of a replay: what the server holds against the books, cell by cell, and the books against the files.

use std::time::{Duration, Instant};

use quartermaster_proto::v1::{Cell, ReservationState};
use tonic::Status;

use super::data_set::Happening;
use super::player::Player;
use crate::ask::{at_once, cells_of, list_reservations};
use crate::check::{Check, Proof, own_audit};
use crate::table::{counted, grouped, grouped_signed};

/// Time after the last hold's end in which it must be gone.
const EXPIRY_LATE_MAX: Duration = Duration::from_secs(5);

impl Player {
    /// Compares. `played` is how many happenings were played.
    ///
    /// # Errors
    /// When the server does not answer; a difference is a failed check.
    pub(super) async fn reconcile(&self, played: usize) -> Result<Proof, Status> {
        self.wait_for_abandoned().await?;
        let skus = self.set.skus.iter().map(|sku| sku.code.clone()).collect();
        let cells = at_once(skus, |sku| cells_of(self.client.clone(), sku)).await?;
        let cells: Vec<Cell> = cells.into_iter().flatten().collect();
        let mut checks = vec![self.cells_agree(&cells), nothing_promised(&cells), self.units_add_up(&cells)];
        checks.extend(self.files_agree(played));
        checks.push(self.no_contradictions());
        checks.push(own_audit(&self.client).await?);
        Ok(Proof { checks })
    }

    async fn wait_for_abandoned(&self) -> Result<(), Status> {
        let patience = Instant::now() + self.plan.abandoned_ttl + EXPIRY_LATE_MAX;
        while Instant::now() < patience {
            if list_reservations(&self.client, ReservationState::Held).await?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn cells_agree(&self, cells: &[Cell]) -> Check {
        let mut check = Check::new("on hand is what files and answers say, cell by cell");
        let books = self.books();
        let mut expected = books.cells().clone();
        check.examined = counted(u64::try_from(expected.len()).unwrap_or(0), "cell");
        let mut strange: Vec<&Cell> = Vec::new();
        let mut differences = Vec::new();
        for cell in cells {
            match self.index.cell(&cell.sku, &cell.location) {
                Some(number) => {
                    let should = expected.remove(&number).unwrap_or(0);
                    if cell.on_hand != should {
                        differences.push((number, cell.on_hand, should));
                    }
                }
                None if cell.on_hand != 0 => strange.push(cell),
                None => {}
            }
        }
        differences
            .extend(expected.into_iter().filter(|&(_, should)| should != 0).map(|(cell, should)| (cell, 0, should)));
        differences.sort_unstable();
        for (cell, found, should) in differences {
            let (sku, location) = self.codes(cell);
            check.fail(format!("{sku} at {location}: the server has {found}, the books say {should}"));
        }
        for Cell { sku, location, on_hand, .. } in strange {
            check.fail(format!("{sku} at {location}: the server has {on_hand} at a location the files do not know"));
        }
        check
    }

    fn units_add_up(&self, cells: &[Cell]) -> Check {
        let mut check = Check::new("opening + received + adjusted + returned − shipped is what is there");
        let totals = self.books().totals;
        let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let should = signed(totals.opening) + signed(totals.received) + totals.adjusted + signed(totals.returned)
            - signed(totals.shipped);
        let found: i64 = cells.iter().map(|cell| cell.on_hand).sum();
        check.examined = format!("{} units", grouped_signed(found));
        if found != should {
            check.fail(format!("the server has {found} units, {should} should be there"));
        }
        check
    }

    fn files_agree(&self, played: usize) -> [Check; 4] {
        let (mut received, mut adjusted, mut returned, mut ordered) = (0_u64, 0_i64, 0_u64, 0_u64);
        for (_, happening) in self.set.happenings.iter().take(played) {
            match happening {
                Happening::Receipts(goods) => received += goods.iter().map(|goods| u64::from(goods.units)).sum::<u64>(),
                Happening::Adjusted(adjustment) => adjusted += adjustment.delta,
                Happening::Sale(sale) => ordered += sale.lines.iter().map(|line| u64::from(line.units)).sum::<u64>(),
                Happening::Return(document) => {
                    returned += document.lines.iter().map(|line| u64::from(line.units)).sum::<u64>();
                }
            }
        }
        let totals = self.books().totals;
        let agree = |claim: &str, file: i64, server: i64, note: String| {
            let mut check = Check::new(claim);
            check.examined = format!("{} units{note}", grouped_signed(file));
            if file != server {
                check.fail(format!("the files have {file} units, the server was told of {server}"));
            }
            check
        };
        let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let less =
            |units: u64, why: &str| if units > 0 { format!(", {} {why}", grouped(units)) } else { String::new() };
        let ended = totals.shipped + totals.unfilled + totals.cancelled + totals.released + totals.expired;
        [
            agree("every receipt of the files is in", signed(received), signed(totals.received), String::new()),
            agree(
                "every adjustment of the files is in, or was cut to what was there",
                adjusted,
                totals.adjusted - signed(totals.clipped),
                less(totals.clipped, "cut off"),
            ),
            agree(
                "every return of the files is in, or had never been shipped",
                signed(returned),
                signed(totals.returned + totals.returned_unshipped),
                less(totals.returned_unshipped, "never shipped"),
            ),
            agree(
                "ordered = shipped + unfilled + cancelled + released + expired",
                signed(ordered),
                signed(ended),
                String::new(),
            ),
        ]
    }

    fn no_contradictions(&self) -> Check {
        let mut check = Check::new("no answer contradicts another");
        let books = self.books();
        check.examined = counted(books.totals.orders, "order");
        books.contradictions.iter().for_each(|what| check.fail(what.clone()));
        check
    }
}

fn nothing_promised(cells: &[Cell]) -> Check {
    let mut check = Check::new("nothing is reserved or committed any more");
    check.examined = counted(u64::try_from(cells.len()).unwrap_or(0), "cell");
    for Cell { sku, location, reserved, committed, .. } in cells {
        if *reserved != 0 || *committed != 0 {
            check.fail(format!("{sku} at {location}: {reserved} reserved, {committed} committed"));
        }
    }
    check
}
