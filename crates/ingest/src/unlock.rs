//! Files that open with a password only.

use std::path::{Path, PathBuf};

use lectern_catalog::{Catalog, CatalogError, NewDocument};
use lectern_extract::{can_unlock, worker::ReadFailure};

use crate::{
    DocumentReader, READER_VERSION,
    indexer::{Identity, blocking, identify},
    look::now,
};

/// Why a file was not unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The library holds no such file, or it needs no password.
    #[error("no file of the library waits for a password there")]
    NotLocked,
    /// How it is encrypted is not known.
    #[error("files of this kind cannot be opened with a password yet")]
    UnknownEncryption,
    /// It could not be read, with the password or at all.
    #[error(transparent)]
    Read(#[from] ReadFailure),
    /// The catalogue failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Reads the file at `path` with `password` into the catalogue, and queues it: the indexer then
/// meets a content that was read before. The password is kept nowhere, so a changed file asks
/// for it again.
pub async fn unlock(
    catalog: &Catalog,
    reader: &mut dyn DocumentReader,
    path: &Path,
    password: &str,
) -> Result<(), UnlockError> {
    let identity =
        |path: PathBuf| blocking(move || identify(&path).map_err(|e| ReadFailure::from(&e)));
    let Identity { kind, hash, .. } = identity(path.to_owned()).await?;
    if !can_unlock(kind) {
        return Err(UnlockError::UnknownEncryption);
    }
    let read = reader.unlock(path, kind, password).await?;
    if identity(path.to_owned()).await?.hash != hash {
        return Err(ReadFailure::changed().into());
    }
    let new = NewDocument {
        hash: &hash,
        reader: READER_VERSION,
        extraction: &read.extraction,
        chunks: &read.chunks,
    };
    let held = catalog.keep_unlocked(&path.to_string_lossy(), &new, now())?;
    if held { Ok(()) } else { Err(UnlockError::NotLocked) }
}
