//! What the whole-program tests share: the program as a person starts it, on a
//! library of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The chat model of the tests: small enough to run everywhere. What it says does
/// not matter here, only what happens around it.
pub const CHAT_MODEL: &str = "smollm2-135m-instruct-q4_1";

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program of the workspace, built beside the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(path.exists(), "{} is missing: run the tests by `make test`", path.display());
    path
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A library in a folder that goes away with it, and the program on it.
pub struct Library {
    directory: TempDir,
}

impl Library {
    /// An empty library.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Its folder.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("library")
    }

    /// A folder beside it, made with these files.
    pub fn folder(&self, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.directory.path().canonicalize().unwrap().join("documents");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    /// The program, ready to be started.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        self.within(Command::new(program("lectern")), arguments)
    }

    /// `command` followed by arguments of the program, with this library.
    pub fn within<S: AsRef<std::ffi::OsStr>>(
        &self,
        mut command: Command,
        arguments: &[S],
    ) -> Command {
        command
            .args(arguments)
            .env("LECTERN_LIBRARY", self.path())
            .env("LECTERN_CHAT_MODEL", CHAT_MODEL)
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program with `--json` and returns what it printed.
    pub fn json<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// Starts the program and lets it run.
    pub fn start<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Asks for the library's state until it is as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || Some(self.json(&["status"])).filter(|status| wanted(status)))
    }

    /// The paths that a query finds, best first, each once.
    pub fn found(&self, arguments: &[&str]) -> Vec<String> {
        let reply = self.json(arguments);
        let mut found: Vec<String> = Vec::new();
        for hit in reply["hits"].as_array().unwrap() {
            let path = hit["document"].as_str().unwrap().to_owned();
            if !found.contains(&path) {
                found.push(path);
            }
        }
        found
    }

    /// The text of a document as the program prints it, page after page.
    pub fn text(&self, path: &str) -> Vec<char> {
        let text = self.json(&["text", path]);
        let pages = text["pages"].as_array().unwrap();
        pages.iter().flat_map(|page| page["text"].as_str().unwrap().chars()).collect()
    }
}

/// A zip archive of these members.
pub fn archive(members: &[(String, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
    }
}

/// The characters `start..end` of a hit or citation in its document's text.
pub fn slice(text: &[char], place: &Value) -> String {
    let at = |key: &str| usize::try_from(place[key].as_u64().unwrap()).unwrap();
    text[at("start")..at("end")].iter().collect()
}

/// A word of its own for every number: letters only, since a search takes letters and digits apart.
pub fn word(number: impl std::fmt::Display, digits: usize) -> String {
    let letter = |digit: char| digit.to_digit(10).and_then(|d| char::from_digit(d + 10, 20));
    let number = format!("{number:0>digits$}");
    format!("zq{}x", number.chars().filter_map(letter).collect::<String>())
}
