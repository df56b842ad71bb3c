//! Answers that are ready together leave together.
//!
//! A call that has its answer wakes its connection, and the runtime turns to a task woken by another one right after that, before the
//! calls that wait in its queue: each answer would be written by itself, though dozens became durable with one fsync. So a connection that
//! was woken by a call, and owes other answers, yields first: it goes on when the tasks that are ready have had their turn and the sockets
//! were looked at. What wakes it otherwise (bytes that came, a timer, a thread outside of the runtime) is not delayed.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::{try_id, yield_now};

use super::progress::Progress;

/// Polls a connection, calls that are ready first.
#[derive(Debug)]
pub(super) struct Together {
    wakes: Arc<Wakes>,
    /// Its last step was to yield: it does that once, whoever wakes it meanwhile.
    has_yielded: bool,
    /// Waker of the task, and the connection's.
    wakers: Option<(Waker, Waker)>,
}

/// What the wakers of a connection note for its next step. Relaxed: a step is ordered after the wake that leads to it.
#[derive(Debug)]
struct Wakes {
    progress: Arc<Progress>,
    /// The next step is to yield.
    by_a_call: AtomicBool,
}

/// Wakes a task, and notes whether it is one of the runtime's tasks that does. It does not hand the task to the runtime for later by itself: the
/// runtime may be going through what it was handed just then.
struct Noting {
    task: Waker,
    wakes: Arc<Wakes>,
}

impl Together {
    /// For the connection with `progress`.
    pub(super) fn new(progress: &Arc<Progress>) -> Together {
        let wakes = Wakes { progress: Arc::clone(progress), by_a_call: AtomicBool::new(false) };
        Together { wakes: Arc::new(wakes), has_yielded: false, wakers: None }
    }

    /// A step of `connection`, in the task of `context`.
    pub(super) fn poll<F: Future>(&mut self, connection: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        let yields = self.wakes.by_a_call.swap(false, Ordering::Relaxed) && !self.has_yielded;
        // The first step of a yield asks the runtime to wake the task later.
        self.has_yielded = yields && pin!(yield_now()).poll(context).is_pending();
        if self.has_yielded {
            return Poll::Pending;
        }
        let wakers = self.wakers.take().filter(|(task, _)| task.will_wake(context.waker()));
        let (_, noting) = self.wakers.insert(wakers.unwrap_or_else(|| {
            let task = context.waker().clone();
            let noting = Noting { task: task.clone(), wakes: Arc::clone(&self.wakes) };
            (task, Waker::from(Arc::new(noting)))
        }));
        connection.poll(&mut Context::from_waker(noting))
    }
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if try_id().is_some() && self.wakes.progress.owes_answers() {
            self.wakes.by_a_call.store(true, Ordering::Relaxed);
        }
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::super::counted::Counted;
    use super::*;

    /// Fewer than the steps after which a runtime looks at its sockets: until then whoever is woken later waits.
    const CALLS: usize = 20;

    /// Answers that are there at each step of a connection that is asked for `CALLS` of them at once.
    async fn seen_by_each_step(progress: Arc<Progress>) -> Vec<usize> {
        let answered = Arc::new(AtomicUsize::new(0));
        let mut together = Together::new(&progress);
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..CALLS {
            let (sender, answered) = (sender.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                answered.fetch_add(1, Ordering::SeqCst);
                sender.send(()).unwrap();
            });
        }
        drop(sender);
        let mut steps = Vec::new();
        let mut connection = pin!(poll_fn(|context| {
            steps.push(answered.load(Ordering::SeqCst));
            while let Poll::Ready(answer) = answers.poll_recv(context) {
                if answer.is_none() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        }));
        poll_fn(|context| together.poll(connection.as_mut(), context)).await;
        steps
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_that_owes_answers_is_woken_when_those_that_are_ready_are_there() {
        let progress = Arc::new(Progress::default());
        let asked = progress.asked();
        assert_eq!(tokio::spawn(seen_by_each_step(Arc::clone(&progress))).await.unwrap(), [0, CALLS]);
        drop(asked);
        let at_once = tokio::spawn(seen_by_each_step(progress)).await.unwrap();
        assert!(at_once.len() > 2 && at_once[1] < CALLS, "one that owes none: {at_once:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn is_woken_from_outside_of_the_runtime() {
        let (sender, mut answer) = oneshot::channel::<u32>();
        let (waits, waiting) = oneshot::channel();
        let connection = tokio::spawn(async move {
            let progress = Arc::new(Progress::default());
            let _asked = progress.asked();
            let (mut together, mut waits) = (Together::new(&progress), Some(waits));
            let mut connection = pin!(async { (&mut answer).await.unwrap() });
            poll_fn(|context| {
                let step = together.poll(connection.as_mut(), context);
                waits.take().into_iter().for_each(|waits| waits.send(()).unwrap());
                step
            })
            .await
        });
        waiting.await.unwrap();
        std::thread::spawn(|| sender.send(7).unwrap()).join().unwrap();
        assert_eq!(connection.await.unwrap(), 7);
    }

    /// What the runtime keeps for later is gone through by waking it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_may_yield_by_itself() {
        let progress = Arc::new(Progress::default());
        let _asked = progress.asked();
        let mut together = Together::new(&progress);
        let connection = tokio::spawn(async move {
            let mut connection = pin!(async {
                for _ in 0..3 {
                    yield_now().await;
                }
                7
            });
            poll_fn(|context| together.poll(connection.as_mut(), context)).await
        });
        let ended = tokio::time::timeout(std::time::Duration::from_secs(10), connection).await;
        assert_eq!(ended.expect("the runtime lives").unwrap(), 7);
    }

    #[test]
    fn wakes_the_task_that_polled_it_last() {
        let tasks = [(); 2].map(|()| Arc::new(Counted::default()));
        let mut together = Together::new(&Arc::new(Progress::default()));
        let mut handed = Vec::new();
        for task in [&tasks[0], &tasks[0], &tasks[1]] {
            let task = Waker::from(Arc::clone(task));
            let mut connection = pin!(poll_fn(|context| {
                handed.push(context.waker().clone());
                Poll::<()>::Pending
            }));
            assert!(together.poll(connection.as_mut(), &mut Context::from_waker(&task)).is_pending());
        }
        assert!(handed[0].will_wake(&handed[1]), "a waker is made for a task, not for each step");
        handed.into_iter().for_each(Waker::wake);
        assert_eq!(tasks.map(|task| task.woken()), [2, 1]);
    }
}
