//! Threads for one operation at a time.
//!
//! An operation of a small model takes tens of microseconds, and a token takes
//! hundreds of them, one after the other. So the caller works too instead of
//! waiting, and a worker looks for the next operation for a moment before it goes
//! to sleep. Idle workers sleep.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a worker looks for work before it sleeps: longer than what lies
/// between two products of a model, shorter than a person or a meter notices.
const PATIENCE: Duration = Duration::from_micros(100);

/// The job that is being done: called with each number below `count` once.
#[derive(Clone, Copy)]
struct Job {
    run: *const (dyn Fn(usize) + Sync),
    count: usize,
}

// SAFETY: `run` is shared between threads only while `Pool::run` holds the borrow
// that it was made from.
unsafe impl Send for Job {}

struct Shared {
    /// Raised with each job; workers compare it with the last they saw.
    epoch: AtomicUsize,
    /// Whether workers may still join the current job.
    open: AtomicBool,
    /// How many workers are inside the current job.
    inside: AtomicUsize,
    next: AtomicUsize,
    /// What a worker's part panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    job: Mutex<Option<Job>>,
    sleepers: Mutex<usize>,
    wake: Condvar,
}

/// The calling thread and some workers.
pub(crate) struct Pool {
    shared: &'static Shared,
    workers: usize,
    /// Held by the operation that has the workers.
    turn: Mutex<()>,
}

static POOL: OnceLock<Pool> = OnceLock::new();
static THREADS: OnceLock<NonZeroUsize> = OnceLock::new();

/// How many threads an operation uses, the caller's included. To be said before
/// the first operation; false where it is too late. Otherwise it is the number of
/// physical cores, less one for the rest of the program where there are more than
/// two.
pub fn set_threads(threads: NonZeroUsize) -> bool {
    THREADS.set(threads).is_ok()
}

/// How many threads an operation uses.
pub fn threads() -> usize {
    pool().workers + 1
}

pub(crate) fn pool() -> &'static Pool {
    POOL.get_or_init(|| {
        let threads = THREADS.get_or_init(|| {
            let cores = num_cpus::get_physical().min(num_cpus::get());
            NonZeroUsize::new(if cores > 2 { cores - 1 } else { cores })
                .unwrap_or(NonZeroUsize::MIN)
        });
        Pool::new(threads.get())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn new(threads: usize) -> Self {
        // Never freed: the workers live as long as the process.
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            epoch: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            job: Mutex::new(None),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        }));
        let workers = (1..threads)
            .filter(|index| {
                let worker = std::thread::Builder::new().name(format!("kernels-{index}"));
                // With fewer threads it takes longer, and that is all.
                worker.spawn(|| work(shared)).is_ok()
            })
            .count();
        Self { shared, workers, turn: Mutex::new(()) }
    }

    /// Calls `task` with each number below `count`, on all threads, and returns when
    /// all calls have. While another operation has the workers, the caller goes on
    /// alone.
    ///
    /// # Panics
    ///
    /// Where a call does; the other calls may then not have been made.
    pub(crate) fn run(&self, count: usize, task: impl Fn(usize) + Sync) {
        for done in 0..count {
            if self.workers > 0
                && count - done > 1
                && let Some(_turn) = self.try_turn()
            {
                self.share(count - done, &|index| task(done + index));
                return;
            }
            task(done);
        }
    }

    fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// To be called by who has the turn.
    fn share(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        let shared = self.shared;
        // SAFETY: only the lifetime changes. No worker uses the job after it was
        // closed and `inside` fell to zero, which `Closing` waits for even when
        // `task` panics, and until then `task` is borrowed here.
        let run: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(task) };
        shared.next.store(0, Ordering::Relaxed);
        *lock(&shared.job) = Some(Job { run, count });
        shared.open.store(true, Ordering::SeqCst);
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        let closing = Closing(shared);
        if *lock(&shared.sleepers) > 0 {
            shared.wake.notify_all();
        }
        take(shared, task, count);
        drop(closing);
        if let Some(panic) = lock(&shared.panic).take() {
            resume_unwind(panic);
        }
    }
}

/// Ends the job: nobody joins it any more, and nobody is inside.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        // Against the order in `work`: either the worker sees that the job is
        // closed, or it is seen here to be inside.
        self.0.open.store(false, Ordering::SeqCst);
        let mut rounds = 0_u32;
        while self.0.inside.load(Ordering::SeqCst) > 0 {
            rounds += 1;
            // A worker may have been put aside by the system.
            if rounds.is_multiple_of(1_024) {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
    }
}

fn take(shared: &Shared, task: &(dyn Fn(usize) + Sync), count: usize) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return;
        }
        task(index);
    }
}

fn work(shared: &Shared) {
    let mut seen = 0;
    loop {
        seen = wait(shared, seen);
        shared.inside.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(shared);
        if !shared.open.load(Ordering::SeqCst) {
            continue;
        }
        let job = *lock(&shared.job);
        if let Some(Job { run, count }) = job {
            // SAFETY: the job was open after this worker was counted as inside, so
            // `Pool::share` waits for it.
            let task = unsafe { &*run };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| take(shared, task, count))) {
                *lock(&shared.panic) = Some(panic);
            }
        }
    }
}

/// Says that a worker is no longer inside the job.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns the number of the job after `seen`.
fn wait(shared: &Shared, seen: usize) -> usize {
    let epoch = || shared.epoch.load(Ordering::SeqCst);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        for _ in 0..64 {
            if epoch() != seen {
                return epoch();
            }
            std::hint::spin_loop();
        }
    }
    let mut sleepers = lock(&shared.sleepers);
    *sleepers += 1;
    while epoch() == seen {
        sleepers = shared.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
    }
    *sleepers -= 1;
    epoch()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// More threads than a small machine has cores, so that they are interrupted.
    fn pool() -> &'static Pool {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| Pool::new(4))
    }

    fn each_once(pool: &Pool, count: usize) {
        let calls: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        pool.run(count, |index| {
            calls[index].fetch_add(1, Ordering::Relaxed);
        });
        assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 1), "{count}");
    }

    #[test]
    fn each_part_is_done_once_whether_workers_sleep_or_not() {
        for turn in 0..2_000 {
            each_once(pool(), turn % 9);
            if turn % 97 == 0 {
                // Until all workers are asleep.
                while *lock(&pool().shared.sleepers) < pool().workers {
                    std::thread::yield_now();
                }
            }
        }
    }

    #[test]
    fn several_callers_and_calls_inside_of_calls_are_served() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..300).for_each(|count| each_once(pool(), count % 7)));
            }
        });
        pool().run(5, |_| each_once(pool(), 20));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_harms_nothing_else() {
        for bad in 0..40 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool().run(40, |index| assert!(index != bad, "part {index}"));
            }));
            let panic = caught.unwrap_err();
            assert_eq!(*panic.downcast::<String>().unwrap(), format!("part {bad}"));
            each_once(pool(), 40);
        }
    }

    #[test]
    fn without_workers_the_caller_does_it() {
        each_once(&Pool::new(1), 10);
    }
}
