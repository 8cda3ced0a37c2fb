use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// The right to change a library's index. At most one process has it; it ends
/// with the process, however that ends.
#[derive(Debug)]
pub struct LibraryLock {
    _file: File,
}

impl LibraryLock {
    /// Takes the lock of the library in `directory`, or returns `None` where
    /// another process has it.
    pub fn try_acquire(directory: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("indexer.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
