//! The library follows the disk: whatever people and programs do to a folder, with the
//! program running or not, the library ends equal to it.
//!
//! A random walk of thousands of steps. `LECTERN_MODEL_SEED` and `LECTERN_MODEL_STEPS` choose
//! another one; a failure names its seed.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::{Cursor, Read as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use common::{World, archive};
use lectern_catalog::{FileState, FolderRules};
use lectern_domain::{ChunkId, DocumentId};
use lectern_ingest::{Until, look};
use tokio_util::sync::CancellationToken;

/// Longer than the library takes to settle on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

const NAMES: [&str; 13] = [
    "a.txt", "b.txt", "c.md", "d.md", "e.log", ".h.md", "bad.md", "x.log", "f", "~$g.md", "z.zip",
    "z.zip", "in.zip",
];
const FOLDERS: [&str; 8] =
    ["", "one", "two", "one/in", "node_modules", ".hidden", "two/deep/er", "one/in.zip"];
const MEMBERS: [&str; 9] = [
    "a.txt",
    "c.md",
    "in/b.txt",
    "in//b.txt",
    ".h.md",
    "node_modules/a.txt",
    "in.zip",
    "in.zip/d.txt",
    "__MACOSX/a.txt",
];
/// As an archive begins.
const NO_ARCHIVE: &[u8] = b"PK\x03\x04 and no more";
const PATTERNS: [&str; 6] = ["*.md", "*.log", "bad.md", "!bad.md", "in", "!x.log"];

/// A small generator (SplitMix64) of the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A folder that somebody works in, and what they think of it.
struct Disk {
    folder: PathBuf,
    /// A place outside, which links lead to.
    outside: PathBuf,
    rules: FolderRules,
    excluded: BTreeSet<PathBuf>,
    random: Random,
    done: Vec<String>,
}

impl Disk {
    fn new(world: &World, seed: u64) -> Self {
        let outside = world.folder().with_file_name("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret.md"), "Nobody may read this.").unwrap();
        Self {
            folder: world.folder(),
            outside,
            rules: FolderRules::default(),
            excluded: BTreeSet::new(),
            random: Random(seed),
            done: Vec::new(),
        }
    }

    /// A path that may or may not be there.
    fn any_path(&mut self) -> PathBuf {
        let folder = self.random.pick(&FOLDERS);
        self.folder.join(folder).join(self.random.pick(&NAMES))
    }

    fn any_folder(&mut self) -> PathBuf {
        let folder = self.random.pick(&FOLDERS[1..]);
        self.folder.join(folder)
    }

    /// Something to be written to `path`.
    fn content(&mut self, path: &Path) -> Vec<u8> {
        let is_archive = path.extension().is_some_and(|extension| extension == "zip");
        match self.random.below(8) {
            0 => NO_ARCHIVE.to_vec(),
            1.. if is_archive => self.archive(2),
            _ => self.text().into_bytes(),
        }
    }

    fn archive(&mut self, depth: usize) -> Vec<u8> {
        let mut members: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for _ in 0..self.random.below(4) {
            let name = self.random.pick(&MEMBERS);
            let content = match self.random.below(6) {
                0 => Vec::new(),
                1 if name == "in.zip" => NO_ARCHIVE.to_vec(),
                _ if depth > 0 && name == "in.zip" => self.archive(depth - 1),
                _ => self.text().into_bytes(),
            };
            members.insert(name, content);
        }
        archive(&members.into_iter().collect::<Vec<_>>())
    }

    /// Some text: often the same, so that files are copies of each other.
    fn text(&mut self) -> String {
        match self.random.below(3) {
            0 => format!("Word{} is written here.", self.random.below(8)),
            1 => format!("Of one length {:04}.", self.random.below(10_000)),
            _ => format!("Number {} for once.", self.random.next()),
        }
    }

    /// One thing that people and programs do. What the system refuses does not happen.
    async fn step(&mut self, world: &World) {
        let (path, other, folder) = (self.any_path(), self.any_path(), self.any_folder());
        let what = self.random.below(26);
        match what {
            0..=4 => {
                fs::create_dir_all(path.parent().unwrap()).ok();
                let content = self.content(&path);
                fs::write(&path, content).ok();
            }
            5 | 6 => {
                // Twice within one tick of the clock, of the same length.
                for _ in 0..2 {
                    let text = format!("Of one length {:04}.", self.random.below(10_000));
                    let content = match path.extension() {
                        Some(name) if name == "zip" => archive(&[("a.txt", text)]),
                        _ => text.into_bytes(),
                    };
                    if path.exists() {
                        fs::write(&path, content).ok();
                    }
                }
            }
            7 => {
                // As editors save.
                let (content, new) = (self.content(&path), path.with_extension("tmp~"));
                if path.exists() {
                    fs::write(&new, content).ok();
                    fs::rename(&new, &path).ok();
                }
            }
            8 | 9 => {
                fs::rename(&path, &other).ok();
            }
            10 => {
                fs::copy(&path, &other).ok();
            }
            11 | 12 => {
                fs::remove_file(&path).ok();
            }
            13 => {
                let to = self.any_folder();
                fs::rename(&folder, to).ok();
            }
            14 => {
                // A new folder full of files, moved in at once.
                let new = self.outside.join("new");
                fs::create_dir_all(new.join("in")).ok();
                for name in ["a.txt", "in/b.txt", "in/c.md", "in/z.zip"] {
                    let path = new.join(name);
                    let content = self.content(&path);
                    fs::write(path, content).ok();
                }
                if fs::rename(&new, &folder).is_err() {
                    fs::remove_dir_all(&new).ok();
                }
            }
            15 => {
                fs::remove_dir_all(&folder).ok();
            }
            16 => {
                fs::create_dir_all(&folder).ok();
            }
            17 => permit(&path, self.random.pick(&[0o600, 0o640, 0o644])),
            18 => {
                // A copy that keeps the time of another day.
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
                if let Ok(file) = fs::File::options().write(true).open(&path) {
                    file.set_modified(time).ok();
                }
            }
            19 => {
                if path.exists() {
                    fs::write(&path, "").ok();
                }
            }
            20 => {
                let to = self.random.pick(&[
                    self.outside.join("secret.md"),
                    self.outside.clone(),
                    self.folder.clone(),
                    other,
                ]);
                link(&to, &path);
            }
            21 | 22 => {
                let above = self.random.pick(&FOLDERS);
                let file = self.folder.join(above).join(".lecternignore");
                let lines = [self.random.pick(&PATTERNS), self.random.pick(&PATTERNS)];
                if self.random.below(3) == 0 {
                    fs::remove_file(file).ok();
                } else {
                    fs::write(file, lines.join("\n")).ok();
                }
            }
            23 => {
                self.rules = FolderRules {
                    ignore: (0..self.random.below(3))
                        .map(|_| self.random.pick(&PATTERNS).to_owned())
                        .collect(),
                    hidden: self.random.below(2) == 0,
                    kinds: if self.random.below(4) == 0 { vec!["txt".into()] } else { vec![] },
                    max_bytes: (self.random.below(4) == 0).then_some(22),
                };
                let id = world.catalog.folders().unwrap()[0].id;
                world.catalog.set_rules(id, &self.rules).unwrap();
                world.wake.notify_one();
            }
            24 => {
                // Forgotten on purpose; it may be in an archive.
                let path = match self.random.below(2) {
                    0 => path.join(self.random.pick(&MEMBERS)).components().collect(),
                    _ => path.clone(),
                };
                world.catalog.remove_path(path.to_str().unwrap()).unwrap();
                self.excluded.insert(path.clone());
                world.wake.notify_one();
            }
            _ => {
                // And wanted again: all that is below has to be looked at.
                let root = self.folder.to_str().unwrap();
                let folder = world.catalog.add_folder(root, 0).unwrap();
                self.excluded.clear();
                look(&world.catalog, &folder, &self.folder).await.unwrap();
                world.wake.notify_one();
            }
        }
        self.done.push(format!("{what} {} {}", self.name(&path), self.name(&folder)));
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    /// What the library should hold: path and text, or why not.
    fn expected(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        self.walk(&self.folder, &mut files);
        files
    }

    fn walk(&self, folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_symlink() || self.leaves_out(&path, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                self.walk(&path, files);
                continue;
            }
            let content = fs::read(&path).unwrap();
            if self.rules.max_bytes.is_some_and(|max| content.len() as u64 > max) {
                files.insert(self.name(&path), "skipped".to_owned());
            } else {
                self.read(&path, content, files);
            }
        }
    }

    /// What becomes of a file.
    fn read(&self, path: &Path, content: Vec<u8>, files: &mut BTreeMap<String, String>) {
        if !content.starts_with(b"PK") {
            let text = String::from_utf8(content).unwrap();
            let state = if text.is_empty() { "skipped".to_owned() } else { text };
            files.insert(self.name(path), state);
            return;
        }
        let (mut names, mut members) = (Vec::new(), BTreeMap::new());
        let is_whole = unpack(content, "", &mut names, &mut members);
        let is_named = path.extension().is_some_and(|extension| extension == "zip");
        let state = match is_whole {
            true if names.is_empty() => "skipped".to_owned(),
            true => names.join("\n\n"),
            false if is_named => "failed".to_owned(),
            false => "skipped".to_owned(),
        };
        files.insert(self.name(path), state);
        for (name, state) in members {
            let member = path.join(name);
            if !member.ancestors().any(|above| self.excluded.contains(above)) {
                files.insert(self.name(&member), state);
            }
        }
    }

    /// The rules once more, as plainly as can be.
    fn leaves_out(&self, path: &Path, is_folder: bool) -> bool {
        let name = path.file_name().unwrap().to_str().unwrap();
        let says = |patterns: &[String]| {
            let fits = |pattern: &str| match pattern.strip_prefix('*') {
                Some(end) => name.ends_with(end),
                None => name == pattern,
            };
            patterns.iter().rev().find_map(|pattern| match pattern.strip_prefix('!') {
                Some(pattern) => fits(pattern).then_some(false),
                None => fits(pattern).then_some(true),
            })
        };
        let file = |folder: &Path| {
            let text = fs::read_to_string(folder.join(".lecternignore")).unwrap_or_default();
            says(&text.lines().map(str::to_owned).collect::<Vec<_>>())
        };
        if self.excluded.contains(path) {
            return true;
        }
        let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder));
        let said = above.into_iter().find_map(file).or_else(|| says(&self.rules.ignore));
        let never = ["node_modules", ".lecternignore"].contains(&name) || name.starts_with("~$");
        let out = said.unwrap_or(never || name.starts_with('.') && !self.rules.hidden);
        let kind = is_folder
            || self.rules.kinds.is_empty()
            || [".txt", ".log"].iter().any(|end| name.ends_with(end));
        out || !kind
    }
}

/// What is in an archive: the names that it tells, in its order, and what becomes of each member.
/// Returns whether it is an archive.
fn unpack(
    content: Vec<u8>,
    prefix: &str,
    names: &mut Vec<String>,
    members: &mut BTreeMap<String, String>,
) -> bool {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(content)) else { return false };
    // Of one path the last one counts, at the place of the first.
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let name = member.name().unwrap().replace("//", "/");
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        let wanted = !name.split('/').any(|step| step.starts_with('.') || step == "__MACOSX");
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = content,
            None if wanted => found.push((name, content)),
            None => {}
        }
    }
    for (name, content) in found {
        let path = format!("{prefix}{name}");
        let is_named_archive = content.starts_with(b"PK");
        if is_named_archive && unpack(content.clone(), &format!("{path}/"), names, members) {
            continue;
        }
        names.push(path.clone());
        let state = match String::from_utf8(content).unwrap() {
            _ if is_named_archive => "failed".to_owned(),
            text if text.is_empty() => "skipped".to_owned(),
            text => text,
        };
        if !path.contains("node_modules") {
            members.insert(path, state);
        }
    }
    true
}

#[cfg(unix)]
fn permit(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    if path.is_file() && !path.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).ok();
    }
}

#[cfg(not(unix))]
fn permit(_: &Path, _: u32) {}

#[cfg(unix)]
fn link(to: &Path, path: &Path) {
    std::os::unix::fs::symlink(to, path).ok();
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) {}

/// What the library holds, in the same words.
fn held(world: &World, folder: &Path) -> BTreeMap<String, String> {
    world
        .catalog
        .files(None)
        .unwrap()
        .into_iter()
        .map(|file| {
            let name = Path::new(&file.path).strip_prefix(folder).unwrap().display().to_string();
            let document = world.catalog.document_at(&file.path).unwrap();
            let state = match (file.state, document) {
                (FileState::Ready, Some(document)) => {
                    world.catalog.text(document.id).unwrap().unwrap()
                }
                (state, _) => state.as_str().to_owned(),
            };
            (name, state)
        })
        .collect()
}

/// What is wrong with the index, beside a library that is as it should be.
fn faults(world: &World) -> Option<String> {
    let chunks: HashSet<ChunkId> = world.catalog.chunk_ids().unwrap();
    let documents: HashSet<DocumentId> = world
        .catalog
        .files(None)
        .unwrap()
        .iter()
        // An archive has nothing to be found but its members.
        .filter(|file| file.chunks > 0)
        .filter_map(|file| world.catalog.document_at(&file.path).unwrap())
        .map(|document| document.id)
        .collect();
    let texts = world.index.texts.lock().unwrap();
    let vectors = world.index.vectors.lock().unwrap();
    let held: HashSet<DocumentId> = texts.values().map(|(document, _)| *document).collect();
    let remains = world.catalog.remains("/nowhere").unwrap();
    let checks = [
        (
            "the words of every chunk, and no others",
            texts.keys().copied().collect::<HashSet<_>>() == chunks,
        ),
        (
            "the vector of every chunk, and no others",
            vectors.keys().copied().collect::<HashSet<_>>() == chunks,
        ),
        ("documents that files hold, and no others", held == documents),
        ("nothing twice", world.index.twice.load(Ordering::SeqCst) == 0),
        ("nothing forgotten is left", remains.documents == 0 && remains.indexed == 0),
    ];
    let wrong: Vec<&str> = checks.iter().filter(|(_, well)| !well).map(|(what, _)| *what).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn difference(expected: &BTreeMap<String, String>, held: &BTreeMap<String, String>) -> String {
    let names: BTreeSet<&String> = expected.keys().chain(held.keys()).collect();
    let lines = names.into_iter().filter_map(|name| {
        let (disk, library) = (expected.get(name), held.get(name));
        (disk != library).then(|| format!("{name}: disk {disk:?}, library {library:?}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_program_running_the_next_start_makes_the_library_equal_to_the_disk() {
    let seed = number("LECTERN_MODEL_SEED", 1);
    let steps = number("LECTERN_MODEL_STEPS", 4_000);
    let world = World::new();
    let mut disk = Disk::new(&world, seed);
    let mut step = 0;
    while step < steps {
        for _ in 0..=disk.random.below(40) {
            disk.step(&world).await;
            step += 1;
        }
        // Now and then the program is killed in the middle of its work.
        if disk.random.below(2) == 0 {
            let changes = disk.random.below(30);
            let mut indexer = world.indexer(CancellationToken::new());
            tokio::select! {
                result = indexer.run(Until::Idle) => result.unwrap(),
                () = async { for _ in 0..changes { world.changed.notified().await } } => {}
            }
        }
        world.run().await.unwrap();
        let (expected, held) = (disk.expected(), held(&world, &disk.folder));
        let last = &disk.done[disk.done.len().saturating_sub(60)..];
        assert!(
            expected == held && faults(&world).is_none(),
            "seed {seed}, after {step} steps: {}\n{:?}\n{last:#?}",
            difference(&expected, &held),
            faults(&world)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_program_runs_the_library_follows_the_disk() {
    let seed = number("LECTERN_MODEL_SEED", 2);
    let steps = number("LECTERN_MODEL_STEPS", 4_000) / 4;
    let world = World::new();
    let mut disk = Disk::new(&world, seed);
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let mut running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    let mut step = 0;
    while step < steps {
        for _ in 0..=disk.random.below(60) {
            disk.step(&world).await;
            step += 1;
            // Steps fall into all moments of the work.
            for _ in 0..disk.random.below(3) {
                tokio::task::yield_now().await;
            }
        }
        let expected = disk.expected();
        let equal = async {
            while held(&world, &disk.folder) != expected || faults(&world).is_some() {
                world.changed.notified().await;
            }
        };
        tokio::select! {
            ended = &mut running => panic!("the indexer ended: {ended:?}"),
            waited = tokio::time::timeout(PATIENCE, equal) => {
                let last = &disk.done[disk.done.len().saturating_sub(60)..];
                assert!(
                    waited.is_ok(),
                    "seed {seed}, after {step} steps: {}\n{:?}\n{last:#?}",
                    difference(&expected, &held(&world, &disk.folder)),
                    faults(&world)
                );
            }
        }
    }
    cancel.cancel();
    running.await.unwrap().unwrap();
}
