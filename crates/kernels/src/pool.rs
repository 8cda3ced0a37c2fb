//! Threads for one operation at a time.
//!
//! An operation of a small model takes tens of microseconds, and a token takes
//! hundreds of them, one after the other. So the caller works too instead of
//! waiting, and a worker looks for the next operation for a moment before it goes
//! to sleep. Idle workers sleep.

use std::num::NonZeroUsize;
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
    failed: AtomicBool,
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
    THREADS.set(threads).is_ok() && POOL.get().is_none()
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
            failed: AtomicBool::new(false),
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

    /// Calls `task` with each number below `count`, on all threads, and returns
    /// when all calls have. Where another operation has the workers, the caller
    /// does it alone.
    pub(crate) fn run(&self, count: usize, task: impl Fn(usize) + Sync) {
        let turn = match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(_turn) = turn.filter(|_| self.workers > 0 && count > 1) else {
            (0..count).for_each(task);
            return;
        };

        let shared = self.shared;
        let run: &(dyn Fn(usize) + Sync) = &task;
        // SAFETY: only the lifetime changes. No worker uses the job after it was
        // closed and `inside` fell to zero, which `Closing` waits for even when
        // `task` panics, and until then `task` is borrowed here.
        let run: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(run) };
        shared.next.store(0, Ordering::Relaxed);
        shared.failed.store(false, Ordering::Relaxed);
        *lock(&shared.job) = Some(Job { run, count });
        shared.open.store(true, Ordering::SeqCst);
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        let closing = Closing(shared);
        if *lock(&shared.sleepers) > 0 {
            shared.wake.notify_all();
        }
        take(shared, &task, count);
        drop(closing);
        assert!(!shared.failed.load(Ordering::Relaxed), "a part of the operation panicked");
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

fn take(shared: &Shared, task: &(impl Fn(usize) + Sync + ?Sized), count: usize) {
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
        if shared.open.load(Ordering::SeqCst) {
            let job = *lock(&shared.job);
            if let Some(Job { run, count }) = job {
                // SAFETY: the job was open after this worker was counted as inside,
                // so `Pool::run` waits for it.
                let task = unsafe { &*run };
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    take(shared, task, count);
                }));
                if done.is_err() {
                    shared.failed.store(true, Ordering::Relaxed);
                }
            }
        }
        shared.inside.fetch_sub(1, Ordering::SeqCst);
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
