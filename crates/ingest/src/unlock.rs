//! Files that open with a password only.

use std::path::{Path, PathBuf};

use lectern_catalog::{Catalog, CatalogError, NewDocument};
use lectern_extract::{
    archive_of, can_unlock, is_archive,
    worker::{ReadDocument, ReadFailure, ReadFailureReason},
};

use crate::{
    DocumentReader, READER_VERSION,
    indexer::{Identity, blocking, identify, locked_hash, members},
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
/// meets a content that was read before. With an archive, or a member of one, all of its members are
/// tried that wait for a password. The password is kept nowhere, so a changed file asks for it again.
pub async fn unlock(
    catalog: &Catalog,
    reader: &mut dyn DocumentReader,
    path: &Path,
    password: &str,
) -> Result<(), UnlockError> {
    let file = archive_of(path).unwrap_or(path);
    let before = identity(file).await?;
    let opened = if is_archive(before.kind) {
        unlock_archive(catalog, reader, file, &before, path, password).await?
    } else if can_unlock(before.kind) {
        let read = reader.unlock(path, before.kind, password).await?;
        vec![Opened { path: path.to_owned(), hash: before.hash.clone(), read }]
    } else {
        return Err(UnlockError::UnknownEncryption);
    };
    if identity(file).await?.hash != before.hash {
        return Err(ReadFailure::changed().into());
    }
    let opened: Vec<_> = opened
        .iter()
        .map(|Opened { path, hash, read }| (path.to_string_lossy(), hash, read, members(read)))
        .collect();
    let new = opened.iter().map(|(path, hash, read, members)| {
        let (extraction, chunks) = (&read.extraction, read.chunks.as_slice());
        (&**path, NewDocument { hash, reader: READER_VERSION, extraction, chunks, members })
    });
    let held = catalog.keep_unlocked(&new.collect::<Vec<_>>(), now())?;
    if held { Ok(()) } else { Err(UnlockError::NotLocked) }
}

async fn identity(path: &Path) -> Result<Identity, ReadFailure> {
    let path = path.to_owned();
    blocking(move || identify(&path).map_err(|error| ReadFailure::from(&error))).await
}

/// What a password has opened.
struct Opened {
    path: PathBuf,
    /// What its content is known by.
    hash: Vec<u8>,
    read: ReadDocument,
}

/// What opens with `password` of the archive at `file`: itself, where it tells nothing without, and
/// the members that wait for a password. Where `wanted` is one of these, it has to be among them.
async fn unlock_archive(
    catalog: &Catalog,
    reader: &mut dyn DocumentReader,
    file: &Path,
    before: &Identity,
    wanted: &Path,
    password: &str,
) -> Result<Vec<Opened>, UnlockError> {
    let files = catalog.files(Some(&file.to_string_lossy()))?;
    let waiting = files.into_iter().filter(|file| file.needs_password);
    let mut waiting: Vec<PathBuf> = waiting.map(|file| file.path.into()).collect();
    let mut opened = Vec::new();
    if waiting.iter().any(|path| path == file) {
        let read = reader.unlock(file, before.kind, password).await?;
        waiting = members(&read).iter().map(|member| file.join(&member.path)).collect();
        opened.push(Opened { path: file.to_owned(), hash: before.hash.clone(), read });
    }
    let mut refused = None;
    for path in waiting {
        let hash = match reader.identify(&path).await {
            Ok(member) => member.hash,
            Err(failure) if failure.reason == ReadFailureReason::PasswordNeeded => {
                locked_hash(&before.hash, path.strip_prefix(file).unwrap_or(&path))
            }
            Err(failure) => {
                refused = Some(failure);
                continue;
            }
        };
        match reader.unlock(&path, before.kind, password).await {
            Ok(read) => opened.push(Opened { path, hash, read }),
            Err(failure) if path == wanted => return Err(failure.into()),
            Err(failure) => refused = Some(failure),
        }
    }
    match refused {
        Some(failure) if opened.is_empty() => Err(failure.into()),
        _ => Ok(opened),
    }
}
