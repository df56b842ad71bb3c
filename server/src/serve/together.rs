//! Answers that are ready together leave together.
//!
//! A call that has its answer wakes its connection, and the runtime turns to a task woken by another one right after that, before the
//! calls that wait in its queue: each answer would be written by itself, though dozens became durable with one fsync. So, while other calls
//! of it have no answer yet, a connection is woken as if it had yielded: when the tasks that are ready have had their turn and the sockets
//! were looked at. What wakes it from there (bytes that came, a timer) is not delayed by that, and what wakes it from outside of the runtime
//! neither.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::yield_now;

use super::progress::Progress;

/// Polls a connection with a waker that lets calls that are ready go first.
#[derive(Debug)]
pub(super) struct Together {
    progress: Arc<Progress>,
    /// Waker of the task, and the connection's.
    wakers: Option<(Waker, Waker)>,
}

/// Wakes a task: at once when it owes no answer, else when the runtime has nothing else to do, or looks at its sockets the next time.
struct Later {
    task: Waker,
    progress: Arc<Progress>,
}

impl Together {
    /// For the connection with `progress`.
    pub(super) fn new(progress: &Arc<Progress>) -> Together {
        Together { progress: Arc::clone(progress), wakers: None }
    }

    /// A step of `connection`, in the task of `context`.
    pub(super) fn poll<F: Future>(&mut self, connection: Pin<&mut F>, context: &Context<'_>) -> Poll<F::Output> {
        let wakers = self.wakers.take().filter(|(task, _)| task.will_wake(context.waker()));
        let (_, later) = self.wakers.insert(wakers.unwrap_or_else(|| {
            let task = context.waker().clone();
            let later = Later { task: task.clone(), progress: Arc::clone(&self.progress) };
            (task, Waker::from(Arc::new(later)))
        }));
        connection.poll(&mut Context::from_waker(later))
    }
}

impl Wake for Later {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.progress.owes_answers() {
            // Its first step hands the waker to the runtime, for later; outside of a runtime it wakes at once.
            let _pending = pin!(yield_now()).poll(&mut Context::from_waker(&self.task));
        } else {
            self.task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// Fewer than the steps after which a runtime looks at its sockets: until then whoever is woken later waits.
    const CALLS: usize = 20;

    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

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
        let (sender, mut answer) = oneshot::channel();
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

    #[test]
    fn wakes_the_task_that_polled_it_last() {
        let bells = [(); 2].map(|()| Arc::new(Bell(AtomicUsize::new(0))));
        let progress = Arc::new(Progress::default());
        let _asked = progress.asked();
        let mut together = Together::new(&progress);
        let mut handed = Vec::new();
        for bell in [&bells[0], &bells[0], &bells[1]] {
            let task = Waker::from(Arc::clone(bell));
            let mut connection = pin!(poll_fn(|context| {
                handed.push(context.waker().clone());
                Poll::<()>::Pending
            }));
            assert!(together.poll(connection.as_mut(), &Context::from_waker(&task)).is_pending());
        }
        assert!(handed[0].will_wake(&handed[1]), "a waker is made for a task, not for each step");
        handed.into_iter().for_each(Waker::wake);
        assert_eq!(bells.map(|bell| bell.0.load(Ordering::SeqCst)), [2, 1]);
    }
}
