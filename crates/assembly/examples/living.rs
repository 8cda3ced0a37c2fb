//! How the library keeps up with the disk, with all its real parts, in one process as the window
//! has them. `living save FILES` imports so many files and meanwhile saves small ones, and says
//! after how long each is found by its words and by its meaning, and that it is not found any more
//! once it is deleted. `living edits EDITS` edits one file so often and brings the library up to
//! date after each edit, and says what that leaves on the disk and what a query takes.
//!
//! Models are found as by the program itself (`LECTERN_MODELS`).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use lectern_app::{App, Filter, SearchMode, SearchRequest};
use lectern_assembly::Options;
use tokio_util::sync::CancellationToken;

/// How often is asked whether a file is found: a search holds the import up, and must not be what is
/// measured.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Small files that are saved during each part of the import.
const SAVED: usize = 10;

/// How often the state is told while one file is edited.
const TOLD: usize = 10;

const SUBJECTS: [&str; 8] =
    ["harbour", "orchard", "railway", "glacier", "library", "kitchen", "theatre", "quarry"];

/// Some paragraphs that no other number gives.
fn story(number: usize) -> String {
    let paragraph = |part: usize| {
        let subject = SUBJECTS[(number + part) % SUBJECTS.len()];
        format!(
            "In the {subject} the keeper wrote down number {number} of part {part}, as on every \
             morning before. What the night had brought was entered under its own heading, with the \
             hour, the weather and the names of those who had been there. "
        )
        .repeat(2)
    };
    (0..5).map(paragraph).collect::<Vec<_>>().join("\n\n")
}

/// A word of its own for every number, of letters only.
fn word(number: usize) -> String {
    let letters: String =
        format!("{number:04}").bytes().map(|digit| char::from(b'k' + (digit - b'0'))).collect();
    format!("zq{letters}x")
}

async fn found(app: &App, query: &str, mode: SearchMode, path: &Path) -> bool {
    let request = SearchRequest { query: query.into(), k: 10, mode, filter: Filter::default() };
    let hits = app.search(&request).await.unwrap().hits;
    hits.iter().any(|hit| Path::new(&hit.document) == path)
}

async fn seconds_until_found(
    app: &App,
    query: &str,
    mode: SearchMode,
    path: &Path,
    since: Instant,
) -> f64 {
    while !found(app, query, mode, path).await {
        tokio::time::sleep(ASK_AGAIN).await;
    }
    since.elapsed().as_secs_f64()
}

/// Smallest, median and largest.
fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    format!("{:.3} / {median:.3} / {:.3} s", seconds[0], seconds[seconds.len() - 1])
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

struct World {
    directory: tempfile::TempDir,
    app: App,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let library = Some(directory.path().join("library"));
        let app = lectern_assembly::open(&Options { library, chat_model: None }).unwrap();
        fs::create_dir(directory.path().join("documents")).unwrap();
        Self { directory, app }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("documents").join(name)
    }

    async fn sync(&self) {
        self.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    }
}

async fn save(files: usize) {
    let world = World::new();
    for number in 0..files {
        fs::write(
            world.path(&format!("{number}.md")),
            format!("# Note {number}\n\n{}", story(number)),
        )
        .unwrap();
    }
    let app = &world.app;
    app.add(&[world.path("")]).await.unwrap();
    app.work_in_background();
    while app.status(false).unwrap().documents < 100 {
        tokio::time::sleep(ASK_AGAIN).await;
    }
    for (first, what) in [(0, "files are read"), (SAVED, "vectors are made")] {
        let mut status = app.status(false).unwrap();
        while first > 0 && status.pending > 0 {
            tokio::time::sleep(ASK_AGAIN).await;
            status = app.status(false).unwrap();
        }
        let (mut words, mut meanings, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for number in first..first + SAVED {
            let (path, word) = (world.path(&format!("saved {number}.md")), word(number));
            let text = format!("The ferryman {word} sings of the {number} lakes of the north.");
            let query = format!("the ferryman {word} sings of {number} lakes");
            let saved = Instant::now();
            fs::write(&path, text).unwrap();
            words.push(seconds_until_found(app, &word, SearchMode::Lexical, &path, saved).await);
            let semantic = SearchMode::Semantic;
            meanings.push(seconds_until_found(app, &query, semantic, &path, saved).await);
            fs::remove_file(&path).unwrap();
            let deleted = Instant::now();
            let is_found = found(app, &word, SearchMode::Hybrid, &path).await;
            assert!(!is_found, "found after it was deleted");
            gone.push(deleted.elapsed().as_secs_f64());
        }
        let status = app.status(false).unwrap();
        println!(
            "while {what} ({} of {files} read, {} of {} chunks with vectors at the end), \
             least / median / most:",
            status.documents, status.embedded_chunks, status.chunks
        );
        println!("  from saving to being found by words: {}", spread(words));
        println!("  by meaning: {}", spread(meanings));
        println!("  the query after deleting, which does not find it: {}", spread(gone));
    }
    app.shutdown();
}

async fn edits(count: usize) {
    let world = World::new();
    for number in 0..100 {
        fs::write(
            world.path(&format!("{number}.md")),
            format!("# Note {number}\n\n{}", story(number)),
        )
        .unwrap();
    }
    world.app.add(&[world.path("")]).await.unwrap();
    world.sync().await;
    let library = world.directory.path().join("library");
    let begin = Instant::now();
    let tell = async |edits: usize| {
        let mut times = Vec::new();
        for asked in 0..20 {
            let request = SearchRequest {
                query: format!("what was written down in the {}", SUBJECTS[asked % SUBJECTS.len()]),
                k: 10,
                mode: SearchMode::Hybrid,
                filter: Filter::default(),
            };
            times.push(world.app.search(&request).await.unwrap().milliseconds / 1e3);
        }
        let status = world.app.status(false).unwrap();
        println!(
            "{edits} edits after {:.0} s: {:.2} MB ({:.2} MB index), {} chunks, a query {}",
            begin.elapsed().as_secs_f64(),
            bytes_below(&library) as f64 / 1e6,
            bytes_below(&library.join("index")) as f64 / 1e6,
            status.chunks,
            spread(times)
        );
    };
    tell(0).await;
    let path = world.path("7.md");
    for edit in 1..=count {
        fs::write(&path, format!("# Note 7\n\n{} It was edited: {}.", story(7), word(edit)))
            .unwrap();
        world.sync().await;
        if edit % (count / TOLD).max(1) == 0 {
            tell(edit).await;
        }
    }
    assert!(found(&world.app, &word(count), SearchMode::Lexical, &path).await);
}

#[tokio::main]
async fn run() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let number = arguments.next().and_then(|number| number.parse().ok());
    match (what.as_str(), number) {
        ("save", Some(files)) => save(files).await,
        ("edits", Some(count)) => edits(count).await,
        _ => {
            println!("living save FILES | living edits EDITS");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    lectern_assembly::run_as_worker().unwrap_or_else(run)
}
