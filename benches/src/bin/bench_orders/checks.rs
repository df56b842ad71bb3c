//! Holds every exact answer against its own bill and against every other plan of the same order and stock.

use quartermaster_routing::Value;

use crate::exact::Solved;
use crate::tally::Bill;

/// Comparisons made. One that fails stops the program, naming the order: then the solver is wrong.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Checks {
    /// Other plans that an exact answer was held against.
    pub(crate) compared: u64,
    /// Of those: better than an answer that was not proved.
    pub(crate) beaten: u64,
}

impl Checks {
    /// The answer says of itself what its allocations say, is not below its bound, and ships all there is.
    pub(crate) fn answer(order: &str, solved: &Solved, bill: &Bill) {
        let Value { shortfall, parcels, cost } = solved.plan.value;
        assert_eq!(solved.value_of(bill), solved.plan.value, "order {order}: the value is not that of the plan");
        assert!(
            solved.plan.lower_bound <= solved.plan.value,
            "order {order}: {shortfall}, {parcels}, {cost} below bound"
        );
        if solved.proved() {
            assert_eq!(solved.plan.lower_bound, solved.plan.value, "order {order}: proved, yet not at the bound");
            assert_eq!(bill.units, solved.servable(), "order {order}: units left that could be served");
        }
    }

    /// No plan is below the bound, and none better than a proved answer.
    pub(crate) fn against(&mut self, order: &str, solved: &Solved, other: &Bill) {
        let theirs = solved.value_of(other);
        assert!(solved.plan.lower_bound <= theirs, "order {order}: the bound is above a plan");
        let beaten = theirs < solved.plan.value;
        assert!(!(beaten && solved.proved()), "order {order}: a proved answer is beaten");
        self.compared += 1;
        self.beaten += u64::from(beaten);
    }
}
