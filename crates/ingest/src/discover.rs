//! What lies on the disk below a folder.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use ignore::{DirEntry, WalkBuilder};
use lectern_catalog::FoundFile;
use lectern_extract::MAX_FILE_BYTES;

/// Folders that hold what programs made, not what people wrote.
const IGNORED_FOLDERS: [&str; 5] =
    ["node_modules", "__pycache__", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"];

/// Files that lie beside documents and are none.
const IGNORED_FILES: [&str; 3] = ["Thumbs.db", "desktop.ini", "Icon\r"];

/// What lies at and below a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The files, in no particular order.
    pub found: Vec<FoundFile>,
    /// Paths that could not be looked at.
    pub unreadable: Vec<String>,
}

/// The files at and below `root`, which lies at or below the watched folder
/// `folder`, without hidden files, symbolic links and what is in `exclusions`.
/// Blocks while it walks.
pub fn discover(folder: &Path, root: &Path, exclusions: &HashSet<PathBuf>) -> Discovered {
    let mut discovered = Discovered::default();
    // A change was seen at `root`; it may lie inside something that is left out.
    let inside = root.ancestors().take_while(|path| *path != folder && path.starts_with(folder));
    if inside.into_iter().any(|path| is_left_out(path, exclusions)) {
        return discovered;
    }
    let excluded = exclusions.clone();
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .follow_links(false)
        .filter_entry(move |entry| entry.depth() == 0 || !is_left_out(entry.path(), &excluded))
        .build();
    for entry in walk {
        let seen = entry.and_then(|entry| found_file(&entry));
        match seen {
            Ok(file) => discovered.found.extend(file),
            // Gone since it was listed.
            Err(error) if error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) => {
            }
            Err(error) => {
                tracing::warn!("passed over while looking at {}: {error}", root.display());
                let path = path_of(&error).unwrap_or(root);
                discovered.unreadable.push(path.to_string_lossy().into_owned());
            }
        }
    }
    discovered
}

/// The path that a walk failed at.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}

fn is_left_out(path: &Path, exclusions: &HashSet<PathBuf>) -> bool {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    name.starts_with('.')
        || name.starts_with("~$") // an office program's lock file
        || IGNORED_FOLDERS.contains(&name.as_ref())
        || IGNORED_FILES.contains(&name.as_ref())
        || exclusions.contains(path)
}

fn found_file(entry: &DirEntry) -> Result<Option<FoundFile>, ignore::Error> {
    if !entry.file_type().is_some_and(|kind| kind.is_file()) {
        return Ok(None);
    }
    let metadata = entry.metadata()?;
    let modified = modified_nanoseconds(&metadata);
    let skip = if entry.path().to_str().is_none() {
        Some("The file's name is not valid Unicode; rename it to have it read.".to_owned())
    } else if metadata.len() == 0 {
        Some("The file is empty.".to_owned())
    } else if metadata.len() > MAX_FILE_BYTES {
        Some(format!("The file is larger than {} MB.", MAX_FILE_BYTES / (1024 * 1024)))
    } else {
        None
    };
    let path = entry.path().to_string_lossy().into_owned();
    Ok(Some(FoundFile { path, size: metadata.len(), modified, skip }))
}

/// A file's last change in nanoseconds since 1970; 0 where the system does not say.
pub fn modified_nanoseconds(metadata: &Metadata) -> i64 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path, root: &Path, exclusions: &HashSet<PathBuf>) -> Vec<String> {
        let mut names: Vec<String> = discover(folder, root, exclusions)
            .found
            .into_iter()
            .map(|file| {
                Path::new(&file.path).strip_prefix(folder).unwrap().display().to_string()
                    + file.skip.map_or("", |_| " (skipped)")
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn finds_documents_and_leaves_out_what_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in [
            "a.md",
            "sub/b.txt",
            "sub/deep/c.pdf",
            ".hidden/d.md",
            ".e.md",
            "node_modules/f.md",
            "sub/node_modules/x/g.md",
            "~$draft.docx",
            "Thumbs.db",
            "secret/h.md",
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(root.join("empty.txt"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(root, root.join("sub/loop")).unwrap();
        let exclusions = HashSet::from([root.join("secret")]);
        let cases: [(&str, &[&str]); 7] = [
            ("", &["a.md", "empty.txt (skipped)", "sub/b.txt", "sub/deep/c.pdf"]),
            ("sub", &["sub/b.txt", "sub/deep/c.pdf"]),
            ("sub/b.txt", &["sub/b.txt"]),
            ("secret/h.md", &[]),
            (".hidden", &[]),
            ("sub/node_modules/x/g.md", &[]),
            ("gone", &[]),
        ];
        for (start, expected) in cases {
            let start = if start.is_empty() { root.to_owned() } else { root.join(start) };
            assert_eq!(names(root, &start, &exclusions), expected, "{}", start.display());
        }
    }
}
