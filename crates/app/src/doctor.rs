//! Checks of the machine, the models and the library, each with what to do, and the proof
//! that something was forgotten.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use lectern_catalog::{CatalogError, Remains};
use lectern_domain::ErrorCode;
use tokio::task::spawn_blocking;

use crate::{App, AppError, Check, damage, error, filter::absolute};

impl App {
    /// Every check, in the order a person would look.
    pub async fn doctor(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = self.inner.parts.checks.iter().map(|check| check()).collect();
        checks.push(check(
            "library",
            self.status(false).map(|status| {
                format!(
                    "{} — {} documents ready, {} waiting, {} failed, {} MB",
                    self.inner.directory.display(),
                    status.documents,
                    status.pending,
                    status.failed,
                    status.bytes_on_disk.div_ceil(1024 * 1024),
                )
            }),
        ));
        checks.push(check("catalogue", self.catalogue_state().await));
        checks.push(check("search index", self.index_state().await));
        checks
    }

    /// What is left in any file of the library of the documents that were at or below
    /// `path`.
    pub async fn forgotten(&self, path: &Path) -> crate::Result<Vec<Check>> {
        let path = absolute(path)?;
        let name = path.to_string_lossy().into_owned();
        let remains = self.catalog().remains(&name)?;
        let mut checks = vec![
            found(
                "files",
                remains.files,
                |count| format!("{count} files at or below {name} are in the library"),
                "`lectern remove` forgets them.",
            ),
            cleaned(&remains),
            check("search index", self.strangers_in_index().await),
        ];
        let mut traces = check("traces", self.traces_of(name, &remains).await);
        if !traces.ok && remains.files == 0 {
            traces.hint = "Run `lectern sync` and look again.".to_owned();
        }
        checks.push(traces);
        if remains.history > 0 {
            checks.push(Check {
                name: "history".to_owned(),
                ok: true,
                detail: format!("names it {} times", remains.history),
                hint:
                    "`lectern remove` takes names out of it; what later happens takes their place."
                        .to_owned(),
            });
        }
        if remains.answers > 0 {
            checks.push(Check {
                name: "conversations".to_owned(),
                ok: true,
                detail: format!("{} answers quote it", remains.answers),
                hint: "They are yours and stay until you delete the conversation.".to_owned(),
            });
        }
        Ok(checks)
    }

    /// An error where the index holds what the catalogue does not know.
    async fn strangers_in_index(&self) -> crate::Result<String> {
        let Some(index) = self.index(&self.embedder()?).await? else {
            return Ok("is empty".to_owned());
        };
        let known = self.catalog().chunk_ids()?;
        let (texts, vectors) = (index.text_ids().await?, index.vector_ids().await?);
        let strangers: HashSet<_> =
            texts.union(&vectors).filter(|id| !known.contains(id)).collect();
        if strangers.is_empty() {
            return Ok("holds nothing that the catalogue does not".to_owned());
        }
        Err(AppError::new(
            ErrorCode::Library,
            format!("{} passages are in it that the catalogue has forgotten", strangers.len()),
            "They are never shown. Run `lectern sync` to have them removed.",
        ))
    }

    /// Looks for the path itself in every file of the library.
    async fn traces_of(&self, path: String, remains: &Remains) -> crate::Result<String> {
        if remains.files + remains.history + remains.answers > 0 || remains.excluded {
            let why = if remains.excluded {
                "its path is kept, so that it stays left out"
            } else {
                "its path is kept with what names it"
            };
            return Ok(why.to_owned());
        }
        let directory = self.inner.directory.clone();
        let files = spawn_blocking(move || files_with(&directory, path.as_bytes()))
            .await
            .map_err(|panic| error::internal(&panic))?
            .map_err(|error| error::library_directory(&self.inner.directory, &error))?;
        let Some(first) = files.first() else {
            return Ok("its path is in no file of the library".to_owned());
        };
        let message = format!("its path is in {} files, such as {}", files.len(), first.display());
        Err(AppError::new(ErrorCode::Library, message, ""))
    }

    async fn catalogue_state(&self) -> crate::Result<String> {
        let catalog = self.inner.catalog.clone();
        let checked = spawn_blocking(move || catalog.check().map(|()| catalog.copied()))
            .await
            .map_err(|panic| error::internal(&panic))?;
        if let Err(CatalogError::Damaged(_)) = &checked {
            damage::mark(&self.inner.directory);
        }
        Ok(match checked?.and_then(|copied| copied.elapsed().ok()) {
            Some(age) => format!("whole; its copy is {} hours old", age.as_secs() / 3600),
            None => "whole; there is no copy of it yet".to_owned(),
        })
    }

    async fn index_state(&self) -> crate::Result<String> {
        let Some(index) = self.index(&self.embedder()?).await? else {
            return Ok("is empty".to_owned());
        };
        let (texts, vectors) = (index.text_ids().await?.len(), index.vector_ids().await?.len());
        Ok(format!("{texts} chunks searchable by words, {vectors} by meaning"))
    }
}

fn cleaned(remains: &Remains) -> Check {
    let left = remains.documents + remains.indexed + u64::from(remains.unpurged);
    found(
        "texts",
        left,
        |_| "what was forgotten is not shown any more, but not yet taken from the disk".to_owned(),
        "It goes when there is nothing else to do. `lectern sync` does it now.",
    )
}

fn found(name: &str, count: u64, detail: impl Fn(u64) -> String, hint: &str) -> Check {
    let ok = count == 0;
    Check {
        name: name.to_owned(),
        ok,
        detail: if ok { "nothing is left".to_owned() } else { detail(count) },
        hint: if ok { String::new() } else { hint.to_owned() },
    }
}

/// The files below `directory` that hold these bytes. Blocks.
fn files_with(directory: &Path, bytes: &[u8]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes)?);
        } else if holds(&path, bytes)? {
            found.push(path);
        }
    }
    Ok(found)
}

fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    const PIECE: usize = 1 << 20;
    let mut file = match File::open(path) {
        // Pruned in the meantime.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut window = Vec::with_capacity(PIECE + bytes.len());
    loop {
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut window)?;
        if window.windows(bytes.len()).any(|found| found == bytes) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // The bytes may begin at the end of one piece and go on in the next.
        window.drain(..window.len().saturating_sub(bytes.len()));
    }
}

fn check(name: &str, state: Result<String, AppError>) -> Check {
    let name = name.to_owned();
    match state {
        Ok(detail) => Check { name, ok: true, detail, hint: String::new() },
        Err(error) => Check { name, ok: false, detail: error.message, hint: error.hint },
    }
}
