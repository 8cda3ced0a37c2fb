//! What the system or a second start hands over: links, and files and folders that are "opened with"
//! Lectern.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use lectern_app::{App, AppEvent};
use tauri::{AppHandle, Manager, Url};

use crate::{show, tell};

const SCHEME: &str = "lectern:";

/// The link that waits for the page to follow it. A later one takes its place.
#[derive(Default)]
pub struct Waiting(Mutex<Option<String>>);

impl Waiting {
    /// The link that waits, which then waits no more.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, link: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.to_owned());
    }
}

/// What a command line names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// The last link.
    link: Option<String>,
    /// Files and folders that are there.
    paths: Vec<PathBuf>,
}

impl Named {
    /// Reads the words after a program's name, given in `directory`.
    fn read(words: impl IntoIterator<Item = String>, directory: &Path) -> Self {
        let mut named = Self::default();
        for word in words {
            if word.starts_with(SCHEME) {
                named.link = Some(word);
                continue;
            }
            let file =
                word.starts_with("file:").then(|| Url::parse(&word).ok()?.to_file_path().ok());
            let path = file.flatten().unwrap_or_else(|| directory.join(&word));
            if !word.starts_with('-') && path.exists() {
                named.paths.push(path);
            }
        }
        named
    }
}

/// Follows what the words after a program's name, given in `directory`, hand over: has the page follow
/// a link, and adds files and folders to the library. What a link leads to is decided by the
/// application, which knows passages of the library only.
pub fn follow(
    handle: &AppHandle,
    words: impl IntoIterator<Item = String>,
    directory: impl Into<OsString>,
) {
    let directory: OsString = directory.into();
    let named = Named::read(words, Path::new(&directory));
    if named == Named::default() {
        return;
    }
    show(handle);
    if let Some(link) = named.link {
        handle.state::<Waiting>().put(&link);
        tell(handle, &AppEvent::Link);
    }
    if !named.paths.is_empty() {
        add(handle, named.paths);
    }
}

/// Adds files and folders to the library, and tells the page what became of it.
pub fn add(handle: &AppHandle, paths: Vec<PathBuf>) {
    let handle = handle.clone();
    tauri::async_runtime::spawn(async move {
        // There is none where the library could not be opened, which was said.
        let Some(app) = handle.try_state::<App>() else { return };
        let event = match app.add(&paths).await {
            Ok(report) => AppEvent::Added { files: report.added },
            Err(error) => AppEvent::Problem { error },
        };
        tell(&handle, &event);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_waits_until_it_is_taken_and_the_latest_counts() {
        let waiting = Waiting::default();
        assert_eq!(waiting.take(), None);
        waiting.put("lectern://open?document=/a");
        waiting.put("lectern://open?document=/b");
        assert_eq!(waiting.take().as_deref(), Some("lectern://open?document=/b"));
        assert_eq!(waiting.take(), None);
    }

    #[test]
    fn a_command_line_names_a_link_and_what_is_there() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = manifest.join("Cargo.toml");
        let url = Url::from_file_path(&file).unwrap_or_else(|()| panic!("{}", file.display()));
        let (file, url) = (file.to_string_lossy().into_owned(), url.to_string());
        for (words, link, paths) in [
            (vec![], None, vec![]),
            (vec!["--with-session", "/no/such/file", "src/gone.rs"], None, vec![]),
            (vec!["src"], None, vec![manifest.join("src")]),
            (vec![&*file, &*url], None, vec![manifest.join("Cargo.toml"); 2]),
            (
                vec!["lectern://open?document=/a", "src"],
                Some("lectern://open?document=/a"),
                vec![manifest.join("src")],
            ),
        ] {
            let named = Named::read(words.iter().map(|word| (*word).to_owned()), manifest);
            let expected = Named { link: link.map(str::to_owned), paths };
            assert_eq!(named, expected, "{words:?}");
        }
    }
}
