//! What seldom happens beside what happens all the time: limits of time and orders to leave, beside a connection.
//!
//! A task is polled as a whole, so that each answer on a connection would look at every timer and every order that it also waits for. Those
//! get a waker of their own, and are looked at when it was used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Polls what seldom happens, when there is reason to.
#[derive(Debug)]
pub(super) struct Seldom {
    bell: Arc<Bell>,
    waker: Waker,
    /// The task that is woken now.
    task: Option<Waker>,
}

#[derive(Debug)]
struct Bell {
    /// `Release` pairs with `Acquire` in `poll`: who sees it sees what it was rung for.
    rang: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Seldom {
    /// The first poll looks.
    pub(super) fn new() -> Seldom {
        let bell = Arc::new(Bell { rang: AtomicBool::new(true), task: Mutex::new(None) });
        Seldom { waker: Waker::from(Arc::clone(&bell)), bell, task: None }
    }

    /// Takes `step` if one of its futures was woken, or the last step was ready: there may be another one. Runs in the task of `context`.
    pub(super) fn poll<T>(&mut self, context: &Context<'_>, step: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            self.task = Some(context.waker().clone());
            self.bell.task.lock().clone_from(&self.task);
        }
        // Before the step: what rings in the meantime counts.
        if !self.bell.rang.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let step = step(&mut Context::from_waker(&self.waker));
        if step.is_ready() {
            self.bell.rang.store(true, Ordering::Release);
        }
        step
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        task.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::super::counted::Counted;
    use super::*;

    #[test]
    fn looks_once_and_then_when_it_was_woken_or_had_something() {
        let tasks = [(); 2].map(|()| Arc::new(Counted::default()));
        let wakers = tasks.clone().map(Waker::from);
        let mut seldom = Seldom::new();
        let mut looked = Vec::new();
        let mut kept = None;
        // The step, the task it is in, what it comes to, and whether it was woken before.
        let steps = [
            (0, 0, Poll::Pending, false),
            (1, 0, Poll::Pending, false),
            (2, 0, Poll::Ready(()), true),
            (3, 0, Poll::Pending, false),
            (4, 1, Poll::Pending, false),
            (5, 1, Poll::Pending, true),
            (6, 1, Poll::Pending, false),
        ];
        for (number, task, outcome, woken) in steps {
            if woken {
                kept.clone().into_iter().for_each(Waker::wake);
            }
            let polled = seldom.poll(&Context::from_waker(&wakers[task]), |context| {
                looked.push(number);
                kept = Some(context.waker().clone());
                outcome
            });
            assert_eq!(polled, if looked.contains(&number) { outcome } else { Poll::Pending });
        }
        assert_eq!(looked, [0, 2, 3, 5]);
        assert_eq!(tasks.map(|task| task.woken()), [1, 1], "the task that polled last is woken");
    }
}
