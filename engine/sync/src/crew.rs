//! Hands that do parts of one piece of work: threads of the system, or one hand after the other.
//!
//! What works through state starts no thread by itself: whoever calls it brings a crew. So a simulator, which has no threads, can have
//! the parts done in any order, and the outcome has to be the same.

/// Who does the parts of a piece of work.
pub trait Crew: Sync {
    /// How many parts there are to be, at least 1. Always the same.
    fn hands(&self) -> usize;

    /// Has each of `part(0)` to `part(hands - 1)` done once, in any order or at the same time, and returns when all are done.
    fn work(&self, part: &(dyn Fn(usize) + Sync));

    /// Has both done, in any order or at the same time, and returns when both are; `one` by the caller.
    fn both(&self, one: &mut dyn FnMut(), other: &mut (dyn FnMut() + Send));

    /// Whether work of so many small pieces is worth being shared out: that takes some microseconds, or tens of them with threads.
    fn pays(&self, pieces: usize) -> bool;
}

/// Fewer small pieces than these are done before another thread has begun.
const MANY: usize = 256;

/// Nobody but the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Crew for Alone {
    fn hands(&self) -> usize {
        1
    }

    fn work(&self, part: &(dyn Fn(usize) + Sync)) {
        part(0);
    }

    fn both(&self, one: &mut dyn FnMut(), other: &mut (dyn FnMut() + Send)) {
        one();
        other();
    }

    fn pays(&self, pieces: usize) -> bool {
        pieces >= MANY
    }
}

/// Several hands of the caller's, the last first: for tests and simulators.
#[derive(Clone, Copy, Debug)]
pub struct InTurn(usize);

impl InTurn {
    /// So many hands, at least 1.
    #[must_use]
    pub fn new(hands: usize) -> InTurn {
        InTurn(hands.max(1))
    }
}

impl Crew for InTurn {
    fn hands(&self) -> usize {
        self.0
    }

    fn work(&self, part: &(dyn Fn(usize) + Sync)) {
        (0..self.0).rev().for_each(part);
    }

    fn both(&self, one: &mut dyn FnMut(), other: &mut (dyn FnMut() + Send)) {
        other();
        one();
    }

    fn pays(&self, _pieces: usize) -> bool {
        true
    }
}

/// The caller and threads that live for one piece of work each: starting one costs tens of microseconds, so pieces should take
/// milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Threads(usize);

impl Threads {
    /// So many hands, the caller among them; at least 1.
    #[must_use]
    pub fn new(hands: usize) -> Threads {
        Threads(hands.max(1))
    }

    /// As many as the process may run at once.
    #[must_use]
    pub fn of_the_machine() -> Threads {
        Threads::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Crew for Threads {
    fn hands(&self) -> usize {
        self.0
    }

    fn work(&self, part: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for hand in 1..self.0 {
                // A system without a thread to give has the caller do that part, too.
                let started =
                    std::thread::Builder::new().name(format!("crew-{hand}")).spawn_scoped(scope, move || part(hand));
                if started.is_err() {
                    part(hand);
                }
            }
            part(0);
        });
    }

    fn both(&self, one: &mut dyn FnMut(), other: &mut (dyn FnMut() + Send)) {
        let began = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("crew-beside".to_owned());
            let began = self.0 > 1 && thread.spawn_scoped(scope, &mut *other).is_ok();
            one();
            began
        });
        if !began {
            other();
        }
    }

    fn pays(&self, pieces: usize) -> bool {
        pieces >= MANY
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_part_is_done_once_before_the_work_is_over() {
        for crew in [&Alone as &dyn Crew, &InTurn::new(3), &Threads::new(4), &Threads::new(0)] {
            let done = Mutex::new(Vec::new());
            crew.work(&|hand| done.lock().unwrap().push(hand));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..crew.hands()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn both_are_done_once_before_it_goes_on() {
        for crew in [&Alone as &dyn Crew, &InTurn::new(3), &Threads::new(4), &Threads::new(1)] {
            let (mut one, mut other) = (0, 0);
            crew.both(&mut || one += 1, &mut || other += 1);
            assert_eq!((one, other), (1, 1));
        }
    }

    #[test]
    fn threads_do_both_at_the_same_time_unless_there_is_one_hand() {
        let caller = std::thread::current().id();
        for (hands, elsewhere) in [(2, true), (1, false)] {
            let mut by = caller;
            Threads::new(hands).both(&mut || {}, &mut || by = std::thread::current().id());
            assert_eq!(by != caller, elsewhere, "{hands} hands");
        }
    }
}
