//! An expression cut into what the place, the order, the line and the candidate decide.
//!
//! At its top `||` cuts it into clauses and `&&` a clause into tests. A test that looks at places alone is answered at once, for
//! all of them; one that looks at the order alone once per order; at the goods, with or without the order, once per line. Only the
//! rest is asked for each candidate. A test without an answer (a missing attribute, a division by zero) does not hold: a rule that
//! cannot be evaluated removes nothing, a price that cannot be evaluated is not charged, and a `where` that cannot be evaluated
//! does not keep. So an order is never turned away, or charged for, by what nobody stated; and what asks for proof gets proof.

use quartermaster_routing::LocationId;

use super::compile::ids;
use super::expression::{self, Domain, ExpressionError, Facts, Truth};
use super::facts::Places;
use crate::bits::LocationSet;

/// A condition ready for use: it holds when one of its clauses does.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) truth: Truth,
    pub(super) clauses: Vec<Clause>,
    /// Places for which a test that looks at the place alone had no answer.
    pub(super) unanswered_places: usize,
}

/// Tests that must all hold.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// Its number in the policy: where the answers of the tests per order and per line are kept.
    pub(super) number: usize,
    /// Of those that look at the place alone: where they hold. `None`: there are none.
    pub(super) places: Option<LocationSet>,
    /// Look at the order alone.
    pub(super) order: Vec<Truth>,
    /// Look at the place or the distance with the order, or at the distance.
    pub(super) candidate: Vec<Truth>,
    /// Look at the goods, with or without the order.
    pub(super) line: Vec<Truth>,
    /// Look at the goods with the place or the distance.
    pub(super) cell: Vec<Truth>,
}

/// What must be at hand to know whether a clause holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The place, and perhaps the order.
    Place,
    /// The place with the order or the distance.
    Candidate,
    /// The goods as well.
    Line,
}

impl Condition {
    /// Clauses are numbered from `first`.
    pub(super) fn read(text: &str, first: usize, places: &dyn Places) -> Result<Self, ExpressionError> {
        let truth = expression::read(text)?;
        let mut unanswered_places = 0;
        let clauses = truth.clauses().iter().zip(first..).map(|(part, number)| {
            let (clause, unanswered) = Clause::cut(part, number, places);
            unanswered_places += unanswered;
            clause
        });
        let clauses = clauses.collect();
        Ok(Self { truth, clauses, unanswered_places })
    }

    pub(super) fn has(&self, class: Class) -> bool {
        self.clauses.iter().any(|clause| clause.class() == class)
    }

    /// Whether the order alone can decide part of it.
    pub(super) fn hangs_on_order(&self) -> bool {
        self.clauses.iter().any(|clause| !clause.order.is_empty())
    }

    /// Whether the place alone decides it.
    pub(super) fn is_fixed(&self) -> bool {
        self.clauses.iter().all(Clause::is_fixed)
    }
}

impl Clause {
    fn cut(part: &Truth, number: usize, places: &dyn Places) -> (Self, usize) {
        let mut clause =
            Self { number, places: None, order: Vec::new(), candidate: Vec::new(), line: Vec::new(), cell: Vec::new() };
        let mut fixed = Vec::new();
        for test in part.tests() {
            let domain = test.domain();
            let list = if domain.within(Domain::PLACE) {
                &mut fixed
            } else if domain.within(Domain::ORDER) {
                &mut clause.order
            } else if domain.within(Domain::ORDER | Domain::GOODS) {
                &mut clause.line
            } else if domain.touches(Domain::GOODS) {
                &mut clause.cell
            } else {
                &mut clause.candidate
            };
            list.push(test.clone());
        }
        let mut unanswered = 0;
        if !fixed.is_empty() {
            clause.places = Some(where_all(&fixed, places, &mut unanswered));
        }
        (clause, unanswered)
    }

    pub(super) fn class(&self) -> Class {
        if !self.line.is_empty() || !self.cell.is_empty() {
            Class::Line
        } else if self.candidate.is_empty() {
            Class::Place
        } else {
            Class::Candidate
        }
    }

    /// Whether the place alone decides it.
    pub(super) fn is_fixed(&self) -> bool {
        self.class() == Class::Place && self.order.is_empty()
    }

    /// Whether no test that looks at the place alone speaks against it.
    pub(super) fn allows(&self, place: LocationId) -> bool {
        self.places.as_ref().is_none_or(|places| places.contains(place))
    }
}

/// Places of which all the tests hold; what has no answer is counted, and does not.
fn where_all(tests: &[Truth], places: &dyn Places, unanswered: &mut usize) -> LocationSet {
    let holds = |place: &LocationId| {
        let facts = places.facts(*place);
        let facts = Facts::new(None, Some(&facts), None, None);
        let mut known = true;
        for test in tests {
            match test.holds(&facts) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(_) => known = false,
            }
        }
        *unanswered += usize::from(!known);
        known
    };
    ids(places.count()).filter(holds).collect()
}
