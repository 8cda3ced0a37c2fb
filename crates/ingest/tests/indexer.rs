//! The indexer's promises, on real files and a real catalogue. The index is kept in
//! memory and documents are read in the test's own process, so that each test takes
//! milliseconds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use lectern_catalog::{Catalog, FileState};
use lectern_domain::{
    ChunkId, ChunkIndex, ChunkMatch, DocumentId, DocumentKind, EmbeddedChunk, Embedder, ErrorCode,
    IndexError, IndexedChunk, ModelError, Scope, Source,
};
use lectern_extract::worker::{ReadDocument, ReadFailure, read_document};
use lectern_ingest::{
    DocumentReader, Indexer, IndexerParts, IngestError, LibraryLock, PAUSED_SETTING, Until,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// An index in memory that remembers all it was given, also what is there twice.
#[derive(Default)]
struct MemoryIndex {
    texts: Mutex<BTreeMap<ChunkId, (DocumentId, String)>>,
    vectors: Mutex<BTreeMap<ChunkId, DocumentId>>,
    twice: AtomicUsize,
    broken: AtomicBool,
}

#[async_trait]
impl ChunkIndex for MemoryIndex {
    async fn add_texts(&self, chunks: Vec<IndexedChunk>) -> Result<(), IndexError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(IndexError::Store("the disk is full".into()));
        }
        for chunk in chunks {
            let old = self.texts.lock().unwrap().insert(chunk.id, (chunk.document, chunk.text));
            self.twice.fetch_add(usize::from(old.is_some()), Ordering::SeqCst);
        }
        Ok(())
    }
    async fn add_vectors(&self, chunks: Vec<EmbeddedChunk>) -> Result<(), IndexError> {
        for chunk in chunks {
            let old = self.vectors.lock().unwrap().insert(chunk.id, chunk.document);
            self.twice.fetch_add(usize::from(old.is_some()), Ordering::SeqCst);
        }
        Ok(())
    }
    async fn remove(&self, documents: &[DocumentId]) -> Result<(), IndexError> {
        self.texts.lock().unwrap().retain(|_, (document, _)| !documents.contains(document));
        self.vectors.lock().unwrap().retain(|_, document| !documents.contains(document));
        Ok(())
    }
    async fn lexical(&self, _: &str, _: usize, _: &Scope) -> Result<Vec<ChunkMatch>, IndexError> {
        Ok(Vec::new())
    }
    async fn semantic(
        &self,
        _: &[f32],
        _: usize,
        _: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        Ok(Vec::new())
    }
    async fn text_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(self.texts.lock().unwrap().keys().copied().collect())
    }
    async fn vector_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(self.vectors.lock().unwrap().keys().copied().collect())
    }
    async fn maintain(&self) -> Result<(), IndexError> {
        Ok(())
    }
}

struct LengthEmbedder;

impl Embedder for LengthEmbedder {
    fn id(&self) -> &str {
        "length"
    }
    fn dimensions(&self) -> usize {
        1
    }
    fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(passages.iter().map(|_| vec![1.]).collect())
    }
    fn embed_query(&self, _: &str) -> Result<Vec<f32>, ModelError> {
        Ok(vec![1.])
    }
}

/// An embedder that may be missing.
struct LazyEmbedder {
    missing: AtomicBool,
}

#[async_trait]
impl Source<dyn Embedder> for LazyEmbedder {
    fn id(&self) -> String {
        "length".into()
    }
    async fn get(&self) -> Result<Arc<dyn Embedder>, ModelError> {
        if self.missing.load(Ordering::SeqCst) {
            return Err(ModelError::new(ErrorCode::ModelMissing, "no embedder", "fetch it"));
        }
        Ok(Arc::new(LengthEmbedder))
    }
}

/// Reads in this process and counts.
struct LocalReader(Arc<AtomicUsize>);

#[async_trait]
impl DocumentReader for LocalReader {
    async fn read(&mut self, path: &Path, kind: DocumentKind) -> Result<ReadDocument, ReadFailure> {
        self.0.fetch_add(1, Ordering::SeqCst);
        read_document(path, kind)
    }
}

/// A library, a folder, and an indexer made anew for each run, as by a new process.
struct World {
    directory: tempfile::TempDir,
    catalog: Arc<Catalog>,
    index: Arc<MemoryIndex>,
    embedder: Arc<LazyEmbedder>,
    reads: Arc<AtomicUsize>,
    changed: Arc<Notify>,
    wake: Arc<Notify>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        let catalog = Catalog::open(&directory.path().join("catalog.sqlite")).unwrap();
        let world = Self {
            directory,
            catalog: Arc::new(catalog),
            index: Arc::default(),
            embedder: Arc::new(LazyEmbedder { missing: AtomicBool::new(false) }),
            reads: Arc::default(),
            changed: Arc::default(),
            wake: Arc::default(),
        };
        world.catalog.add_folder(world.folder().to_str().unwrap(), 0).unwrap();
        world
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("folder")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn indexer(&self, cancel: CancellationToken) -> Indexer {
        let changed = self.changed.clone();
        Indexer::new(
            IndexerParts {
                catalog: self.catalog.clone(),
                index: self.index.clone(),
                embedder: self.embedder.clone(),
                reader: Box::new(LocalReader(self.reads.clone())),
                changed: Box::new(move || changed.notify_one()),
                problem: Box::new(|_| {}),
                wake: self.wake.clone(),
            },
            cancel,
        )
    }

    async fn run(&self) -> Result<(), IngestError> {
        self.indexer(CancellationToken::new()).run(Until::Idle).await
    }

    /// `name state` for every file.
    fn states(&self) -> Vec<String> {
        let folder = self.folder();
        let files = self.catalog.files(None).unwrap();
        files
            .iter()
            .map(|file| {
                let name = Path::new(&file.path).strip_prefix(&folder).unwrap().display();
                format!("{name} {}", file.state.as_str())
            })
            .collect()
    }

    /// What the index would find, sorted.
    fn indexed(&self) -> Vec<String> {
        let mut texts: Vec<String> =
            self.index.texts.lock().unwrap().values().map(|(_, text)| text.clone()).collect();
        texts.sort();
        texts
    }

    /// Waits until the library is as wanted; rung by every change.
    async fn wait_for(&self, wanted: impl Fn(&Self) -> bool) {
        while !wanted(self) {
            self.changed.notified().await;
        }
    }
}

#[tokio::test]
async fn reads_indexes_and_embeds_all_there_is() {
    let world = World::new();
    world.write("a.md", "# Alpha\n\nThe first.");
    world.write("sub/b.txt", "The second.");
    world.write("empty.md", "");
    world.write("bad.pdf", "%PDF-1.4 no");
    world.run().await.unwrap();
    let states = ["a.md ready", "bad.pdf failed", "empty.md skipped", "sub/b.txt ready"];
    assert_eq!(world.states(), states);
    let counts = world.catalog.counts(None).unwrap();
    assert_eq!((counts.chunks, counts.embedded_chunks), (2, 2));
    // Headings and names are searchable with the words below them.
    assert_eq!(world.indexed(), ["Alpha\n\nThe first.", "b\nThe second."]);
}

#[tokio::test]
async fn an_unchanged_library_is_not_read_again() {
    let world = World::new();
    world.write("a.md", "One.");
    world.write("copy of a.md", "One.");
    world.run().await.unwrap();
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "a copy is not read twice");
    world.run().await.unwrap();
    std::fs::rename(world.folder().join("a.md"), world.folder().join("moved.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "nor is a moved file");
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
    assert_eq!(world.states(), ["copy of a.md ready", "moved.md ready"]);
}

#[tokio::test]
async fn follows_edits_and_removals_between_two_runs() {
    let world = World::new();
    world.write("a.md", "Old.");
    world.write("b.md", "Stays.");
    world.write("c.md", "Goes.");
    world.run().await.unwrap();
    world.write("a.md", "New words.");
    std::fs::remove_file(world.folder().join("c.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.indexed(), ["a\nNew words.", "b\nStays."]);
    assert_eq!(world.index.vectors.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_found_keeps_its_files() {
    let world = World::new();
    world.write("a.md", "Kept.");
    world.run().await.unwrap();
    let away = world.directory.path().join("away");
    std::fs::rename(world.folder(), &away).unwrap();
    world.run().await.unwrap();
    assert!(world.catalog.folders().unwrap()[0].missing);
    assert_eq!(world.indexed(), ["a\nKept."]);
    std::fs::rename(&away, world.folder()).unwrap();
    world.run().await.unwrap();
    assert!(!world.catalog.folders().unwrap()[0].missing);
    assert_eq!(world.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_an_embedder_words_are_searchable_and_vectors_come_later() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.embedder.missing.store(true, Ordering::SeqCst);
    assert!(matches!(world.run().await, Err(IngestError::Embedder(_))));
    assert_eq!(world.states(), ["a.md ready"]);
    assert_eq!(world.indexed(), ["a\nWords."]);
    world.embedder.missing.store(false, Ordering::SeqCst);
    world.run().await.unwrap();
    assert_eq!(world.catalog.counts(None).unwrap().embedded_chunks, 1);
}

#[tokio::test]
async fn a_failing_index_loses_nothing() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.index.broken.store(true, Ordering::SeqCst);
    assert!(matches!(world.run().await, Err(IngestError::Index(_))));
    world.index.broken.store(false, Ordering::SeqCst);
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.md ready"]);
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "what was read is used");
}

#[tokio::test]
async fn a_lost_index_is_made_again_without_reading() {
    let world = World::new();
    world.write("a.md", "One.");
    world.write("b.md", "Two.");
    world.run().await.unwrap();
    world.index.texts.lock().unwrap().clear();
    world.index.vectors.lock().unwrap().pop_first();
    world.run().await.unwrap();
    assert_eq!(world.indexed(), ["a\nOne.", "b\nTwo."]);
    assert_eq!(world.index.vectors.lock().unwrap().len(), 2);
    assert_eq!(world.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn watching_follows_the_disk_and_a_pause_holds_it() {
    let world = World::new();
    world.write("a.md", "First.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["a.md ready"]).await;
    world.write("b.md", "Second.");
    world.wait_for(|world| world.states() == ["a.md ready", "b.md ready"]).await;
    std::fs::remove_file(world.folder().join("a.md")).unwrap();
    world.wait_for(|world| world.indexed() == ["b\nSecond."]).await;

    world.catalog.set_setting(PAUSED_SETTING, "true").unwrap();
    world.wake.notify_one();
    world.write("c.md", "Third.");
    world.wait_for(|world| world.states() == ["b.md ready", "c.md pending"]).await;
    world.catalog.set_setting(PAUSED_SETTING, "false").unwrap();
    world.wake.notify_one();
    world.wait_for(|world| world.states() == ["b.md ready", "c.md ready"]).await;

    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_folder_that_was_away_is_followed_again() {
    let world = World::new();
    world.write("a.md", "First.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["a.md ready"]).await;
    let away = world.directory.path().join("away");
    std::fs::rename(world.folder(), &away).unwrap();
    world.wait_for(|world| world.catalog.folders().unwrap()[0].missing).await;
    std::fs::rename(&away, world.folder()).unwrap();
    world.wait_for(|world| !world.catalog.folders().unwrap()[0].missing).await;
    world.write("b.md", "Second.");
    world.wait_for(|world| world.states() == ["a.md ready", "b.md ready"]).await;
    assert_eq!(world.reads.load(Ordering::SeqCst), 2);
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn cancelled_at_any_moment_the_next_run_completes_it() {
    let world = World::new();
    for n in 0..40 {
        world.write(&format!("{n}.md"), &format!("Number {n}."));
    }
    for files in [1, 2, 5, 11] {
        let cancel = CancellationToken::new();
        let mut indexer = world.indexer(cancel.clone());
        let running = tokio::spawn(async move { indexer.run(Until::Idle).await });
        let before = world.reads.load(Ordering::SeqCst);
        world
            .wait_for(|world| {
                world.reads.load(Ordering::SeqCst) >= before + files
                    || world.catalog.counts(None).unwrap().ready == 40
            })
            .await;
        cancel.cancel();
        running.await.unwrap().unwrap();
    }
    world.run().await.unwrap();
    let files = world.catalog.files(None).unwrap();
    assert!(files.iter().all(|file| file.state == FileState::Ready && file.embedded_chunks == 1));
    assert_eq!(world.indexed().len(), 40);
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
}

#[test]
fn one_process_at_a_time_has_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let first = LibraryLock::try_acquire(directory.path()).unwrap();
    assert!(first.is_some());
    assert!(LibraryLock::try_acquire(directory.path()).unwrap().is_none());
    drop(first);
    assert!(LibraryLock::try_acquire(directory.path()).unwrap().is_some());
}
