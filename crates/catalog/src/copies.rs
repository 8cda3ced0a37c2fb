//! A copy of the catalogue beside it, for the day that it is damaged.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rusqlite::Connection;

use crate::{Catalog, CatalogError, Result};

/// No copy takes so long.
const REMNANT_AGE: Duration = Duration::from_secs(60 * 60);

impl Catalog {
    /// Looks for damage in the whole file. Takes as long as reading it.
    pub fn check(&self) -> Result<()> {
        let connection = self.lock();
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found == "ok" {
            return Ok(());
        }
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Err(CatalogError::Damaged(rusqlite::Error::SqliteFailure(code, Some(found))))
    }

    /// Makes a copy that [`restore`] can put in the catalogue's place, instead of the
    /// copy before. Other connections go on meanwhile.
    pub fn keep_copy(&self) -> Result<()> {
        copy(&self.path)
    }

    /// When the copy was made, if there is one.
    pub fn copied(&self) -> Option<SystemTime> {
        std::fs::metadata(copy_path(&self.path)).and_then(|metadata| metadata.modified()).ok()
    }

    /// When the catalogue was last written to.
    pub fn written(&self) -> Option<SystemTime> {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        modified(&self.path).max(modified(&beside(&self.path, "-wal")))
    }
}

/// Puts the last copy in the place of a damaged catalogue, which is set aside. `false`
/// where there is no copy; then nothing is changed. No process may have it open.
pub fn restore(path: &Path) -> Result<bool> {
    let copy = copy_path(path);
    if !copy.exists() {
        return Ok(false);
    }
    let new = path.with_extension("new.sqlite");
    std::fs::copy(&copy, &new).map_err(CatalogError::Copy)?;
    // For whoever wants to save more from it. A damaged disk may refuse even that.
    let _ = std::fs::copy(path, path.with_extension("damaged.sqlite"));
    // What SQLite wrote beside the damaged file belongs to it. Killed after this, the
    // file is as damaged as before.
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogError::Copy(error));
            }
            _ => {}
        }
    }
    put_in_place(&new, path)?;
    Ok(true)
}

/// Copies the catalogue at `path`, of whatever version.
pub(crate) fn copy(path: &Path) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Another process may be at it as well.
    let new = path.with_extension(format!("copy-{}.sqlite", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let made = Connection::open(path)?.execute("VACUUM INTO ?1", [new.to_string_lossy()]);
    let made = made.map_err(CatalogError::from).and_then(|_| put_in_place(&new, &copy_path(path)));
    if made.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    remove_remnants(path);
    made
}

/// Removes what processes left that were killed while they copied.
fn remove_remnants(path: &Path) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let is_remnant = entry.file_name().to_string_lossy().starts_with(&format!("{stem}.copy-"));
        let age = entry.metadata().and_then(|found| found.modified()).map(|time| time.elapsed());
        if is_remnant && age.is_ok_and(|age| age.is_ok_and(|age| age > REMNANT_AGE)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn put_in_place(new: &Path, place: &Path) -> Result<()> {
    File::open(new)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(new, place))
        .map_err(CatalogError::Copy)
}

fn copy_path(path: &Path) -> PathBuf {
    path.with_extension("copy.sqlite")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
