//! The one writer of a library: it takes files from the queue to the two indices.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lectern_catalog::{
    Catalog, CatalogError, FolderRecord, Look, NewDocument, QueuedChunk, QueuedFile, ReadOutcome,
};
use lectern_domain::{
    ChunkId, ChunkIndex, DocumentId, DocumentKind, EmbeddedChunk, Embedder, IndexError,
    IndexedChunk, ModelError, Source,
};
use lectern_extract::{
    ReadError, detect,
    worker::{ReadDocument, ReadFailure, ReadFailureReason, Reader},
};
use sha2::{Digest, Sha256};
use tokio::{sync::Notify, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    Discovered, discover,
    discover::modified_nanoseconds,
    measure::{embedded_text, measured},
    watch::{Changes, FolderWatch},
};

/// The version of the readers and the chunker. Raising it has every document
/// read again, while the old text stays searchable.
pub const READER_VERSION: u32 = 3;

/// The setting that is `true` while the person has paused the work.
pub const PAUSED_SETTING: &str = "paused";

/// Files are handed to the index together for so long: a commit has a fixed cost.
const BATCH_TIME: Duration = Duration::from_millis(500);

/// At most so many files in one commit.
const BATCH_FILES: usize = 64;

/// So many chunks are embedded before the queue of files is looked at again.
const EMBED_STEP: usize = 16;

/// So many vectors are committed together.
const EMBED_COMMIT: usize = 128;

/// Chunks handed to the lexical index together when it is made anew.
const REINDEX_BATCH: usize = 2_000;

/// After so many changed chunks the index is put in order.
const MAINTAIN_AFTER: usize = 5_000;

/// How often the catalogue is asked whether another process wrote to it.
const POLL: Duration = Duration::from_secs(1);

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

/// Reads one document after another.
#[async_trait]
pub trait DocumentReader: Send + Sync {
    /// Reads the file at `path` as a `kind`.
    async fn read(&mut self, path: &Path, kind: DocumentKind) -> Result<ReadDocument, ReadFailure>;
}

#[async_trait]
impl DocumentReader for Reader {
    async fn read(&mut self, path: &Path, kind: DocumentKind) -> Result<ReadDocument, ReadFailure> {
        Reader::read(self, path, kind).await
    }
}

/// What an [`Indexer`] works with.
pub struct IndexerParts {
    /// The truth.
    pub catalog: Arc<Catalog>,
    /// The cache of it that is searched.
    pub index: Arc<dyn ChunkIndex>,
    /// Loaded when the first chunk waits for its vector.
    pub embedder: Arc<dyn Source<dyn Embedder>>,
    /// Reads files.
    pub reader: Box<dyn DocumentReader>,
    /// Called after every change; must return at once.
    pub changed: Box<dyn Fn() + Send + Sync>,
    /// Told why there are no vectors, and `None` when there are again.
    pub problem: Box<dyn Fn(Option<ModelError>) + Send + Sync>,
    /// Rung when there may be something to do: folders added, work resumed.
    pub wake: Arc<Notify>,
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
    parts: IndexerParts,
    cancel: CancellationToken,
    /// Chunks that came or went since the index was last put in order.
    unmaintained: usize,
    /// The embedder cannot be had; vectors wait until somebody rings.
    no_vectors: bool,
    /// Nor can it be had for its measure.
    no_measure: bool,
}

impl Indexer {
    /// An indexer that stops soon after `cancel`.
    pub fn new(parts: IndexerParts, cancel: CancellationToken) -> Self {
        Self { parts, cancel, unmaintained: 0, no_vectors: false, no_measure: false }
    }

    /// Looks at the folders, then works. Everything done before it returns is
    /// kept, however it returns. A failing embedder ends it only when nothing
    /// else is left to do.
    pub async fn run(&mut self, until: Until) -> Result<(), IngestError> {
        self.recover().await?;
        let mut watch = (until == Until::Cancelled).then(FolderWatch::new);
        let mut folders = None;
        let mut embedder_failed = None;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            let counter = self.parts.catalog.change_counter()?;
            let named = self.parts.catalog.folders()?;
            if folders.as_ref() != Some(&named) {
                self.look_at(&named).await?;
            }
            // Looking may have found out that a folder is missing.
            let named = folders.insert(self.parts.catalog.folders()?);
            if let Some(watch) = &mut watch {
                watch.set(named.iter().filter(|folder| !folder.missing).map(|f| f.path.as_ref()));
                if let Some(changes) = watch.pending() {
                    self.follow(changes, named, watch).await?;
                    continue;
                }
            }
            let paused = until == Until::Cancelled
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
            let Some(watch) = &mut watch else {
                return embedder_failed.map_or(Ok(()), |error| Err(error.into()));
            };
            loop {
                tokio::select! {
                    () = self.cancel.cancelled() => return Ok(()),
                    () = self.parts.wake.notified() => {
                        // What was missing may have come.
                        self.no_vectors = false;
                        self.no_measure = false;
                        break;
                    }
                    changes = watch.changes() => {
                        self.follow(changes, named, watch).await?;
                        break;
                    }
                    () = tokio::time::sleep(POLL) => {
                        // Another process may have changed the folders, or a drive
                        // may be back, which nothing else tells.
                        if named.iter().any(|folder| folder.missing && Path::new(&folder.path).exists()) {
                            folders = None;
                            break;
                        }
                        if self.parts.catalog.change_counter()? != counter {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Brings the catalogue and the index to agree after whatever ended the last
    /// process.
    async fn recover(&mut self) -> Result<(), IngestError> {
        let catalog = &self.parts.catalog;
        catalog.release_files()?;
        catalog.drop_unused_documents()?;
        catalog.queue_outdated(READER_VERSION)?;
        let texts = self.parts.index.text_ids().await?;
        let vectors = self.parts.index.vector_ids().await?;
        catalog.reconcile_index(&texts, &vectors)?;
        (self.parts.changed)();
        Ok(())
    }

    /// Looks at every folder on the disk.
    async fn look_at(&self, folders: &[FolderRecord]) -> Result<(), IngestError> {
        for folder in folders {
            if self.cancel.is_cancelled() {
                break;
            }
            self.look_at_path(folder, Path::new(&folder.path)).await?;
        }
        Ok(())
    }

    async fn look_at_path(&self, folder: &FolderRecord, path: &Path) -> Result<(), IngestError> {
        look(&self.parts.catalog, folder, path).await?;
        (self.parts.changed)();
        Ok(())
    }

    /// Looks at what has changed on the disk.
    async fn follow(
        &self,
        changes: Changes,
        folders: &[FolderRecord],
        watch: &mut FolderWatch,
    ) -> Result<(), IngestError> {
        let paths: BTreeSet<PathBuf> = match changes {
            Changes::Everything => return self.look_at(folders).await,
            Changes::Paths(paths) => paths,
        };
        for path in paths {
            if let Some(folder) = folder_of(folders, &path) {
                if Path::new(&folder.path) == path {
                    // Perhaps another folder has taken its place.
                    watch.forget(&path);
                }
                self.look_at_path(folder, &path).await?;
            }
        }
        Ok(())
    }

    /// Does the most urgent piece of work. Returns whether there was any.
    async fn step(&mut self) -> Result<bool, IngestError> {
        let worked = self.forget().await?
            || self.read_files().await?
            || self.index_leftovers().await?
            || (!self.no_vectors && self.embed().await?)
            || self.maintain().await?;
        if worked {
            (self.parts.changed)();
        }
        Ok(worked)
    }

    /// Takes documents out of the index that the catalogue has forgotten.
    async fn forget(&mut self) -> Result<bool, IngestError> {
        let garbage = self.parts.catalog.garbage()?;
        if garbage.is_empty() {
            return Ok(false);
        }
        self.parts.index.remove(&garbage).await?;
        self.parts.catalog.clear_garbage(&garbage)?;
        self.unmaintained += garbage.len();
        Ok(true)
    }

    /// Reads files and makes them searchable by their words.
    async fn read_files(&mut self) -> Result<bool, IngestError> {
        let start = Instant::now();
        let mut read = Vec::new();
        let mut any = false;
        while read.len() < BATCH_FILES
            && start.elapsed() < BATCH_TIME
            && !self.cancel.is_cancelled()
        {
            let Some(file) = self.parts.catalog.take_files(1)?.pop() else { break };
            any = true;
            (self.parts.changed)();
            if let Some(document) = self.read_file(&file).await? {
                read.push((file, document));
            }
        }
        let mut chunks = Vec::new();
        let documents: BTreeSet<DocumentId> = read.iter().map(|(_, document)| *document).collect();
        for document in documents {
            chunks.extend(self.parts.catalog.unindexed_chunks(document)?);
        }
        self.index_texts(chunks).await?;
        self.parts.catalog.attach(&read)?;
        Ok(any)
    }

    /// Reads one file into the catalogue. `None` where it holds no document, with
    /// the reason kept.
    async fn read_file(&mut self, file: &QueuedFile) -> Result<Option<DocumentId>, IngestError> {
        let catalog = self.parts.catalog.clone();
        let path = PathBuf::from(&file.path);
        let identified = {
            let path = path.clone();
            spawn_blocking(move || identify(&path))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        };
        let (kind, hash) = match identified {
            Ok(identified) => identified,
            Err(error) => {
                catalog.finish_without_document(file, &outcome(&ReadFailure::from(&error)))?;
                return Ok(None);
            }
        };
        if let Some(document) = catalog.reuse_document(file.id, &hash, kind, READER_VERSION)? {
            return Ok(Some(document));
        }
        let cancel = self.cancel.clone();
        let read = tokio::select! {
            read = self.parts.reader.read(&path, kind) => read,
            () = cancel.cancelled() => {
                catalog.finish_without_document(file, &ReadOutcome::Again)?;
                return Ok(None);
            }
        };
        let document = match read {
            Ok(document) => document,
            Err(failure) => {
                tracing::info!("{}: {}", file.path, failure.message);
                catalog.finish_without_document(file, &outcome(&failure))?;
                return Ok(None);
            }
        };
        // What was read may be newer than what was hashed.
        let unchanged = std::fs::metadata(&path).is_ok_and(|metadata| {
            (metadata.len(), modified_nanoseconds(&metadata)) == (file.size, file.modified)
        });
        if !unchanged {
            catalog.finish_without_document(file, &ReadOutcome::Again)?;
            if let Some(folder) = folder_of(&catalog.folders()?, &path) {
                self.look_at_path(folder, &path).await?;
            }
            return Ok(None);
        }
        let document = match self.embedder_to_measure().await {
            Some(embedder) => measured(document, embedder).await,
            None => document,
        };
        let new = NewDocument {
            hash: &hash,
            reader: READER_VERSION,
            extraction: &document.extraction,
            chunks: &document.chunks,
        };
        Ok(Some(catalog.insert_document(file.id, &new)?))
    }

    /// The embedder, which the chunks of new documents will need in any case.
    async fn embedder_to_measure(&mut self) -> Option<Arc<dyn Embedder>> {
        if self.no_vectors || self.no_measure {
            return None;
        }
        let embedder = self.parts.embedder.get().await.ok();
        self.no_measure = embedder.is_none();
        embedder
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
        self.unmaintained += chunks.len();
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

    /// Gives chunks their vectors, until a file waits to be read.
    async fn embed(&mut self) -> Result<bool, IngestError> {
        let waiting = self.parts.catalog.chunks_to_embed(EMBED_COMMIT)?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let embedder = self.parts.embedder.get().await?;
        let mut embedded = Vec::with_capacity(waiting.len());
        for step in waiting.chunks(EMBED_STEP) {
            let step = step.to_vec();
            let embedder = embedder.clone();
            let vectors = spawn_blocking(move || {
                let counter = embedder.token_counter();
                let inputs: Vec<String> =
                    step.iter().map(|chunk| embedded_text(chunk, counter)).collect();
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let vectors = embedder.embed_passages(&inputs)?;
                Ok::<_, ModelError>(
                    step.into_iter()
                        .zip(vectors)
                        .map(|(chunk, vector)| EmbeddedChunk {
                            id: chunk.id,
                            document: chunk.document,
                            vector,
                        })
                        .collect::<Vec<_>>(),
                )
            })
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            embedded.extend(vectors);
            if self.cancel.is_cancelled() || self.parts.catalog.has_pending_files()? {
                break;
            }
        }
        let ids: Vec<ChunkId> = embedded.iter().map(|chunk| chunk.id).collect();
        self.unmaintained += ids.len();
        self.parts.index.add_vectors(embedded).await?;
        self.parts.catalog.mark_embedded(&ids)?;
        (self.parts.problem)(None);
        Ok(true)
    }

    /// Puts the index in order after larger changes.
    async fn maintain(&mut self) -> Result<bool, IngestError> {
        if self.unmaintained < MAINTAIN_AFTER {
            return Ok(false);
        }
        self.parts.index.maintain().await?;
        self.unmaintained = 0;
        Ok(true)
    }
}

/// Looks at one path at or below a folder and brings the catalogue to agree with
/// it. A folder that cannot be found keeps its files: it may lie on a drive that is
/// not connected. A single file is gone when the folder it lay in is there without
/// it. Returns how many files are new.
pub async fn look(
    catalog: &Catalog,
    folder: &FolderRecord,
    path: &Path,
) -> Result<u64, CatalogError> {
    let root = PathBuf::from(&folder.path);
    let missing = !root.exists();
    catalog.set_missing(folder.id, missing)?;
    let gone = root.parent().is_some_and(Path::is_dir) && catalog.has_file(&folder.path)?;
    if missing && !gone {
        return Ok(0);
    }
    let newest = catalog.newest_file()?;
    let exclusions = catalog.exclusions(folder.id)?;
    let start = path.to_owned();
    let Discovered { found, unreadable } =
        spawn_blocking(move || discover(&root, &start, &exclusions))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let root = path.to_string_lossy();
    catalog
        .reconcile(folder.id, &Look { root: &root, found: &found, unreadable: &unreadable, newest })
}

/// The folder that `path` belongs to: the innermost where one lies in another.
fn folder_of<'a>(folders: &'a [FolderRecord], path: &Path) -> Option<&'a FolderRecord> {
    folders
        .iter()
        .filter(|folder| path.starts_with(&folder.path))
        .max_by_key(|folder| folder.path.len())
}

/// The kind of the file at `path` and the SHA-256 of its content. Blocks.
fn identify(path: &Path) -> Result<(DocumentKind, Vec<u8>), ReadError> {
    let kind = detect(path)?;
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    io::copy(&mut file, &mut hasher)?;
    Ok((kind, hasher.finalize().to_vec()))
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

/// What both indices find a chunk by: the document's title and the headings first,
/// because many passages name their subject only there, then its words.
pub fn searchable_text(chunk: &QueuedChunk) -> String {
    let title = Path::new(&chunk.title);
    // A path stands in for a missing title; its file name is what people chose.
    let title = title
        .file_stem()
        .filter(|_| title.is_absolute())
        .map_or(chunk.title.clone().into(), std::ffi::OsStr::to_string_lossy);
    let mut input = String::with_capacity(chunk.text.len() + 64);
    let mut last = "";
    for part in std::iter::once(title.as_ref()).chain(chunk.heading.iter().map(String::as_str)) {
        // The first chunk of a section begins with its heading already.
        if !part.is_empty() && part != last && !chunk.text.starts_with(part) {
            input.push_str(part);
            input.push('\n');
        }
        last = part;
    }
    input.push_str(&chunk.text);
    input
}
