//! What inside a folder belongs to the library.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use lectern_catalog::FolderRules;
use lectern_domain::DocumentKind;

/// A file of patterns, in the syntax of `.gitignore`, for the folder it lies in.
pub(crate) const IGNORE_FILE: &str = ".lecternignore";

/// What programs made for themselves, not what people wrote: left out unless a pattern
/// such as `!node_modules` brings it back.
const DEFAULTS: [&str; 34] = [
    // Programs' own files beside people's.
    "node_modules/",
    "bower_components/",
    "__pycache__/",
    "__MACOSX/",
    "site-packages/",
    "Caches/",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "lost+found/",
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".cache/",
    ".npm/",
    ".cargo/",
    ".rustup/",
    ".venv/",
    ".tox/",
    ".Trash*/",
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    "Icon[\r]",
    IGNORE_FILE,
    // The lock files of office programs.
    "~$*",
    ".~lock.*",
    // Folders that are shown as one thing: applications and collections.
    "*.app/",
    "*.framework/",
    "*.bundle/",
    "*.photoslibrary/",
    "*.xcodeproj/",
    "*.lproj/",
];

/// Marks a folder as a cache, wherever it is: <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// A pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern of .gitignore's syntax: {reason}")]
pub struct BadPattern {
    /// As it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Says which of these patterns cannot be used, if one cannot.
pub fn check_patterns(patterns: &[String]) -> Result<(), BadPattern> {
    let mut builder = GitignoreBuilder::new("/");
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|error| BadPattern { pattern: pattern.clone(), reason: error.to_string() })?;
    }
    Ok(())
}

/// Whether the member of an archive at `path`, below the archive, is what a program made for itself.
pub(crate) fn is_of_programs(path: &str) -> bool {
    static PATTERNS: LazyLock<Gitignore> =
        LazyLock::new(|| patterns(Path::new(""), DEFAULTS.into_iter()));
    PATTERNS.matched_path_or_any_parents(path, false).is_ignore()
}

/// Tells what belongs to the library and what does not, inside one folder.
pub(crate) struct Sieve<'a> {
    folder: &'a Path,
    rules: &'a FolderRules,
    kinds: Vec<DocumentKind>,
    excluded: &'a HashSet<PathBuf>,
    /// The patterns of the folder's rules, and below them the defaults.
    patterns: [Gitignore; 2],
    /// The patterns of the ignore files, by the folder that they lie in.
    files: HashMap<PathBuf, Gitignore>,
}

impl<'a> Sieve<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        rules: &'a FolderRules,
        excluded: &'a HashSet<PathBuf>,
    ) -> Self {
        let rule = patterns(folder, rules.ignore.iter().map(String::as_str));
        let defaults = patterns(folder, DEFAULTS.into_iter());
        let kinds = rules.kinds.iter().filter_map(|kind| DocumentKind::parse(kind)).collect();
        Self { folder, rules, kinds, excluded, patterns: [rule, defaults], files: HashMap::new() }
    }

    /// Whether `path`, inside the folder, is left out. What lies in something that is
    /// left out is left out as well, which is not looked at here.
    pub(crate) fn leaves_out(&mut self, path: &Path, is_directory: bool) -> bool {
        if self.excluded.contains(path) {
            return true;
        }
        match self.pattern(path, is_directory) {
            Match::Ignore(()) => return true,
            Match::Whitelist(()) => {}
            Match::None => {
                let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
                let hidden = name.starts_with('.') && !self.rules.hidden;
                if hidden || is_directory && path.join(CACHE_TAG).exists() {
                    return true;
                }
            }
        }
        !is_directory && !self.kinds.is_empty() && !self.is_of_a_kind(path)
    }

    /// What the innermost pattern for the path says.
    fn pattern(&mut self, path: &Path, is_directory: bool) -> Match<()> {
        let inside = path.ancestors().skip(1).take_while(|above| above.starts_with(self.folder));
        for above in inside {
            let file = self.files.entry(above.to_owned()).or_insert_with(|| ignore_file(above));
            let found = file.matched(path, is_directory);
            if !found.is_none() {
                return found.map(|_| ());
            }
        }
        let [rules, defaults] = &self.patterns;
        rules.matched(path, is_directory).or(defaults.matched(path, is_directory)).map(|_| ())
    }

    fn is_of_a_kind(&self, path: &Path) -> bool {
        path.extension()
            .and_then(OsStr::to_str)
            .and_then(DocumentKind::from_extension)
            .is_some_and(|kind| self.kinds.contains(&kind))
    }
}

fn patterns<'a>(folder: &Path, lines: impl Iterator<Item = &'a str>) -> Gitignore {
    let mut builder = GitignoreBuilder::new(folder);
    for line in lines {
        if let Err(error) = builder.add_line(None, line) {
            tracing::warn!("a pattern is passed over: {error}");
        }
    }
    builder.build().unwrap_or_else(|error| {
        tracing::warn!("patterns are passed over: {error}");
        Gitignore::empty()
    })
}

fn ignore_file(folder: &Path) -> Gitignore {
    let path = folder.join(IGNORE_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => patterns(folder, text.lines()),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!("{} is passed over: {error}", path.display());
            }
            Gitignore::empty()
        }
    }
}
