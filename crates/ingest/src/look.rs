//! A look at the disk, and the catalogue brought to agree with it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use lectern_catalog::{Catalog, CatalogError, FolderRecord, Look};
use lectern_extract::archive_of;
use tokio::task::spawn_blocking;

use crate::discover::{self, Discovered, discover, is_mounted};

/// So many files changed at once are somebody at work. More are a program.
const FEW: usize = 32;

/// Looks at one path at or below a folder and brings the catalogue to agree with
/// it. A folder that cannot be found keeps its files: it may lie on a drive that is
/// not connected. So do files at a place where a drive was and is no more. A single
/// file is gone when the folder it lay in is there without it. Returns how many files
/// are new.
pub async fn look(
    catalog: &Catalog,
    folder: &FolderRecord,
    path: &Path,
) -> Result<u64, CatalogError> {
    look_closely(catalog, folder, path, false, |_| {}).await
}

/// As [`look`]. `visit` is called with every folder before it is listed. With `changed`,
/// somebody has just changed something there, and it is read before all else.
pub(crate) async fn look_closely(
    catalog: &Catalog,
    folder: &FolderRecord,
    path: &Path,
    changed: bool,
    visit: impl FnMut(&Path) + Send + 'static,
) -> Result<u64, CatalogError> {
    let root = PathBuf::from(&folder.path);
    let away = look_at_mounts(catalog, &root)?;
    let drive_is_away = away.iter().any(|mount| root.starts_with(mount));
    let missing = drive_is_away || !is_there(&root);
    catalog.set_missing(folder.id, missing)?;
    let gone = !drive_is_away
        && root.parent().is_some_and(Path::is_dir)
        && catalog.has_file(&folder.path)?;
    if missing && !gone {
        return Ok(0);
    }
    let newest = catalog.newest_file()?;
    let excluded = catalog.exclusions(folder.id)?;
    let (start, rules) = (path.to_owned(), folder.rules.clone());
    let Discovered { found, mut unreadable, mounts } = {
        let root = root.clone();
        spawn_blocking(move || discover(&root, &start, &rules, &excluded, visit))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    };
    // The drive that the folder itself lies on.
    let below = root.ancestors().skip(1).find(|above| is_mounted(above)).map(Path::to_owned);
    for mount in mounts.into_iter().chain(below) {
        catalog.set_mount(&mount.to_string_lossy(), Some(false))?;
    }
    unreadable.extend(away.iter().map(|mount| mount.to_string_lossy().into_owned()));
    let look = Look {
        root: &path.to_string_lossy(),
        found: &found,
        unreadable: &unreadable,
        newest,
        now: now(),
        urgent: changed && found.len() <= FEW,
    };
    catalog.reconcile(folder.id, &look)
}

/// Notes which of the drives that were at or below `root`, or that it was on, are away.
/// Returns where they were.
fn look_at_mounts(catalog: &Catalog, root: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let mut away = Vec::new();
    for (path, is_away) in mounts(catalog)? {
        if !root.starts_with(&path) && !path.starts_with(root) {
            continue;
        }
        let now = mount_is_away(&path);
        if now != Some(is_away) {
            catalog.set_mount(&path.to_string_lossy(), now)?;
        }
        if now == Some(true) {
            away.push(path);
        }
    }
    Ok(away)
}

/// The places where drives are or were, and whether they were away.
pub(crate) fn mounts(catalog: &Catalog) -> Result<BTreeMap<PathBuf, bool>, CatalogError> {
    Ok(catalog.mounts()?.into_iter().map(|mount| (mount.path.into(), mount.away)).collect())
}

/// Whether nothing is mounted at a place where a drive was; `None` where something else is
/// at the place by now. An empty folder, or none, is what a drive leaves behind.
pub(crate) fn mount_is_away(path: &Path) -> Option<bool> {
    if is_mounted(path) {
        return Some(false);
    }
    let is_empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
    is_empty.then_some(true)
}

/// Whether a folder or file, and not a link that may lead elsewhere, lies at `path`.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() || found.is_file())
}

/// Whether the file at `path`, which one of `folders` holds, or the archive that it is in, is no
/// more, and not just away with its drive: a look at the folder would forget it. Folders on other computers are not asked.
pub fn is_gone(
    catalog: &Catalog,
    folders: &[FolderRecord],
    path: &Path,
) -> Result<bool, CatalogError> {
    let Some(folder) = folder_of(folders, path).filter(|folder| folder.polled.is_none()) else {
        return Ok(false);
    };
    let missing = fs::symlink_metadata(path).is_err_and(|error| discover::is_gone(&error));
    if !missing || archive_of(path).is_some() {
        return Ok(false);
    }
    let root = Path::new(&folder.path);
    let root = if root == path { root.parent().unwrap_or(root) } else { root };
    let away = |mount: &PathBuf| path.starts_with(mount) && mount_is_away(mount) == Some(true);
    Ok(root.is_dir() && !mounts(catalog)?.keys().any(away))
}

/// The folder that `path` belongs to: the innermost where one lies in another.
pub(crate) fn folder_of<'a>(folders: &'a [FolderRecord], path: &Path) -> Option<&'a FolderRecord> {
    folders
        .iter()
        .filter(|folder| path.starts_with(&folder.path))
        .max_by_key(|folder| folder.path.len())
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}
