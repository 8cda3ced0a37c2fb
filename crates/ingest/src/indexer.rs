//! The one writer of a library: it takes files from the queue to the two indices.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File},
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use lectern_catalog::{
    ArchiveFile, Attached, Catalog, CatalogError, FolderRecord, FolderRules, Member, NewDocument,
    QueuedChunk, QueuedFile, ReadOutcome,
};
use lectern_domain::{
    ChunkId, ChunkIndex, DocumentId, DocumentKind, EmbeddedChunk, Embedder, ErrorCode, FolderId,
    IndexError, IndexedChunk, ModelError, Source,
};
use lectern_extract::{
    ReadError, RecognisedPage, detect,
    worker::{MemberIdentity, ReadDocument, ReadFailure, ReadFailureReason, Reader},
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use crate::{
    discover::{is_settled, stamp},
    lock::LibraryLock,
    look::{folder_of, is_there, look_closely, mount_is_away, mounts, now},
    measure::{embedded_text, measured, searchable_text},
    ocr::{Recognition, recognised},
    rules::{IGNORE_FILE, is_of_programs},
    watch::{Changes, FolderWatch, is_remote},
};

/// The version of the readers and the chunker. Raising it has every document
/// read again, while the old text stays searchable.
pub const READER_VERSION: u32 = 4;

/// The version of a document whose chunks are cut by an estimate, because somebody waited for it: it
/// is read once more when there is time.
const UNMEASURED_VERSION: u32 = READER_VERSION - 1;

/// The setting that is `true` while the person has paused the work.
pub const PAUSED_SETTING: &str = "paused";

/// Files are handed to the index together for so long: a commit has a fixed cost.
const BATCH_TIME: Duration = Duration::from_millis(500);

/// At most so many files in one commit.
const BATCH_FILES: usize = 64;

/// So many chunks are embedded before the queue of files is looked at again: a quarter of a
/// second on two cores, which what was just saved may have to wait.
const EMBED_STEP: usize = 8;

/// So many vectors are committed together.
const EMBED_COMMIT: usize = 128;

/// Chunks handed to the lexical index together when it is made anew.
const REINDEX_BATCH: usize = 2_000;

/// So many changed paths may be somebody at work. More are a program.
const FEW_PATHS: usize = 32;

/// After so many changed chunks the index is put in order.
const MAINTAIN_AFTER: usize = 5_000;

/// After so many commits, however small.
const MAINTAIN_AFTER_COMMITS: usize = 200;

/// So few where the work ends: a search visits what each commit added by itself, and nobody may
/// come to put that in order.
const FEW_COMMITS: usize = 8;

/// So often in a row that gives way to what has just changed on the disk, which may never end.
const MOST_INTERRUPTIONS: usize = 3;

/// When nothing has been done for so long, whatever was is put in order.
const IDLE: Duration = Duration::from_secs(60);

/// How old the copy of the catalogue becomes.
const COPY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// So long what somebody waits for waits for the embedder, which may be there already.
const A_MOMENT: Duration = Duration::from_millis(50);

/// How often the catalogue is asked whether another process wrote to it.
const POLL: Duration = Duration::from_secs(1);

/// How often is asked whether the computer runs on its battery.
const BATTERY_POLL: Duration = Duration::from_secs(10);

/// A folder whose changes the system does not tell is looked at so often, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Looking may take this part of the time.
const LOOKING_PART: u32 = 20;

/// The clock went on by so much while the program did not: the computer slept, and
/// changes may have been missed.
const SLEPT: Duration = Duration::from_secs(10);

/// The setting that counts commits since the index was last put in order.
const COMMITS_SETTING: &str = "commits";

const REMOTE: &str = "It lies on another computer or a virtual drive. Changes there are looked for every half minute or less often.";
const UNWATCHED: &str = "It has more folders than the system watches for one person. Changes are looked for every half minute or less often.";

/// Why indexing stopped. Whatever happened to a single file is in the catalogue,
/// not here.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The catalogue failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The embedder failed; everything is still searchable by its words.
    #[error(transparent)]
    Embedder(#[from] ModelError),
}

/// Reads one document after another. A path may lead into an archive: it is then that of a member.
#[async_trait]
pub trait DocumentReader: Send + Sync {
    /// Finds what the member of an archive at `path` is.
    async fn identify(&mut self, path: &Path) -> Result<MemberIdentity, ReadFailure>;

    /// The bytes of the member of an archive at `path`.
    async fn unpack(&mut self, path: &Path) -> Result<Vec<u8>, ReadFailure>;

    /// Reads the file at `path` as a `kind`, with what was recognised on its pages before.
    async fn read(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        recognised: Vec<RecognisedPage>,
    ) -> Result<ReadDocument, ReadFailure>;

    /// Reads the file at `path` as a `kind` that `password` opens.
    async fn unlock(
        &mut self,
        _path: &Path,
        _kind: DocumentKind,
        _password: &str,
    ) -> Result<ReadDocument, ReadFailure> {
        Err(ReadFailure::from(&ReadError::PasswordNeeded))
    }

    /// Whether it can recognise the text of pictures at the moment.
    fn can_recognise(&self) -> bool {
        false
    }

    /// Recognises the text of one page, counted from 1.
    async fn recognise(
        &mut self,
        _path: &Path,
        _kind: DocumentKind,
        _page: u32,
    ) -> Result<RecognisedPage, ReadFailure> {
        Err(ReadFailure::needs_ocr())
    }
}

#[async_trait]
impl DocumentReader for Reader {
    async fn identify(&mut self, path: &Path) -> Result<MemberIdentity, ReadFailure> {
        Reader::identify(self, path).await
    }

    async fn unpack(&mut self, path: &Path) -> Result<Vec<u8>, ReadFailure> {
        Reader::unpack(self, path).await
    }

    async fn read(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        recognised: Vec<RecognisedPage>,
    ) -> Result<ReadDocument, ReadFailure> {
        Reader::read(self, path, kind, recognised).await
    }

    async fn unlock(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        password: &str,
    ) -> Result<ReadDocument, ReadFailure> {
        Reader::unlock(self, path, kind, password).await
    }

    fn can_recognise(&self) -> bool {
        Reader::can_recognise(self)
    }

    async fn recognise(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        page: u32,
    ) -> Result<RecognisedPage, ReadFailure> {
        Reader::recognise(self, path, kind, page).await
    }
}

/// What an [`Indexer`] works with.
pub struct IndexerParts {
    /// The right to write.
    pub lock: LibraryLock,
    /// The truth.
    pub catalog: Arc<Catalog>,
    /// The cache of it that is searched.
    pub index: Arc<dyn ChunkIndex>,
    /// Loaded when the first chunk waits for its vector.
    pub embedder: Arc<dyn Source<dyn Embedder>>,
    /// The embedder that is to take the place of this one, if one is.
    pub successor: Option<Successor>,
    /// Starts readers of files: one for what waits, and one beside it for what somebody
    /// has just changed.
    pub reader: Box<dyn Fn() -> Box<dyn DocumentReader> + Send + Sync>,
    /// Called after every change; must return at once.
    pub changed: Box<dyn Fn() + Send + Sync>,
    /// Told why there are no vectors, and `None` when there are again.
    pub problem: Box<dyn Fn(Option<ModelError>) + Send + Sync>,
    /// Rung when there may be something to do: folders added, work resumed.
    pub wake: Arc<Notify>,
    /// Whether the computer runs on its battery.
    pub on_battery: Box<dyn Fn() -> bool + Send + Sync>,
    /// How many answers a person waits for: work that nobody waits for is held meanwhile.
    pub awaited: watch::Receiver<usize>,
}

/// An embedder that is to take another one's place: its vectors are made while those of
/// the other answer, and answer once they are complete. Nothing has changed where that
/// is called off before.
pub struct Successor {
    /// The index with its vectors.
    pub index: Arc<dyn ChunkIndex>,
    /// The embedder.
    pub embedder: Arc<dyn Source<dyn Embedder>>,
}

/// How far a [`Successor`] is.
struct Succession {
    successor: Successor,
    /// The chunks that have its vectors.
    held: HashSet<ChunkId>,
    /// Chunks up to this one were met since the last time round.
    met: ChunkId,
    /// All of them had their vectors.
    complete: bool,
}

/// By what chunks are cut.
enum Measure {
    /// By the count of the embedder.
    Embedder(Arc<dyn Embedder>),
    /// By an estimate.
    Never,
    /// By an estimate for now.
    Later,
}

enum Advance {
    Further,
    Complete,
}

/// When [`Indexer::run`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When there is nothing left to do. A pause does not hold it: it was asked for.
    Idle,
    /// When it is cancelled; changes on the disk are followed.
    Cancelled,
}

/// The one writer of a library.
pub struct Indexer {
    pub(crate) parts: IndexerParts,
    pub(crate) cancel: CancellationToken,
    until: Until,
    /// There where changes on the disk are followed.
    pub(crate) watch: Option<FolderWatch>,
    /// The readers: the one of what waits, and the one of what is urgent.
    readers: [Option<Box<dyn DocumentReader>>; 2],
    /// The archive that members are being read of, one after the other.
    archive: Option<ArchiveFile>,
    /// When folders that are not watched are to be looked at.
    next_looks: HashMap<FolderId, Instant>,
    /// Chunks that came or went since the index was last put in order.
    changed_chunks: usize,
    /// Commits to the index since then.
    commits: usize,
    /// How often that was begun since and gave way.
    interruptions: usize,
    /// The embedder cannot be had; vectors wait until somebody rings.
    no_vectors: bool,
    /// Nor can it be had for its measure.
    no_measure: bool,
    /// There are documents of [`UNMEASURED_VERSION`].
    unmeasured: bool,
    succession: Option<Succession>,
    /// Its embedder cannot be had.
    no_successor: bool,
    pub(crate) recognition: Recognition,
    /// Whether the computer ran on its battery, and when that was.
    battery: Option<(Instant, bool)>,
}

impl Indexer {
    /// An indexer that stops soon after `cancel`.
    pub fn new(parts: IndexerParts, cancel: CancellationToken) -> Self {
        Self {
            parts,
            cancel,
            until: Until::Idle,
            watch: None,
            readers: [None, None],
            archive: None,
            next_looks: HashMap::new(),
            changed_chunks: 0,
            commits: 0,
            interruptions: 0,
            no_vectors: false,
            no_measure: false,
            unmeasured: false,
            succession: None,
            no_successor: false,
            recognition: Recognition::default(),
            battery: None,
        }
    }

    /// Looks at the folders, then works. Everything done before it returns is
    /// kept, however it returns. A failing embedder ends it only when nothing
    /// else is left to do.
    pub async fn run(&mut self, until: Until) -> Result<(), IngestError> {
        self.until = until;
        self.watch = (until == Until::Cancelled).then(FolderWatch::new);
        self.recover().await?;
        let before = self.commits;
        let result = self.work().await;
        if self.commits != before {
            let kept = self.parts.catalog.set_setting(COMMITS_SETTING, &self.commits.to_string());
            return result.and(kept.map_err(IngestError::from));
        }
        result
    }

    async fn work(&mut self) -> Result<(), IngestError> {
        let mut places = Vec::new();
        let mut embedder_failed = None;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            let counter = self.parts.catalog.change_counter()?;
            let folders = self.parts.catalog.folders()?;
            let named = places_of(&folders);
            if places != named {
                if let Some(watch) = &mut self.watch {
                    watch.set(folders.iter().map(|folder| folder.path.as_ref()));
                }
                let is_known: Vec<bool> =
                    named.iter().map(|place| places.contains(place)).collect();
                let new = folders.into_iter().zip(is_known).filter(|(_, known)| !known);
                self.look_at_all(&new.map(|(folder, _)| folder).collect::<Vec<_>>()).await?;
                places = named;
            }
            self.follow().await?;
            let paused = self.until == Until::Cancelled
                && self.parts.catalog.setting(PAUSED_SETTING)?.as_deref() == Some("true");
            if !paused {
                match self.step().await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(IngestError::Embedder(error)) => {
                        tracing::warn!("no vectors: {error}");
                        self.no_vectors = true;
                        (self.parts.problem)(Some(error.clone()));
                        embedder_failed = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            if self.until == Until::Idle {
                self.maintain(MAINTAIN_AFTER, FEW_COMMITS).await?;
                self.keep_copy().await?;
                return embedder_failed.map_or(Ok(()), |error| Err(error.into()));
            }
            self.parts.lock.rest();
            let rested = self.rest(counter).await;
            self.parts.lock.work();
            rested?;
        }
    }

    /// Waits until there may be something to do.
    async fn rest(&mut self, counter: i64) -> Result<(), IngestError> {
        let idle_since = Instant::now();
        let mut tidy = false;
        let saves_power = self.saves_power();
        let mut clock = (Instant::now(), SystemTime::now());
        loop {
            let watch = self.watch.as_mut();
            tokio::select! {
                () = self.cancel.cancelled() => return Ok(()),
                () = self.parts.wake.notified() => {
                    // What was missing may have come.
                    self.no_vectors = false;
                    self.no_measure = false;
                    self.no_successor = false;
                    self.recognition.broken = false;
                    self.battery = None;
                    return Ok(());
                }
                () = stirred(watch) => return Ok(()),
                () = tokio::time::sleep(POLL) => {}
            }
            let before = std::mem::replace(&mut clock, (Instant::now(), SystemTime::now()));
            let slept = clock.1.duration_since(before.1).unwrap_or_default();
            if slept.saturating_sub(clock.0.duration_since(before.0)) > SLEPT {
                tracing::info!("the computer has slept; looking at everything");
                self.look_at_all(&self.parts.catalog.folders()?).await?;
                return Ok(());
            }
            if self.look_at_what_is_not_watched().await?
                || self.parts.catalog.queue_due(now())?
                || (!self.saves_power() && (saves_power || self.can_go_on_recognising()?))
                // Another process may have changed something.
                || self.parts.catalog.change_counter()? != counter
            {
                return Ok(());
            }
            if !tidy && idle_since.elapsed() > IDLE {
                tidy = true;
                // Their processes may hold an archive.
                self.readers = [None, None];
                self.parts.lock.work();
                self.maintain(1, 1).await?;
                self.keep_copy().await?;
                self.parts.lock.rest();
            }
        }
    }

    /// Looks at folders whose changes nothing tells: drives that come and go, and those
    /// that have to be looked at from time to time. Returns whether there were any.
    async fn look_at_what_is_not_watched(&mut self) -> Result<bool, IngestError> {
        let mounts = mounts(&self.parts.catalog)?;
        let (mounts, now) = blocking(move || {
            let now: Vec<Option<bool>> = mounts.keys().map(|path| mount_is_away(path)).collect();
            (mounts, now)
        })
        .await;
        let mut any = false;
        for folder in self.parts.catalog.folders()? {
            let path = Path::new(&folder.path);
            let holds = |mount: &Path| path.starts_with(mount);
            let away = mounts.iter().any(|(mount, away)| *away && holds(mount));
            let moved = mounts.iter().zip(&now).any(|((mount, away), now)| {
                *now != Some(*away) && (holds(mount) || mount.starts_with(path))
            });
            let came = folder.missing && !away && is_there(path);
            let due = self.next_looks.get(&folder.id).is_some_and(|due| *due <= Instant::now());
            if came || moved || due {
                self.forget_watches(path);
                self.look_at(&folder, path, false).await?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Brings the catalogue and the index to agree after whatever ended the last
    /// process.
    async fn recover(&mut self) -> Result<(), IngestError> {
        let catalog = &self.parts.catalog;
        catalog.release_files()?;
        catalog.queue_outdated(READER_VERSION)?;
        let commits = catalog.setting(COMMITS_SETTING)?;
        self.commits = commits.and_then(|commits| commits.parse().ok()).unwrap_or(0);
        let texts = self.parts.index.text_ids().await?;
        let vectors = self.parts.index.vector_ids().await?;
        let strangers = catalog.reconcile_index(&texts, &vectors)?;
        if !strangers.is_empty() {
            self.parts.index.remove_chunks(&strangers).await?;
            self.commits += 1;
        }
        if let Some(successor) = self.parts.successor.take() {
            let mut held = successor.index.vector_ids().await?;
            let known = catalog.chunk_ids()?;
            let strangers: Vec<ChunkId> =
                held.iter().filter(|id| !known.contains(id)).copied().collect();
            if !strangers.is_empty() {
                successor.index.remove_chunks(&strangers).await?;
                held.retain(|id| known.contains(id));
            }
            let met = ChunkId(0);
            catalog.set_successor_vectors(held.len())?;
            self.succession = Some(Succession { successor, held, met, complete: true });
        }
        (self.parts.changed)();
        Ok(())
    }

    /// Looks at every folder on the disk.
    async fn look_at_all(&mut self, folders: &[FolderRecord]) -> Result<(), IngestError> {
        for folder in folders {
            if self.cancel.is_cancelled() {
                break;
            }
            self.look_at(folder, Path::new(&folder.path), false).await?;
        }
        Ok(())
    }

    /// Looks at one path of a folder. `changed` says that somebody has just changed
    /// something there.
    async fn look_at(
        &mut self,
        folder: &FolderRecord,
        path: &Path,
        changed: bool,
    ) -> Result<(), IngestError> {
        let catalog = &self.parts.catalog;
        let start = Instant::now();
        let Some(watch) = &self.watch else {
            look_closely(catalog, folder, path, changed, |_| {}).await?;
            (self.parts.changed)();
            return Ok(());
        };
        look_closely(catalog, folder, path, changed, watch.visitor()).await?;
        let root = Path::new(&folder.path);
        let polled = if is_remote(root) {
            Some(REMOTE)
        } else {
            watch.misses_some_of(root).then_some(UNWATCHED)
        };
        catalog.set_polled(folder.id, polled)?;
        if polled.is_none() {
            self.next_looks.remove(&folder.id);
        } else if path == root {
            let pause = LOOK_AGAIN.max(start.elapsed() * LOOKING_PART);
            self.next_looks.insert(folder.id, Instant::now() + pause);
        }
        (self.parts.changed)();
        Ok(())
    }

    fn forget_watches(&mut self, path: &Path) {
        if let Some(watch) = &mut self.watch {
            watch.forget(path);
        }
    }

    /// Looks at what has changed on the disk, if anything has.
    async fn follow(&mut self) -> Result<(), IngestError> {
        let Some(changes) = self.watch.as_mut().and_then(FolderWatch::pending) else {
            return Ok(());
        };
        let folders = self.parts.catalog.folders()?;
        let paths = match changes {
            Changes::Paths(paths) => paths,
            Changes::Everything => return self.look_at_all(&folders).await,
            Changes::Lost => {
                for folder in &folders {
                    self.forget_watches(folder.path.as_ref());
                }
                return self.look_at_all(&folders).await;
            }
        };
        // Other patterns may hold for all that is beside such a file.
        let paths: BTreeSet<PathBuf> = paths
            .into_iter()
            .map(|path| match path.parent() {
                Some(parent) if path.ends_with(IGNORE_FILE) => parent.to_owned(),
                _ => path,
            })
            .collect();
        // First of all of them: a folder that was moved is one and the same to the system,
        // and giving up its old name afterwards would give up the new one.
        for path in &paths {
            self.forget_watches(path);
        }
        let changed = paths.len() <= FEW_PATHS;
        for path in paths {
            if let Some(folder) = folder_of(&folders, &path) {
                self.look_at(folder, &path, changed).await?;
            }
        }
        Ok(())
    }

    /// Whether heavy work that nobody waits for is to wait, because the computer runs on its
    /// battery. What was asked for, as by `add --wait`, is done all the same.
    fn saves_power(&mut self) -> bool {
        if self.until == Until::Idle {
            return false;
        }
        let known = self.battery.filter(|(since, _)| since.elapsed() < BATTERY_POLL);
        let (_, on_battery) = *self
            .battery
            .insert(known.unwrap_or_else(|| (Instant::now(), (self.parts.on_battery)())));
        on_battery
    }

    /// Does the most urgent piece of work. Returns whether there was any.
    async fn step(&mut self) -> Result<bool, IngestError> {
        let vectors = !self.no_vectors && !self.saves_power();
        let worked = self.forget().await?
            || self.do_what_is_urgent().await?
            || self.read_files(false).await?
            || self.drop_unused()?
            || self.index_leftovers().await?
            || self.tell_languages()?
            || (vectors && (self.embed(false).await? || self.succeed().await?))
            || self.maintain(MAINTAIN_AFTER, MAINTAIN_AFTER_COMMITS).await?
            || self.purge().await?
            || (!self.saves_power() && self.recognise().await?);
        if worked {
            (self.parts.changed)();
        }
        Ok(worked)
    }

    /// Does what somebody waits for: what was just edited, or is looked at.
    async fn do_what_is_urgent(&mut self) -> Result<bool, IngestError> {
        if self.read_files(true).await? {
            return Ok(true);
        }
        if self.no_vectors {
            return Ok(false);
        }
        match self.embed(true).await {
            Ok(false) => {
                self.parts.catalog.clear_urgency()?;
                Ok(false)
            }
            result => result,
        }
    }

    /// Takes documents out of the index that the catalogue has forgotten.
    async fn forget(&mut self) -> Result<bool, IngestError> {
        let garbage = self.parts.catalog.garbage()?;
        if garbage.is_empty() {
            return Ok(false);
        }
        self.parts.index.remove(&garbage).await?;
        if let Some(succession) = &self.succession {
            succession.successor.index.remove(&garbage).await?;
        }
        self.parts.catalog.clear_garbage(&garbage)?;
        self.commits += 1;
        self.changed_chunks += garbage.len();
        Ok(true)
    }

    /// Forgets documents that no file holds any more, now that every file was read.
    fn drop_unused(&self) -> Result<bool, IngestError> {
        if self.parts.catalog.has_work(self.due())? {
            return Ok(false);
        }
        self.parts.catalog.drop_unused_documents()?;
        Ok(!self.parts.catalog.garbage()?.is_empty())
    }

    /// Reads files and makes them searchable by their words: with `urgent`, those that
    /// somebody waits for.
    async fn read_files(&mut self, urgent: bool) -> Result<bool, IngestError> {
        let start = Instant::now();
        let mut read = Vec::new();
        let mut any = false;
        while read.len() < BATCH_FILES
            && start.elapsed() < BATCH_TIME
            && !self.cancel.is_cancelled()
        {
            if !urgent {
                self.let_the_person_pass().await;
                if self.is_urged()? {
                    break;
                }
            }
            let Some(file) = self.take_file(urgent)? else { break };
            any = true;
            (self.parts.changed)();
            if let Some(attached) = self.read_file(&file).await? {
                read.push(attached);
            }
        }
        let mut chunks = Vec::new();
        let documents: BTreeSet<DocumentId> = read.iter().map(|read| read.document).collect();
        for document in documents {
            chunks.extend(self.parts.catalog.unindexed_chunks(document)?);
        }
        self.index_texts(chunks).await?;
        self.parts.catalog.attach(&read)?;
        Ok(any)
    }

    /// The next file to be read. The members of an archive come one after the other, so that it is
    /// unpacked once.
    fn take_file(&mut self, urgent: bool) -> Result<Option<QueuedFile>, IngestError> {
        let (catalog, due) = (&self.parts.catalog, self.due());
        if urgent {
            return Ok(catalog.take_file(due, true)?);
        }
        if let Some(archive) = &self.archive
            && let Some(member) = catalog.take_member(archive.id, due)?
        {
            return Ok(Some(member));
        }
        let file = catalog.take_file(due, false)?;
        self.archive = file.as_ref().and_then(|file| file.archive.clone());
        Ok(file)
    }

    /// Files whose next attempt is due by then, in seconds since 1970, are read.
    fn due(&self) -> i64 {
        if self.until == Until::Cancelled { now() } else { i64::MAX }
    }

    /// Whether somebody waits for something else than what is being done.
    fn is_urged(&mut self) -> Result<bool, IngestError> {
        Ok(self.watch.as_mut().is_some_and(FolderWatch::has_changes)
            || self.parts.catalog.has_urgent_files()?)
    }

    /// Waits until nobody waits for an answer.
    pub(crate) async fn let_the_person_pass(&mut self) {
        tokio::select! {
            // An error means that nobody can ask any more.
            _ = self.parts.awaited.wait_for(|awaited| *awaited == 0) => {}
            () = self.cancel.cancelled() => {}
        }
    }

    /// Reads one file into the catalogue. `None` where it holds no document, with
    /// the reason kept.
    async fn read_file(&mut self, file: &QueuedFile) -> Result<Option<Attached>, IngestError> {
        let catalog = self.parts.catalog.clone();
        let path = PathBuf::from(&file.path);
        let Some(identified) = self.identify(file).await? else {
            catalog.finish_without_document(file, &ReadOutcome::Again, now())?;
            return Ok(None);
        };
        let attached =
            |document, settled| Ok(Some(Attached { file: file.clone(), document, settled }));
        let Identity { kind, hash, settled } = match identified {
            Ok(identity) => identity,
            Err(failure) => {
                if let Some(document) = self.unlocked(file, &failure)? {
                    return attached(document, true);
                }
                tracing::info!("{}: {}", file.path, failure.message);
                catalog.finish_without_document(file, &outcome(&failure), now())?;
                return Ok(None);
            }
        };
        if let Some(document) = catalog.reuse_document(file.id, &hash, kind, READER_VERSION)? {
            return attached(document, settled);
        }
        let recognised = recognised(&catalog, &hash)?;
        let read = {
            let path = path.clone();
            self.read_meanwhile(file.urgent, move |mut reader| {
                Box::pin(async move {
                    let read = reader.read(&path, kind, recognised).await;
                    (reader, read)
                })
            })
        };
        let Some(read) = read.await? else {
            catalog.finish_without_document(file, &ReadOutcome::Again, now())?;
            return Ok(None);
        };
        let document = match read {
            Ok(document) => document,
            Err(failure) => {
                tracing::info!("{}: {}", file.path, failure.message);
                catalog.finish_without_document(file, &outcome(&failure), now())?;
                return Ok(None);
            }
        };
        // What was read may be newer than what was hashed.
        if !is_unchanged(file) {
            self.read_again(file).await?;
            return Ok(None);
        }
        let (document, reader) = self.measured(document, file.urgent).await;
        let new = NewDocument {
            hash: &hash,
            reader,
            extraction: &document.extraction,
            chunks: &document.chunks,
            members: &members(&document),
        };
        attached(catalog.insert_document(file.id, &new)?, settled)
    }

    /// The document of a member that opens with a password only, if it was opened before.
    fn unlocked(
        &self,
        file: &QueuedFile,
        failure: &ReadFailure,
    ) -> Result<Option<DocumentId>, IngestError> {
        let catalog = &self.parts.catalog;
        let archive = file.archive.as_ref();
        let Some(archive) = archive.filter(|_| failure.reason == ReadFailureReason::PasswordNeeded)
        else {
            return Ok(None);
        };
        let document = catalog.document_at(&archive.path)?;
        let content = document.map(|document| catalog.content_of(document.id)).transpose()?;
        let member = Path::new(&file.path).strip_prefix(&archive.path);
        let (Some(content), Ok(member)) = (content.flatten(), member) else { return Ok(None) };
        Ok(catalog.reuse_unlocked(file.id, &locked_hash(&content, member), READER_VERSION)?)
    }

    /// What a file is. `None` when cancelled.
    async fn identify(
        &mut self,
        file: &QueuedFile,
    ) -> Result<Option<Result<Identity, ReadFailure>>, IngestError> {
        let path = PathBuf::from(&file.path);
        if file.archive.is_none() {
            let identified = blocking(move || identify(&path)).await;
            return Ok(Some(identified.map_err(|error| ReadFailure::from(&error))));
        }
        // Unpacking is work for the reading process.
        let identified = self.read_meanwhile(file.urgent, move |mut reader| {
            Box::pin(async move {
                let identified = reader.identify(&path).await;
                (reader, identified)
            })
        });
        let Some(identified) = identified.await? else { return Ok(None) };
        if is_there(Path::new(on_disk(file))) && !is_unchanged(file) {
            self.read_again(file).await?;
            return Ok(None);
        }
        // A change of the archive is met when the archive is looked at.
        let identity = |MemberIdentity { kind, hash }| Identity { kind, hash, settled: true };
        Ok(Some(identified.map(identity)))
    }

    /// Puts a file back that is not what it was when it was found, and looks at the disk. A member
    /// is then read after its archive.
    async fn read_again(&mut self, file: &QueuedFile) -> Result<(), IngestError> {
        let catalog = self.parts.catalog.clone();
        catalog.finish_without_document(file, &ReadOutcome::Again, now())?;
        let path = Path::new(on_disk(file));
        if let Some(folder) = folder_of(&catalog.folders()?, path) {
            self.look_at(folder, path, file.urgent).await?;
        }
        if let Some(archive) = &file.archive {
            catalog.read_again(&archive.path)?;
        }
        Ok(())
    }

    /// Has a reader work, and does what becomes urgent in between, for a large file takes
    /// minutes. `None` when cancelled.
    async fn read_meanwhile<T: Send>(
        &mut self,
        urgent: bool,
        work: impl FnOnce(Box<dyn DocumentReader>) -> Reading<T>,
    ) -> Result<Option<T>, IngestError> {
        let place = usize::from(urgent);
        let reader = self.readers[place].take().unwrap_or_else(|| (self.parts.reader)());
        let mut reading = work(reader);
        loop {
            tokio::select! {
                (reader, read) = &mut reading => {
                    self.readers[place] = Some(reader);
                    return Ok(Some(read));
                }
                () = self.cancel.cancelled() => return Ok(None),
                () = stirred(self.watch.as_mut()), if !urgent => {
                    self.serve().await?;
                }
            }
        }
    }

    /// Follows the disk and does what that makes urgent. It reads files while a file is
    /// read, so its future is boxed.
    pub(crate) fn serve(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<(), IngestError>> + Send + '_>> {
        Box::pin(async {
            self.follow().await?;
            loop {
                match self.do_what_is_urgent().await {
                    Ok(true) => (self.parts.changed)(),
                    // Without an embedder the main loop meets the same, and tells.
                    Ok(false) | Err(IngestError::Embedder(_)) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// A document with chunks that are as long as they should be, as far as that is known by now,
    /// and the version of it.
    async fn measured(&mut self, document: ReadDocument, urgent: bool) -> (ReadDocument, u32) {
        // What is to be found of an archive are its members.
        if !document.members.is_empty() {
            return (document, READER_VERSION);
        }
        match self.embedder_to_measure(urgent).await {
            Measure::Embedder(embedder) => (measured(document, embedder).await, READER_VERSION),
            Measure::Never => (document, READER_VERSION),
            Measure::Later => {
                self.unmeasured = true;
                (document, UNMEASURED_VERSION)
            }
        }
    }

    /// The embedder, which the chunks of new documents will need in any case. What is `urgent`
    /// does not wait until it is loaded: the estimate of the reading process will do for now.
    async fn embedder_to_measure(&mut self, urgent: bool) -> Measure {
        if self.no_vectors || self.no_measure {
            return Measure::Never;
        }
        let source = self.parts.embedder.clone();
        // In a task of its own, which goes on loading when it is not waited for.
        let loading = tokio::spawn(async move { source.get().await.ok() });
        let patience = if urgent { A_MOMENT } else { Duration::MAX };
        let Ok(loaded) = tokio::time::timeout(patience, loading).await else {
            return Measure::Later;
        };
        match loaded.ok().flatten() {
            Some(embedder) => Measure::Embedder(embedder),
            None => {
                self.no_measure = true;
                Measure::Never
            }
        }
    }

    /// Queues what was cut by an estimate to be cut by the embedder, which is there now.
    fn measure_again(&mut self) -> Result<(), IngestError> {
        if std::mem::take(&mut self.unmeasured) {
            self.parts.catalog.queue_outdated(READER_VERSION)?;
        }
        Ok(())
    }

    /// Indexes chunks of documents in use that the lexical index lost.
    async fn index_leftovers(&mut self) -> Result<bool, IngestError> {
        let chunks = self.parts.catalog.chunks_to_index(REINDEX_BATCH)?;
        let any = !chunks.is_empty();
        self.index_texts(chunks).await?;
        Ok(any)
    }

    async fn index_texts(&mut self, chunks: Vec<QueuedChunk>) -> Result<(), IngestError> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.changed_chunks += chunks.len();
        self.commits += 1;
        let ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
        let texts = chunks
            .into_iter()
            .map(|chunk| IndexedChunk {
                id: chunk.id,
                document: chunk.document,
                text: searchable_text(&chunk),
            })
            .collect();
        self.parts.index.add_texts(texts).await?;
        self.parts.catalog.mark_indexed(&ids)?;
        Ok(())
    }

    /// Gives chunks their vectors, until something comes first. With `urgent`, only those
    /// of files that somebody waits for.
    async fn embed(&mut self, urgent: bool) -> Result<bool, IngestError> {
        let catalog = self.parts.catalog.clone();
        let waiting = if urgent {
            catalog.urgent_chunks(EMBED_COMMIT)?
        } else {
            catalog.chunks_to_embed(EMBED_COMMIT)?
        };
        if waiting.is_empty() {
            return Ok(false);
        }
        let embedder = self.parts.embedder.get().await?;
        let embedded = self.vectors_of(&embedder, waiting, urgent).await?;
        let ids: Vec<ChunkId> = embedded.iter().map(|chunk| chunk.id).collect();
        self.changed_chunks += ids.len();
        self.commits += 1;
        self.parts.index.add_vectors(embedded).await?;
        catalog.mark_embedded(&ids)?;
        self.measure_again()?;
        (self.parts.problem)(None);
        Ok(true)
    }

    /// The vectors of these chunks, or of the first of them where something comes first.
    async fn vectors_of(
        &mut self,
        embedder: &Arc<dyn Embedder>,
        chunks: Vec<QueuedChunk>,
        urgent: bool,
    ) -> Result<Vec<EmbeddedChunk>, IngestError> {
        let catalog = self.parts.catalog.clone();
        let mut embedded = Vec::with_capacity(chunks.len());
        for step in chunks.chunks(EMBED_STEP) {
            if !urgent {
                self.let_the_person_pass().await;
            }
            embedded.extend(vectors(embedder, step.to_vec()).await?);
            let first =
                if urgent { catalog.has_urgent_files()? } else { catalog.has_work(now())? };
            if first || self.cancel.is_cancelled() || self.is_urged()? {
                break;
            }
        }
        Ok(embedded)
    }

    /// Makes some of the vectors of the embedder that is to take the place of the one in
    /// use, and has it take the place when they are complete.
    async fn succeed(&mut self) -> Result<bool, IngestError> {
        if self.no_successor {
            return Ok(false);
        }
        let Some(mut succession) = self.succession.take() else { return Ok(false) };
        match self.advance(&mut succession).await {
            Ok(Advance::Complete) => {
                let Succession { successor, held, .. } = succession;
                self.parts.catalog.swap_embedder(&successor.embedder.id(), &held)?;
                (self.parts.index, self.parts.embedder) = (successor.index, successor.embedder);
                Ok(true)
            }
            result => {
                self.succession = Some(succession);
                match result {
                    Err(IngestError::Embedder(error)) => {
                        tracing::warn!("the other embedder cannot be had: {error}");
                        self.no_successor = true;
                        (self.parts.problem)(Some(error));
                        Ok(false)
                    }
                    result => result.map(|_| true),
                }
            }
        }
    }

    async fn advance(&mut self, succession: &mut Succession) -> Result<Advance, IngestError> {
        let chunks = self.parts.catalog.chunks_after(succession.met, EMBED_COMMIT)?;
        let Some(last) = chunks.last().map(|chunk| chunk.id) else {
            // Chunks came and went meanwhile; only a round without any to be done is the end.
            if std::mem::replace(&mut succession.complete, true) {
                return Ok(Advance::Complete);
            }
            succession.met = ChunkId(0);
            return Ok(Advance::Further);
        };
        let waiting: Vec<QueuedChunk> =
            chunks.into_iter().filter(|chunk| !succession.held.contains(&chunk.id)).collect();
        if waiting.is_empty() {
            succession.met = last;
            return Ok(Advance::Further);
        }
        succession.complete = false;
        let embedder = succession.successor.embedder.get().await?;
        let embedded = self.vectors_of(&embedder, waiting, false).await?;
        let ids: Vec<ChunkId> = embedded.iter().map(|chunk| chunk.id).collect();
        succession.successor.index.add_vectors(embedded).await?;
        self.commits += 1;
        // What was not done now is met in the next round.
        succession.met = last;
        succession.held.extend(ids);
        self.parts.catalog.set_successor_vectors(succession.held.len())?;
        (self.parts.changed)();
        Ok(Advance::Further)
    }

    /// Puts the index in order after so many changed chunks or commits. In a large library that
    /// takes seconds, so what is saved meanwhile comes first, and it is begun again afterwards.
    async fn maintain(&mut self, chunks: usize, commits: usize) -> Result<bool, IngestError> {
        if self.changed_chunks < chunks && self.commits < commits {
            return Ok(false);
        }
        let index = self.parts.index.clone();
        let gives_way = self.interruptions < MOST_INTERRUPTIONS;
        tokio::select! {
            maintained = index.maintain() => {
                maintained?;
                (self.changed_chunks, self.commits, self.interruptions) = (0, 0, 0);
            }
            () = stirred(self.watch.as_mut()), if gives_way => self.interruptions += 1,
            () = self.cancel.cancelled() => {}
        }
        Ok(true)
    }

    /// Leaves nothing of what the person had forgotten.
    async fn purge(&mut self) -> Result<bool, IngestError> {
        let catalog = self.parts.catalog.clone();
        if !catalog.is_purge_asked()? {
            return Ok(false);
        }
        let successor = self.succession.iter().map(|s| s.successor.embedder.id());
        self.parts.index.purge(&successor.collect::<Vec<_>>()).await?;
        blocking(move || catalog.purge()).await?;
        Ok(true)
    }

    /// Copies the catalogue where the copy is old.
    async fn keep_copy(&self) -> Result<(), IngestError> {
        let catalog = self.parts.catalog.clone();
        let is_old = match (catalog.copied(), catalog.written()) {
            (Some(copied), Some(written)) => {
                written > copied && copied.elapsed().is_ok_and(|age| age > COPY_AGE)
            }
            (copied, _) => copied.is_none(),
        };
        if is_old && let Err(error) = blocking(move || catalog.keep_copy()).await {
            // There is nothing to be done about it here, and nothing depends on it yet.
            tracing::warn!("{error}");
        }
        Ok(())
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

async fn vectors(
    embedder: &Arc<dyn Embedder>,
    chunks: Vec<QueuedChunk>,
) -> Result<Vec<EmbeddedChunk>, ModelError> {
    let embedder = embedder.clone();
    let made = spawn_blocking(move || {
        let counter = embedder.token_counter();
        let inputs: Vec<String> =
            chunks.iter().map(|chunk| embedded_text(chunk, counter)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let vectors = embedder.embed_passages(&inputs)?;
        let embedded = chunks.into_iter().zip(vectors).map(|(chunk, vector)| EmbeddedChunk {
            id: chunk.id,
            document: chunk.document,
            vector,
        });
        Ok(embedded.collect())
    });
    made.await.unwrap_or_else(|panic| {
        Err(ModelError::new(
            ErrorCode::ModelFailed,
            format!("The embedding model broke: {panic}."),
            "Get it again, or choose another one.",
        ))
    })
}

pub(crate) async fn stirred(watch: Option<&mut FolderWatch>) {
    match watch {
        Some(watch) => watch.stirred().await,
        None => std::future::pending().await,
    }
}

/// What a look depends on: others have changed it when it differs.
fn places_of(folders: &[FolderRecord]) -> Vec<(FolderId, String, FolderRules)> {
    folders.iter().map(|folder| (folder.id, folder.path.clone(), folder.rules.clone())).collect()
}

/// A reader at work, which gives the reader back with what it has found.
type Reading<T> = Pin<Box<dyn Future<Output = (Box<dyn DocumentReader>, T)> + Send>>;

/// The path on the disk of what holds a file: of its archive, or its own.
fn on_disk(file: &QueuedFile) -> &str {
    file.archive.as_ref().map_or(&file.path, |archive| &archive.path)
}

/// Whether a file, or the archive that it is in, is what it was when it was found.
fn is_unchanged(file: &QueuedFile) -> bool {
    fs::symlink_metadata(on_disk(file))
        .is_ok_and(|metadata| (metadata.len(), stamp(&metadata)) == (file.size, file.stamp))
}

/// What a member that opens with a password only is known by: the SHA-256 of its archive, and its
/// path below it.
pub(crate) fn locked_hash(archive: &[u8], member: &Path) -> Vec<u8> {
    let member = member.to_string_lossy();
    Sha256::new().chain_update(archive).chain_update(member.as_bytes()).finalize().to_vec()
}

/// What a document holds, where it is an archive, without what programs keep for themselves.
pub(crate) fn members(document: &ReadDocument) -> Vec<Member> {
    let members = document.members.iter().filter(|member| !is_of_programs(&member.path));
    members
        .map(|member| Member { path: member.path.clone(), failure: member.failure.clone() })
        .collect()
}

/// What a file is.
pub(crate) struct Identity {
    pub(crate) kind: DocumentKind,
    /// SHA-256 of its content.
    pub(crate) hash: Vec<u8>,
    /// A change after the hash was taken shows in the file's stamp.
    settled: bool,
}

/// Finds out what the file at `path` is. Blocks.
pub(crate) fn identify(path: &Path) -> Result<Identity, ReadError> {
    let now = SystemTime::now();
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        // Something else took its place; a link would lead elsewhere.
        return Err(ReadError::Missing);
    }
    let kind = detect(path)?;
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(Identity { kind, hash: hasher.finalize().to_vec(), settled: is_settled(&metadata, now) })
}

fn outcome(failure: &ReadFailure) -> ReadOutcome {
    match failure.reason {
        ReadFailureReason::Empty | ReadFailureReason::NotText | ReadFailureReason::Unsupported => {
            ReadOutcome::Skipped(failure.message.clone())
        }
        ReadFailureReason::Missing
        | ReadFailureReason::AccessDenied
        | ReadFailureReason::Unreadable => ReadOutcome::Unreachable(failure.message.clone()),
        ReadFailureReason::PasswordNeeded => ReadOutcome::PasswordNeeded(failure.message.clone()),
        _ => ReadOutcome::Failed(failure.message.clone()),
    }
}
