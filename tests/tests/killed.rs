//! Killed at any moment, the library comes back by itself and ends complete.
//!
//! `LECTERN_KILLS` says how often it is killed (a dozen times where it does not), and
//! `LECTERN_SEED` at which moments. In full:
//! `LECTERN_KILLS=200 cargo test --workspace --test killed`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lectern_tests::{Library, archive, word};
use serde_json::{Value, json};

/// So many files are there from the beginning.
const FILES: usize = 300;

/// A process lives for up to so many milliseconds.
const LONGEST_LIFE: u64 = 2_500;

/// SplitMix64: the same numbers everywhere.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// So many of them are in an archive.
const MEMBERS: usize = 4;

/// The folder, and the word of its own that each file holds, also those in archives.
struct Documents {
    folder: PathBuf,
    archives: Vec<PathBuf>,
    words: BTreeMap<PathBuf, String>,
    written: usize,
}

impl Documents {
    /// A text with a word of its own.
    fn text(&mut self, path: &Path) -> String {
        let word = word(self.written, 5);
        self.written += 1;
        let story = "The keeper of the lighthouse wrote down what the night had brought. ";
        let sections: Vec<String> = (0..1 + self.written % 3)
            .map(|section| format!("# Part {section}\n\n{word} {}", story.repeat(4)))
            .collect();
        self.words.insert(path.to_owned(), word);
        sections.join("\n\n")
    }

    fn write(&mut self, name: &str) {
        let path = self.folder.join(name);
        let text = self.text(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }

    /// Makes an archive, or puts another one in its place: one member has gone, one has come.
    fn pack(&mut self, path: PathBuf) {
        self.words.retain(|file, _| !file.starts_with(&path));
        let first = self.written % 2;
        let names = (first..first + MEMBERS).map(|number| format!("in/{number}.md"));
        let members: Vec<(String, String)> =
            names.map(|name| (name.clone(), self.text(&path.join(name)))).collect();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, archive(&members)).unwrap();
        if !self.archives.contains(&path) {
            self.archives.push(path);
        }
    }

    /// What people do between two starts of the program.
    fn change(&mut self, dice: &mut u64) {
        let is_plain = |path: &&PathBuf| !self.archives.iter().any(|one| path.starts_with(one));
        let paths: Vec<PathBuf> = self.words.keys().filter(is_plain).cloned().collect();
        let any = |dice: &mut u64| paths[(random(dice) % paths.len() as u64) as usize].clone();
        for _ in 0..5 {
            let name = format!("new/{}.md", self.written);
            self.write(&name);
        }
        let edited = any(dice);
        self.write(edited.strip_prefix(self.folder.clone()).unwrap().to_str().unwrap());
        let gone = any(dice);
        fs::remove_file(&gone).unwrap();
        self.words.remove(&gone);
        let moved = any(dice);
        if let Some(word) = self.words.remove(&moved) {
            let to = self.folder.join(format!("moved-{}.md", self.written));
            fs::rename(&moved, &to).unwrap();
            self.words.insert(to, word);
        }
        let any = |dice: &mut u64, of: &Self| (random(dice) % of.archives.len() as u64) as usize;
        let gone = self.archives.remove(any(dice, self));
        fs::remove_file(&gone).unwrap();
        self.words.retain(|file, _| !file.starts_with(&gone));
        let changed = self.archives[any(dice, self)].clone();
        self.pack(changed);
        self.pack(self.folder.join(format!("new/{}.zip", self.written)));
    }
}

#[test]
fn killed_at_random_moments_it_always_comes_back_and_ends_complete() {
    let (kills, seed) = (number("LECTERN_KILLS", 12), number("LECTERN_SEED", 7));
    let mut dice = seed;
    let library = Library::new();
    let mut documents = Documents {
        folder: library.folder(&[]),
        archives: Vec::new(),
        words: BTreeMap::new(),
        written: 0,
    };
    for n in 0..FILES {
        documents.write(&format!("{}/{n}.md", n % 7));
        if n % 30 == 0 {
            documents.pack(documents.folder.join(format!("{}/{n}.zip", n % 7)));
        }
    }
    let folder = documents.folder.to_str().unwrap().to_owned();
    for _ in 0..kills {
        let mut adding = library.start(&["add", &folder, "--wait", "--quiet"]);
        // No event marks a random moment.
        std::thread::sleep(Duration::from_millis(random(&mut dice) % LONGEST_LIFE));
        adding.kill().unwrap();
        adding.wait().unwrap();
        documents.change(&mut dice);
    }
    let report = library.json(&["add", &folder, "--wait"]);
    let count = (documents.words.len() + documents.archives.len()) as u64;
    assert_eq!(report["ready"], count, "seed {seed}: {report}");
    let status = library.json(&["status"]);
    assert_eq!((&status["pending"], &status["failed"]), (&json!(0), &json!(0)), "seed {seed}");
    assert_eq!(status["embedded_chunks"], status["chunks"], "seed {seed}");

    // Nothing is missing: every file is found by its own word, and by no other file's.
    let lines: Vec<String> = documents
        .words
        .values()
        .map(|word| json!({ "id": word, "question": word }).to_string())
        .collect();
    let questions = documents.folder.with_file_name("questions.jsonl");
    fs::write(&questions, lines.join("\n")).unwrap();
    let found = library.run(&[
        "batch",
        questions.to_str().unwrap(),
        "search",
        "-k",
        "10",
        "--mode",
        "lexical",
    ]);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let found = String::from_utf8(found.stdout).unwrap();
    let mut chunks = 0;
    for ((path, word), line) in documents.words.iter().zip(found.lines()) {
        let reply: Value = serde_json::from_str(line).unwrap();
        let hits = reply["hits"].as_array().unwrap();
        let places: HashSet<u64> = hits.iter().map(|hit| hit["start"].as_u64().unwrap()).collect();
        assert!(!hits.is_empty(), "seed {seed}: {word} of {} is missing", path.display());
        assert_eq!(hits.len(), places.len(), "seed {seed}: {word} is there twice");
        for hit in hits {
            assert_eq!(Path::new(hit["document"].as_str().unwrap()), path, "seed {seed}: {word}");
        }
        chunks += hits.len() as u64;
    }
    assert_eq!(status["chunks"], chunks, "seed {seed}");
    // And nothing that was forgotten is left.
    for check in library.json(&["doctor", "--forgotten", "/no/such/folder"]).as_array().unwrap() {
        assert_eq!(check["ok"], true, "seed {seed}: {check}");
    }
}
