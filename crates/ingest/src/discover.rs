//! What lies on the disk below a folder.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use lectern_catalog::{FolderRules, FoundFile};
use lectern_domain::DocumentKind;
use lectern_extract::{MAX_FILE_BYTES, is_read_in_pieces};

use crate::rules::Sieve;

/// What lies at and below a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The files, in no particular order.
    pub found: Vec<FoundFile>,
    /// Paths that could not be looked at.
    pub unreadable: Vec<String>,
    /// Folders that another file system is mounted at.
    pub mounts: Vec<PathBuf>,
}

/// The files at and below `root`, which lies at or below the watched folder `folder`,
/// as far as they belong to the library by `rules` and are not `excluded`. Symbolic links
/// are not followed: they may lead out of the folder, or in a circle. `visit` is called
/// with every folder before it is listed, so that what changes in it afterwards can be
/// watched. Blocks while it walks.
pub fn discover(
    folder: &Path,
    root: &Path,
    rules: &FolderRules,
    excluded: &HashSet<PathBuf>,
    mut visit: impl FnMut(&Path),
) -> Discovered {
    let mut discovered = Discovered::default();
    let mut sieve = Sieve::new(folder, rules, excluded);
    // A change was seen at `root`; it may lie inside something that is left out, or
    // behind a link.
    let between = root.ancestors().skip(1).take_while(|path| path.starts_with(folder));
    for above in between {
        let left_out = above != folder && sieve.leaves_out(above, true);
        if left_out || fs::symlink_metadata(above).is_ok_and(|above| above.is_symlink()) {
            return discovered;
        }
    }
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        if let Err(error) =
            look_at(&path, root, folder, rules, &mut sieve, &mut |found| match found {
                Found::File(file) => discovered.found.push(file),
                Found::Folder(path) => waiting.push(path),
                Found::Mount(path) => discovered.mounts.push(path),
                Found::Visited(path) => visit(path),
            })
            && !is_gone(&error)
        {
            tracing::warn!("{} is passed over: {error}", path.display());
            discovered.unreadable.push(path.to_string_lossy().into_owned());
        }
    }
    discovered
}

enum Found<'a> {
    File(FoundFile),
    Folder(PathBuf),
    Mount(PathBuf),
    Visited(&'a Path),
}

fn look_at(
    path: &Path,
    root: &Path,
    folder: &Path,
    rules: &FolderRules,
    sieve: &mut Sieve<'_>,
    tell: &mut impl FnMut(Found<'_>),
) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if path == root {
        // Whatever is below was sieved when its folder was listed.
        if path != folder && sieve.leaves_out(path, metadata.is_dir()) {
            return Ok(());
        }
        if metadata.is_file() {
            tell(Found::File(found_file(path, &metadata, rules)));
        }
    }
    if !metadata.is_dir() {
        return Ok(());
    }
    if is_mount_point(path, &metadata) {
        tell(Found::Mount(path.to_owned()));
    }
    tell(Found::Visited(path));
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let path = entry.path();
        let seen = entry.file_type().and_then(|kind| {
            let file = kind.is_file();
            if !(file || kind.is_dir()) || sieve.leaves_out(&path, !file) {
                return Ok(None);
            }
            if !file {
                return Ok(Some(Found::Folder(path.clone())));
            }
            Ok(Some(Found::File(found_file(&path, &entry.metadata()?, rules))))
        });
        match seen {
            Ok(found) => found.into_iter().for_each(&mut *tell),
            // Gone since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn found_file(path: &Path, metadata: &Metadata, rules: &FolderRules) -> FoundFile {
    let too_large = |limit: u64| format!("The file is larger than {} MB.", limit / (1024 * 1024));
    let size = metadata.len();
    let skip = if path.to_str().is_none() {
        Some("The file's name is not valid Unicode; rename it to have it read.".to_owned())
    } else if size == 0 {
        Some("The file is empty.".to_owned())
    } else if size > MAX_FILE_BYTES && !kind_of(path).is_some_and(is_read_in_pieces) {
        Some(too_large(MAX_FILE_BYTES))
    } else {
        let limit = rules.max_bytes.filter(|limit| size > *limit);
        limit.map(|limit| too_large(limit) + " The folder's rules leave it out.")
    };
    FoundFile {
        path: path.to_string_lossy().into_owned(),
        size,
        modified: modified_nanoseconds(metadata),
        stamp: stamp(metadata),
        skip,
    }
}

/// The kind that a file's name stands for.
fn kind_of(path: &Path) -> Option<DocumentKind> {
    DocumentKind::from_extension(path.extension()?.to_str()?)
}

/// Nanoseconds since 1970; 0 where the system does not say.
fn nanoseconds(time: io::Result<SystemTime>) -> i64 {
    time.ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// A file's last change in nanoseconds since 1970; 0 where the system does not say.
pub fn modified_nanoseconds(metadata: &Metadata) -> i64 {
    nanoseconds(metadata.modified())
}

/// When the file, or its entry in the file system, was last changed: programs can set the
/// time of the last change back, but not this one. In nanoseconds since 1970, never 0.
#[cfg(unix)]
pub(crate) fn stamp(metadata: &Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()).max(1)
}

#[cfg(not(unix))]
pub(crate) fn stamp(metadata: &Metadata) -> i64 {
    modified_nanoseconds(metadata).max(1)
}

/// Whether a change of the file after `now` would show in its [`stamp`]: not where it was
/// changed in the same tick of the file system's clock.
pub(crate) fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    const TICK: i64 = 20_000_000;
    const COARSE_TICK: i64 = 2_000_000_000;
    let stamp = stamp(metadata);
    let tick = if stamp % 1_000_000_000 == 0 { COARSE_TICK } else { TICK };
    nanoseconds(Ok(now)).saturating_sub(stamp) > tick
}

/// Whether another file system begins at this folder.
pub(crate) fn is_mounted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| is_mount_point(path, &metadata))
}

#[cfg(unix)]
fn is_mount_point(path: &Path, metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.parent()
        .and_then(|parent| fs::symlink_metadata(parent).ok())
        .is_some_and(|parent| parent.dev() != metadata.dev())
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path, _: &Metadata) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn names(
        folder: &Path,
        start: &str,
        rules: &FolderRules,
        excluded: &HashSet<PathBuf>,
    ) -> Vec<String> {
        let start = if start.is_empty() { folder.to_owned() } else { folder.join(start) };
        let mut names: Vec<String> = discover(folder, &start, rules, excluded, |_| {})
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
        let none = [
            ".hidden/d.md",
            ".e.md",
            "node_modules/f.md",
            "sub/node_modules/x/g.md",
            "~$draft.docx",
            "Thumbs.db",
            "Notes.app/Contents/h.md",
            "secret/h.md",
            "built/i.md",
        ];
        for path in none.iter().chain(&["a.md", "sub/b.txt", "sub/deep/c.pdf", "Icon/j.md"]) {
            write(root, &[(path, "x")]);
        }
        write(root, &[("empty.txt", ""), ("built/CACHEDIR.TAG", "")]);
        #[cfg(unix)]
        for (to, name) in [(root.to_owned(), "sub/loop"), (root.join("a.md"), "sub/same.md")] {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        }
        let excluded = HashSet::from([root.join("secret")]);
        let cases: [(&str, &[&str]); 11] = [
            ("", &["Icon/j.md", "a.md", "empty.txt (skipped)", "sub/b.txt", "sub/deep/c.pdf"]),
            ("sub", &["sub/b.txt", "sub/deep/c.pdf"]),
            ("sub/b.txt", &["sub/b.txt"]),
            ("secret/h.md", &[]),
            (".hidden", &[]),
            ("sub/node_modules/x/g.md", &[]),
            ("built/i.md", &[]),
            ("sub/loop", &[]),
            ("sub/loop/a.md", &[]),
            ("sub/same.md", &[]),
            ("gone", &[]),
        ];
        for (start, expected) in cases {
            let found = names(root, start, &FolderRules::default(), &excluded);
            assert_eq!(found, expected, "{start}");
        }
    }

    #[test]
    fn only_what_is_read_in_pieces_may_be_larger_than_a_reader_can_hold() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["large.log", "large.zip", "large.mbox", "large.pdf", "large.html", "large"] {
            // Of holes, which take no room on the disk.
            fs::File::create(directory.path().join(name)).unwrap().set_len(2 << 30).unwrap();
        }
        let found = names(directory.path(), "", &FolderRules::default(), &HashSet::new());
        let expected = [
            "large (skipped)",
            "large.html (skipped)",
            "large.log",
            "large.mbox",
            "large.pdf (skipped)",
            "large.zip",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn rules_and_ignore_files_say_what_belongs_to_the_library() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let files = [
            ("a.md", "a"),
            ("big.txt", "a text of many characters"),
            ("drafts/b.md", "b"),
            ("drafts/keep.md", "b"),
            (".notes/c.md", "c"),
            (".git/d.md", "d"),
            ("node_modules/e.md", "e"),
            ("sub/build/f.md", "f"),
            ("build/g.md", "g"),
        ];
        write(root, &files);
        let all =
            ["a.md", "big.txt", "build/g.md", "drafts/b.md", "drafts/keep.md", "sub/build/f.md"];
        let ignore = |patterns: &[&str]| FolderRules {
            ignore: patterns.iter().map(ToString::to_string).collect(),
            ..FolderRules::default()
        };
        let without = |gone: &[&str]| -> Vec<String> {
            all.iter().filter(|name| !gone.contains(name)).map(ToString::to_string).collect()
        };
        let with = |more: &str| {
            let mut names = without(&[]);
            names.push(more.to_owned());
            names.sort();
            names
        };
        let big = FolderRules { max_bytes: Some(20), ..FolderRules::default() };
        let kinds = FolderRules { kinds: vec!["txt".into()], ..FolderRules::default() };
        let hidden = FolderRules { hidden: true, ..FolderRules::default() };
        let cases: [(FolderRules, Vec<String>); 9] = [
            (ignore(&[]), without(&[])),
            (ignore(&["drafts/"]), without(&["drafts/b.md", "drafts/keep.md"])),
            (ignore(&["drafts/*", "!keep.md"]), without(&["drafts/b.md"])),
            (ignore(&["/build"]), without(&["build/g.md"])),
            (ignore(&["# none", "", "*.tx[t]"]), without(&["big.txt"])),
            (ignore(&["!node_modules/"]), with("node_modules/e.md")),
            (kinds, vec!["big.txt".into()]),
            (hidden, with(".notes/c.md")),
            (big, {
                let mut names = without(&["big.txt"]);
                names.insert(1, "big.txt (skipped)".into());
                names
            }),
        ];
        for (rules, expected) in cases {
            assert_eq!(names(root, "", &rules, &HashSet::new()), expected, "{rules:?}");
        }
        // The file in the folder, the inner one before the outer one and both before the rules.
        write(root, &[(".lecternignore", "*.md"), ("sub/.lecternignore", "!f.md")]);
        let found = names(root, "", &ignore(&["big.txt"]), &HashSet::new());
        assert_eq!(found, ["sub/build/f.md"]);
        assert_eq!(names(root, "a.md", &ignore(&[]), &HashSet::new()), [""; 0]);
    }
}
