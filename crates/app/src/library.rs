//! Adding, forgetting, following, and the state of it all.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Local, SecondsFormat};
use lectern_catalog::{Catalog, CatalogError, Counts};
use lectern_domain::ErrorCode;
use lectern_ingest::{
    Indexer, IndexerParts, IngestError, LibraryLock, PAUSED_SETTING, Until, look, unlock,
};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    AddReport, App, AppError, AppEvent, FileNeed, FileStatus, FolderStatus, ReasonCode, Result,
    Status, damage, error, filter::absolute, reason,
};

/// The shortest time between two events about the library.
const EVENT_INTERVAL: Duration = Duration::from_millis(250);

/// One part in so many of the time may go into counting for events.
const COUNTING_PART: u32 = 10;

/// The setting that holds why indexing cannot go on, as JSON.
const PROBLEM_SETTING: &str = "problem";

/// How often another process's work is looked at.
const POLL: Duration = Duration::from_millis(500);

impl App {
    /// Starts to watch folders or to hold files, and looks at what is there. The
    /// indexer reads them; see [`App::work_until_idle`] and [`App::work_in_background`].
    pub async fn add(&self, paths: &[PathBuf]) -> Result<AddReport> {
        let start = Instant::now();
        let mut added = 0;
        let paths = paths
            .iter()
            .map(|path| path.canonicalize().map_err(|_| error::not_found(path)))
            .collect::<Result<Vec<_>>>()?;
        let paths = outermost(paths);
        for path in &paths {
            let text = path.to_str().ok_or_else(|| {
                AppError::new(
                    ErrorCode::InvalidInput,
                    format!("the name {} is not valid Unicode", path.display()),
                    "Rename the folder.",
                )
            })?;
            if self.inner.directory.starts_with(path) || path.starts_with(&self.inner.directory) {
                return Err(AppError::new(
                    ErrorCode::InvalidInput,
                    format!("{} holds the library itself", path.display()),
                    "Choose a folder that does not contain the library, or keep the library elsewhere with --library.",
                ));
            }
            let folder = self.catalog().add_folder(text, now_seconds())?;
            added += look(self.catalog(), &folder, path).await?;
        }
        self.tell_the_indexer();
        Ok(AddReport { added, ..self.report(&paths, start)? })
    }

    /// What has become of the files at and below `paths`, or of all where there
    /// are none.
    pub fn report(&self, paths: &[PathBuf], start: Instant) -> Result<AddReport> {
        let mut sum = Counts::default();
        let mut count = |path: Option<&str>| -> Result<()> {
            let counts = self.catalog().counts(path)?;
            sum.ready += counts.ready;
            sum.skipped += counts.skipped;
            sum.failed += counts.failed;
            sum.chunks += counts.chunks;
            Ok(())
        };
        if paths.is_empty() {
            count(None)?;
        }
        let paths = paths.iter().map(|path| absolute(path)).collect::<Result<_>>()?;
        for path in outermost(paths) {
            count(Some(&path.to_string_lossy()))?;
        }
        Ok(AddReport {
            added: 0,
            ready: sum.ready,
            skipped: sum.skipped,
            failed: sum.failed,
            chunks: sum.chunks,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Forgets what is at and below these paths; the next query does not find it.
    pub fn remove(&self, paths: &[PathBuf]) -> Result<()> {
        for path in paths {
            let path = absolute(path)?;
            if !self.catalog().remove_path(&path.to_string_lossy())? {
                return Err(AppError::new(
                    ErrorCode::NotFound,
                    format!("{} is not in the library", path.display()),
                    "`lectern status --files` lists what is.",
                ));
            }
        }
        self.tell_the_indexer();
        Ok(())
    }

    /// Forgets every folder, document and conversation. Files on the disk stay.
    pub fn delete_everything(&self) -> Result<()> {
        for folder in self.catalog().folders()? {
            self.catalog().remove_path(&folder.path)?;
        }
        for (id, ..) in self.catalog().conversations()? {
            self.catalog().delete_conversation(id)?;
        }
        self.catalog().clear_history()?;
        self.tell_the_indexer();
        Ok(())
    }

    /// Queues files that failed or were called off once more.
    pub fn retry(&self, path: Option<&Path>) -> Result<u64> {
        let path = path.map(absolute).transpose()?;
        let path = path.as_deref().map(Path::to_string_lossy);
        let queued = self.catalog().retry(path.as_deref())?;
        self.tell_the_indexer();
        Ok(queued)
    }

    /// Reads a file that opens with a password only. Its text is then kept as that of any
    /// other document, which is not encrypted; the password is kept nowhere, so the file asks
    /// for it again when it has changed.
    pub async fn unlock(&self, path: &Path, password: &str) -> Result<()> {
        let path = absolute(path)?;
        let mut reader = (self.inner.parts.reader)();
        unlock(self.catalog(), reader.as_mut(), &path, password).await?;
        self.tell_the_indexer();
        Ok(())
    }

    /// Calls off the reading of what waits at or below `path`, or of all. What was read
    /// stays, and [`App::retry`] queues the rest again. Returns how many files it were.
    pub fn call_off(&self, path: Option<&Path>) -> Result<u64> {
        let path = path.map(absolute).transpose()?;
        let path = path.as_deref().map(Path::to_string_lossy);
        let called_off = self.catalog().call_off(path.as_deref())?;
        self.tell_the_indexer();
        Ok(called_off)
    }

    /// Has the file at `path` read before all others. Returns whether anything of it is still to be
    /// done.
    pub fn hurry(&self, path: &Path) -> Result<bool> {
        let path = absolute(path)?;
        let hurried = self.catalog().hurry(&path.to_string_lossy(), now_seconds())?;
        self.tell_the_indexer();
        Ok(hurried)
    }

    pub(crate) fn tell_the_indexer(&self) {
        self.inner.wake.notify_one();
        self.inner.changed.notify_one();
    }

    /// Holds reading and embedding until they are resumed, also after a restart.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        self.catalog().set_setting(PAUSED_SETTING, if paused { "true" } else { "false" })?;
        self.tell_the_indexer();
        Ok(())
    }

    /// As [`App::set_paused`], for the files of one folder.
    pub fn set_folder_paused(&self, path: &Path, paused: bool) -> Result<()> {
        let folder = self.folder_at(path)?;
        self.catalog().set_folder_paused(folder.id, paused)?;
        self.tell_the_indexer();
        Ok(())
    }

    /// The state of the library.
    pub fn status(&self, with_files: bool) -> Result<Status> {
        let catalog = self.catalog();
        let counts = catalog.counts(None)?;
        let folders = catalog
            .folders()?
            .into_iter()
            .map(|folder| {
                let counts = catalog.counts(Some(&folder.path))?;
                Ok(FolderStatus {
                    path: folder.path,
                    missing: folder.missing,
                    paused: folder.paused,
                    polled: folder.polled,
                    rules: folder.rules.into(),
                    ready: counts.ready,
                    pending: counts.pending,
                    failed: counts.failed,
                    skipped: counts.skipped,
                    chunks: counts.chunks,
                    embedded_chunks: counts.embedded_chunks,
                })
            })
            .collect::<Result<_>>()?;
        let parts = &self.inner.parts;
        let ocr_installed = (parts.reader)().can_recognise();
        let scan = if ocr_installed { catalog.next_scan()? } else { None };
        let embedder = self.embedder()?;
        let next_embedder = Some(self.wanted_embedder()?).filter(|next| *next != embedder);
        Ok(Status {
            documents: counts.ready,
            chunks: counts.chunks,
            embedded_chunks: counts.embedded_chunks,
            pending: counts.pending,
            failed: counts.failed,
            skipped: counts.skipped,
            directory: self.inner.directory.to_string_lossy().into_owned(),
            bytes_on_disk: bytes_below(&self.inner.directory),
            embedder,
            next_embedded_chunks: match &next_embedder {
                Some(_) => catalog.successor_vectors()?,
                None => 0,
            },
            next_embedder,
            model: parts.chat.id().to_owned(),
            model_installed: (parts.chat_installed)(),
            paused: self.is_paused()?,
            saves_power: (parts.on_battery)(),
            scans: catalog.waiting_scans()?,
            ocr_installed,
            reading: catalog.reading()?.or(scan.map(|scan| scan.path)),
            problem: self.problem(),
            folders,
            files: with_files.then(|| self.files()).transpose()?,
        })
    }

    /// Every file of the library, by path.
    pub fn files(&self) -> Result<Vec<FileStatus>> {
        let files = self.catalog().files(None)?;
        let ocr_installed = (self.inner.parts.reader)().can_recognise();
        Ok(files
            .into_iter()
            .map(|file| {
                let (reason_code, reason_detail) = match &file.reason {
                    Some(reason) => reason::name(reason).unzip(),
                    None if file.unrecognised > 0 => (Some(ReasonCode::NeedsOcr), None),
                    None => (None, None),
                };
                FileStatus {
                    path: file.path,
                    state: file.state.into(),
                    reason: file.reason.or_else(|| waits_for_ocr(file.unrecognised, ocr_installed)),
                    reason_code,
                    reason_detail: reason_detail.flatten(),
                    needs: match file.unrecognised {
                        _ if file.needs_password => Some(FileNeed::Password),
                        0 => None,
                        _ => Some(FileNeed::Ocr),
                    },
                    away: file.away,
                    pages: file.pages,
                    chunks: file.chunks,
                    embedded_chunks: file.embedded_chunks,
                    modified: DateTime::from_timestamp_nanos(file.modified)
                        .with_timezone(&Local)
                        .to_rfc3339_opts(SecondsFormat::Secs, true),
                    kind: file.kind.map(|kind| kind.as_str().to_owned()),
                    language: file.language,
                    tags: file.tags,
                }
            })
            .collect())
    }

    /// Looks at the disk and does all the work there is, then returns. Where
    /// another process is the indexer, waits until that one has done it and is at rest.
    pub async fn work_until_idle(&self, cancel: &CancellationToken) -> Result<()> {
        while let Some(lock) = self.try_lock()? {
            if self.run_indexer(lock, Until::Idle, cancel).await? {
                return Ok(());
            }
        }
        for folder in self.catalog().folders()? {
            look(self.catalog(), &folder, Path::new(&folder.path)).await?;
        }
        while !cancel.is_cancelled() {
            let read = !self.catalog().has_work(now_seconds())?;
            let embedded = self.catalog().chunks_to_embed(1)?.is_empty();
            let recognised = self.catalog().next_scan()?.is_none()
                || !(self.inner.parts.reader)().can_recognise();
            let settled = self.embedder()? == self.wanted_embedder()?;
            let at_rest = read && self.catalog().is_followed()? && self.is_at_rest()?;
            if at_rest && embedded && settled && recognised {
                break;
            }
            if let Some(lock) = self.try_lock()?
                && self.run_indexer(lock, Until::Idle, cancel).await?
            {
                break;
            }
            if self.is_paused()? {
                return Err(AppError::new(
                    ErrorCode::Library,
                    "the library is open elsewhere, and reading is paused there",
                    "Resume it in the window, or close the window and try again.",
                ));
            }
            // What is left waits for something else than time.
            if at_rest && (self.inner.parts.on_battery)() {
                return Err(AppError::new(
                    ErrorCode::Library,
                    "the library is open elsewhere, and heavy work waits there because the computer runs on its battery",
                    "Everything is searchable by its words. Plug the computer in to have the rest done.",
                ));
            }
            if at_rest && let Some(problem) = self.problem() {
                return Err(problem);
            }
            // Events of another process cannot be awaited.
            tokio::select! {
                () = cancel.cancelled() => {}
                () = sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Whether some process reads and indexes this library at the moment, or will as soon
    /// as there is something to do.
    pub fn is_at_work(&self) -> Result<bool> {
        Ok(self.try_lock()?.is_none())
    }

    /// Whether no process is doing anything to this library.
    pub fn is_at_rest(&self) -> Result<bool> {
        LibraryLock::is_at_rest(&self.inner.directory)
            .map_err(|error| error::library_directory(&self.inner.directory, &error))
    }

    fn is_paused(&self) -> Result<bool> {
        Ok(self.catalog().setting(PAUSED_SETTING)?.as_deref() == Some("true"))
    }

    /// Follows the disk until [`App::shutdown`] or `cancel`: as the indexer, or,
    /// while another process is that, as the one who takes over.
    pub async fn follow(&self, cancel: &CancellationToken) -> Result<()> {
        while !cancel.is_cancelled() {
            if let Some(lock) = self.try_lock()? {
                if self.run_indexer(lock, Until::Cancelled, cancel).await? {
                    return Ok(());
                }
                continue;
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Starts following the disk and telling [`App::events`] about it.
    pub fn work_in_background(&self) {
        let app = self.clone();
        tokio::spawn(async move {
            let cancel = app.inner.shutdown.clone();
            while !cancel.is_cancelled() {
                let result = app.follow(&cancel).await;
                if let Err(error) = &result {
                    tracing::error!("indexing stopped: {error}");
                }
                if let Err(problem) = result {
                    app.set_problem(Some(&problem));
                }
                // What stopped it may pass: a full disk, a model that is missing.
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = app.inner.wake.notified() => {}
                    () = sleep(Duration::from_secs(30)) => {}
                }
            }
        });
        self.report_changes();
        self.work_on_models();
    }

    /// Sends the state to [`App::events`] whenever it has changed.
    pub fn report_changes(&self) {
        let app = self.clone();
        tokio::spawn(async move {
            let mut counter = None;
            let mut last = None;
            while !app.inner.shutdown.is_cancelled() {
                let now = app.catalog().change_counter().ok();
                let by_another = counter.replace(now) != Some(now);
                if by_another
                    || tokio::time::timeout(POLL, app.inner.changed.notified()).await.is_ok()
                {
                    let start = Instant::now();
                    let status = {
                        let app = app.clone();
                        spawn_blocking(move || app.status(false))
                    };
                    if let Ok(Ok(status)) = status.await
                        && last.as_ref() != Some(&status)
                    {
                        last = Some(status.clone());
                        // Nobody listening is fine.
                        let _ =
                            app.inner.events.send(AppEvent::Library { status: Box::new(status) });
                    }
                    // Counting a large library takes its time, which belongs to the work.
                    sleep(EVENT_INTERVAL.max(start.elapsed() * COUNTING_PART)).await;
                }
            }
        });
    }

    fn try_lock(&self) -> Result<Option<LibraryLock>> {
        LibraryLock::try_acquire(&self.inner.directory)
            .map_err(|error| error::library_directory(&self.inner.directory, &error))
    }

    /// Works until there is nothing left to do, or for ever. Returns early, with `false`, when
    /// another embedder is wanted than at the beginning.
    async fn run_indexer(
        &self,
        lock: LibraryLock,
        until: Until,
        cancel: &CancellationToken,
    ) -> Result<bool> {
        self.set_problem(None);
        let inner = &self.inner;
        let wanted = self.wanted_embedder()?;
        let changed = inner.changed.clone();
        let (index, embedding, successor) = self.open_to_write().await?;
        let parts = IndexerParts {
            lock,
            // A connection of its own, so that a long transaction of the indexer
            // does not hold a search up.
            catalog: Arc::new(Catalog::open(&inner.directory.join(damage::CATALOG))?),
            index,
            embedder: embedding.embedder,
            successor,
            reader: {
                let app = self.clone();
                Box::new(move || (app.inner.parts.reader)())
            },
            changed: Box::new(move || changed.notify_one()),
            problem: {
                let app = self.clone();
                Box::new(move |problem| app.set_problem(problem.map(AppError::from).as_ref()))
            },
            wake: inner.wake.clone(),
            on_battery: {
                let app = self.clone();
                Box::new(move || (app.inner.parts.on_battery)())
            },
            awaited: inner.awaited.subscribe(),
        };
        let stop = cancel.child_token();
        let mut indexer = Indexer::new(parts, stop.clone());
        let work = indexer.run(until);
        tokio::pin!(work);
        let (result, to_the_end) = tokio::select! {
            result = &mut work => (result, true),
            () = self.another_is_wanted(&wanted) => {
                stop.cancel();
                (work.await, false)
            }
        };
        match result {
            // Everything is searchable by its words; only the vectors wait.
            Ok(()) | Err(IngestError::Embedder(_)) => Ok(to_the_end),
            Err(IngestError::Catalog(error @ CatalogError::Damaged(_))) => {
                damage::mark(&inner.directory);
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why the library is not complete although no work is left, if so. It is kept
    /// in the catalogue, so that every process that waits for the work knows.
    pub fn problem(&self) -> Option<AppError> {
        if self.inner.read_only {
            return Some(CatalogError::ReadOnly.into());
        }
        serde_json::from_str(&self.catalog().setting(PROBLEM_SETTING).ok()??).ok()?
    }

    fn set_problem(&self, problem: Option<&AppError>) {
        let stored = serde_json::to_string(&problem).unwrap_or_default();
        let unchanged =
            self.catalog().setting(PROBLEM_SETTING).ok().flatten().as_ref() == Some(&stored);
        // A catalogue that cannot be written to is a problem that shows by itself.
        if !unchanged && let Err(error) = self.catalog().set_setting(PROBLEM_SETTING, &stored) {
            tracing::error!("{error}");
        }
        self.inner.changed.notify_one();
    }
}

/// What is said of a file with so many pages that wait for OCR.
fn waits_for_ocr(pages: u32, installed: bool) -> Option<String> {
    let what = match pages {
        0 => return None,
        1 => "A page is a picture".to_owned(),
        pages => format!("{pages} pages are pictures"),
    };
    Some(if installed {
        format!("{what}: the text is recognised when all else is done.")
    } else {
        format!("{what}: without the model for OCR the text is not recognised. Run `make models`.")
    })
}

/// The paths that do not lie in another one of them.
fn outermost(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths.dedup_by(|path, before| path.starts_with(before));
    paths
}

fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

pub(crate) fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}
