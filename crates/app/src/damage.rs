//! What becomes of a library whose catalogue is damaged, or whose disk is read-only.

use std::{fs, path::Path};

use lectern_catalog::{Catalog, CatalogError, restore};
use lectern_domain::ErrorCode;
use lectern_ingest::LibraryLock;

use crate::{AppError, Result, error};

/// The name of the catalogue in a library's directory.
pub(crate) const CATALOG: &str = "catalog.sqlite";

/// A file that is there after damage was met, so that the next start looks for it. Looking
/// each time would take as long as reading the whole file.
const MARK: &str = "catalog.check";

/// Has the next start look for damage.
pub(crate) fn mark(directory: &Path) {
    if let Err(error) = fs::write(directory.join(MARK), "") {
        tracing::error!("damage cannot be noted: {error}");
    }
}

/// Opens the catalogue of the library in `directory`, if need be from its last copy. `true`
/// where it can only be read.
pub(crate) fn open(directory: &Path) -> Result<(Catalog, bool)> {
    let path = directory.join(CATALOG);
    let opened = Catalog::open(&path).and_then(|catalog| {
        if directory.join(MARK).exists() {
            catalog.check()?;
        }
        Ok(catalog)
    });
    let catalog = match opened {
        Ok(catalog) => catalog,
        Err(error @ CatalogError::Damaged(_)) => {
            tracing::error!("{error}");
            put_back_copy(directory, &path)?;
            Catalog::open(&path)?
        }
        Err(error) if error.is_of_the_disk() && path.exists() => {
            let opened = Catalog::open_read_only(&path).map_err(|_| error)?;
            return Ok((opened, true));
        }
        Err(error) => return Err(error.into()),
    };
    // What was looked for is not there, or no more.
    let _ = fs::remove_file(directory.join(MARK));
    Ok((catalog, false))
}

fn put_back_copy(directory: &Path, path: &Path) -> Result<()> {
    let lock = LibraryLock::try_acquire(directory)
        .map_err(|error| error::library_directory(directory, &error))?;
    if lock.is_none() {
        return Err(AppError::new(
            ErrorCode::Library,
            "the library's catalogue is damaged, and another copy of Lectern uses it",
            "Close every copy of Lectern and start it again: the catalogue comes back from its last copy.",
        ));
    }
    if restore(path)? {
        tracing::warn!("the catalogue was put back from its last copy");
        return Ok(());
    }
    Err(AppError::new(
        ErrorCode::Library,
        "the library's catalogue is damaged, and there is no copy of it yet",
        format!(
            "Move {} to another place and add your folders again. Your documents are not touched by this.",
            path.display()
        ),
    ))
}
