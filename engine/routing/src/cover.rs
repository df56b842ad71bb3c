//! How many parcels it takes at least: a second bound that prunes plans with too many.
//!
//! When parcels are limited, the bound on cost sees only a fraction of a location here and there and hardly feels the limit.
//! The same lines with one as the price of a parcel and nothing else to pay make a covering model, whose own bound, rounded
//! up to whole parcels, does.

use crate::bound::{Bound, Dual, State};
use crate::model::{Cell, Model};

/// The covering model that belongs to a cost model, and its prices.
#[derive(Clone, Default, Debug)]
pub(crate) struct Cover {
    model: Model,
    dual: Dual,
    pub(crate) active: bool,
    /// Prices of the nodes on the path.
    saved: Vec<i64>,
}

/// Subgradient steps for each look.
const STEPS: u32 = 6;

impl Cover {
    /// Derives the covering model of `from`; active only where parcels are limited and some line has to be served.
    pub(crate) fn begin(&mut self, from: &Model) {
        self.active = from.parcels_max < from.locations() && from.must.contains(&true);
        self.saved.clear();
        if !self.active {
            return;
        }
        self.model.clear();
        self.model.fixed.resize(from.locations(), 1);
        for j in (0..from.lines()).filter(|&j| from.must[j]) {
            self.model.cells.extend(from.cells_of(j).iter().map(|cell| Cell { cost: 0, ..*cell }));
            self.model.end_line((j, 1), from.demand[j], None);
        }
        self.model.parcels_max = from.parcels_max;
        self.active = self.model.finish();
        self.dual.reset(&self.model);
        self.dual.ascend_from_nothing(&self.model, &vec![State::Free; from.locations()]);
    }

    /// Raises the bound for the present node. `None`: more parcels are needed than allowed. Else the bound, whose slacks
    /// say which locations the limit excludes or demands; see [`Cover::verdict`].
    pub(crate) fn tighten(&mut self, state: &[State]) -> Option<Bound> {
        let most = self.limit();
        self.dual.refresh(&self.model);
        self.dual.ascend(&self.model, state, 1);
        let mut best = self.dual.bound(&self.model, state, usize::MAX);
        self.dual.keep();
        let mut num = 16;
        self.dual.forget_direction();
        for _ in 0..STEPS {
            if best.value > most {
                return None;
            }
            if best.value + self.model.scale <= most {
                // More than a parcel away: no step will bridge that.
                break;
            }
            let now = self.dual.bound(&self.model, state, usize::MAX);
            let target = most + self.model.scale;
            if !self.dual.step(&self.model, state, now, target, (num, 16)) {
                break;
            }
            self.dual.ascend(&self.model, state, 1);
            let now = self.dual.bound(&self.model, state, usize::MAX);
            if now.value > best.value {
                best = now;
                self.dual.keep();
            } else {
                num = (num / 2).max(1);
            }
        }
        self.dual.restore_kept(&self.model);
        (best.value <= most).then_some(best)
    }

    /// What the parcel limit says about a free location.
    pub(crate) fn verdict(&self, i: usize, bound: Bound) -> State {
        let slack = self.dual.slack[i];
        if slack > 0 && bound.value + slack > self.limit() {
            State::Closed
        } else if slack < 0 && bound.value - slack > self.limit() {
            State::Open
        } else {
            State::Free
        }
    }

    /// Forgets locations closed for good.
    pub(crate) fn retain(&mut self, state: &[State]) {
        self.model.retain(|i| state[i] != State::Closed);
    }

    pub(crate) fn save(&mut self) {
        self.saved.extend_from_slice(&self.dual.price);
    }

    pub(crate) fn load(&mut self) {
        let at = self.saved.len() - self.dual.price.len();
        self.dual.price.copy_from_slice(&self.saved[at..]);
    }

    pub(crate) fn forget(&mut self) {
        self.saved.truncate(self.saved.len() - self.dual.price.len());
    }

    /// Bounds above this need a parcel too many.
    fn limit(&self) -> i64 {
        i64::try_from(self.model.parcels_max).unwrap_or(i64::MAX).saturating_mul(self.model.scale)
    }
}
