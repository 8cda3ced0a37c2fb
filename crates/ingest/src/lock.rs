use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// The right to change a library's index. At most one process has it; it ends
/// with the process, however that ends.
///
/// Beside it lies a second lock, held as long as there is something to do, so that others
/// can tell a process that works from one that waits for changes.
#[derive(Debug)]
pub struct LibraryLock {
    _file: File,
    work: File,
}

impl LibraryLock {
    /// Takes the lock of the library in `directory`, or returns `None` where
    /// another process has it. Whoever has it counts as working.
    pub fn try_acquire(directory: &Path) -> io::Result<Option<Self>> {
        let file = open(&directory.join("indexer.lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let lock = Self { _file: file, work: open(&directory.join(WORK))? };
        lock.work();
        Ok(Some(lock))
    }

    /// Says that there is something to do.
    pub fn work(&self) {
        // Others hold it no longer than it takes to see that they can.
        if let Err(error) = self.work.lock() {
            tracing::warn!("others cannot see that the library is worked on: {error}");
        }
    }

    /// Says that there is nothing to do until something changes.
    pub fn rest(&self) {
        if let Err(error) = self.work.unlock() {
            tracing::warn!("others cannot see that the library is at rest: {error}");
        }
    }

    /// Whether no process works on the library in `directory`.
    pub fn is_at_rest(directory: &Path) -> io::Result<bool> {
        let work = open(&directory.join(WORK))?;
        match work.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

const WORK: &str = "working.lock";

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}
