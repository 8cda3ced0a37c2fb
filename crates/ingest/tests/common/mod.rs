//! A library whose index is kept in memory and whose documents are read in the test's own
//! process: whatever the indexer did can be inspected.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

use std::{
    collections::{BTreeMap, HashSet},
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use lectern_catalog::Catalog;
use lectern_domain::{
    ChunkId, ChunkIndex, ChunkMatch, DocumentId, DocumentKind, EmbeddedChunk, Embedder, ErrorCode,
    IndexError, IndexedChunk, ModelError, Scope, Source,
};
use lectern_extract::worker::{
    MemberIdentity, ReadDocument, ReadFailure, ReadFailureReason, identify_member, read_document,
    unlock_document, unpack_member,
};
use lectern_extract::{RecognisedLine, RecognisedPage};
use lectern_ingest::{
    DocumentReader, Indexer, IndexerParts, IngestError, LibraryLock, Successor, Until,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// An index in memory that remembers all it was given, also what is there twice.
#[derive(Default)]
pub struct MemoryIndex {
    pub texts: Mutex<BTreeMap<ChunkId, (DocumentId, String)>>,
    pub vectors: Mutex<BTreeMap<ChunkId, DocumentId>>,
    pub twice: AtomicUsize,
    pub broken: AtomicBool,
    /// How often it was begun to put it in order.
    pub maintenance: watch::Sender<usize>,
    /// Putting it in order does not end.
    pub untidy: AtomicBool,
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
    async fn remove_chunks(&self, chunks: &[ChunkId]) -> Result<(), IndexError> {
        self.texts.lock().unwrap().retain(|chunk, _| !chunks.contains(chunk));
        self.vectors.lock().unwrap().retain(|chunk, _| !chunks.contains(chunk));
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
        self.maintenance.send_modify(|begun| *begun += 1);
        if self.untidy.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
    async fn purge(&self, _: &[String]) -> Result<(), IndexError> {
        Ok(())
    }
}

pub struct LengthEmbedder;

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
#[derive(Default)]
pub struct LazyEmbedder {
    pub id: &'static str,
    pub missing: AtomicBool,
    /// It panics when it is asked for vectors.
    pub breaks: AtomicBool,
    /// It is being loaded.
    pub loading: watch::Sender<bool>,
}

#[async_trait]
impl Source<dyn Embedder> for LazyEmbedder {
    fn id(&self) -> String {
        self.id.to_owned()
    }
    async fn get(&self) -> Result<Arc<dyn Embedder>, ModelError> {
        self.loading.subscribe().wait_for(|loading| !*loading).await.unwrap();
        if self.missing.load(Ordering::SeqCst) {
            return Err(ModelError::new(ErrorCode::ModelMissing, "no embedder", "fetch it"));
        }
        if self.breaks.load(Ordering::SeqCst) {
            return Ok(Arc::new(BreakingEmbedder));
        }
        Ok(Arc::new(LengthEmbedder))
    }
}

struct BreakingEmbedder;

impl Embedder for BreakingEmbedder {
    fn id(&self) -> &str {
        "length"
    }
    fn dimensions(&self) -> usize {
        1
    }
    fn embed_passages(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        panic!("a bug of the embedder")
    }
    fn embed_query(&self, _: &str) -> Result<Vec<f32>, ModelError> {
        panic!("a bug of the embedder")
    }
}

/// OCR that sees on each picture what it is told, once it is installed.
#[derive(Default)]
pub struct Ocr {
    pub installed: AtomicBool,
    /// The pages in the order in which they were asked for.
    pub asked: Mutex<Vec<u32>>,
    /// What is seen on a page.
    pub sees: Mutex<Option<fn(u32) -> Result<String, ReadFailureReason>>>,
    /// Cancelled when this page is asked for, which then never ends.
    pub stop_at: Mutex<Option<(u32, CancellationToken)>>,
}

impl Ocr {
    pub fn install(&self, sees: fn(u32) -> Result<String, ReadFailureReason>) {
        *self.sees.lock().unwrap() = Some(sees);
        self.installed.store(true, Ordering::SeqCst);
    }

    /// The pages that were asked for since the last call.
    pub fn asked(&self) -> Vec<u32> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Reads in this process and counts. A file whose name begins with `slow` is not read
/// before the gate opens.
pub struct LocalReader {
    reads: Arc<AtomicUsize>,
    gate: watch::Receiver<bool>,
    ocr: Arc<Ocr>,
}

#[async_trait]
impl DocumentReader for LocalReader {
    async fn identify(&mut self, path: &Path) -> Result<MemberIdentity, ReadFailure> {
        identify_member(path)
    }

    async fn unpack(&mut self, path: &Path) -> Result<Vec<u8>, ReadFailure> {
        unpack_member(path)
    }

    async fn read(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        recognised: Vec<RecognisedPage>,
    ) -> Result<ReadDocument, ReadFailure> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if path.file_name().unwrap().to_str().unwrap().starts_with("slow") {
            self.gate.wait_for(|open| *open).await.unwrap();
        }
        read_document(path, kind, &recognised)
    }

    async fn unlock(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        password: &str,
    ) -> Result<ReadDocument, ReadFailure> {
        unlock_document(path, kind, password)
    }

    fn can_recognise(&self) -> bool {
        self.ocr.installed.load(Ordering::SeqCst)
    }

    async fn recognise(
        &mut self,
        _: &Path,
        _: DocumentKind,
        page: u32,
    ) -> Result<RecognisedPage, ReadFailure> {
        self.ocr.asked.lock().unwrap().push(page);
        let stop = self.ocr.stop_at.lock().unwrap().take_if(|(at, _)| *at == page);
        if let Some((_, cancel)) = stop {
            cancel.cancel();
            std::future::pending::<()>().await;
        }
        let sees = self.ocr.sees.lock().unwrap().unwrap();
        let text = sees(page)
            .map_err(|reason| ReadFailure { reason, message: format!("{}", reason.as_str()) })?;
        let centres = (0..text.chars().count()).map(|at| at as u16 * 10).collect();
        let line = RecognisedLine { text, place: [10.0, 10.0, 500.0, 0.0, 0.0, 20.0], centres };
        Ok(RecognisedPage { number: page, lines: vec![line], failure: None })
    }
}

/// A zip archive of these members.
pub fn archive<B: AsRef<[u8]>>(members: &[(&str, B)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_ref()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A library, a folder, and an indexer made anew for each run, as by a new process.
pub struct World {
    pub directory: tempfile::TempDir,
    pub catalog: Arc<Catalog>,
    pub index: Arc<MemoryIndex>,
    pub embedder: Arc<LazyEmbedder>,
    pub reads: Arc<AtomicUsize>,
    pub ocr: Arc<Ocr>,
    pub changed: Arc<Notify>,
    pub wake: Arc<Notify>,
    pub on_battery: Arc<AtomicBool>,
    pub awaited: watch::Sender<usize>,
    pub gate: watch::Sender<bool>,
    pub successor: Mutex<Option<Successor>>,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        let catalog = Catalog::open(&directory.path().join("catalog.sqlite")).unwrap();
        let world = Self {
            directory,
            catalog: Arc::new(catalog),
            index: Arc::default(),
            embedder: Arc::new(LazyEmbedder { id: "length", ..LazyEmbedder::default() }),
            reads: Arc::default(),
            ocr: Arc::default(),
            changed: Arc::default(),
            wake: Arc::default(),
            on_battery: Arc::default(),
            awaited: watch::Sender::default(),
            gate: watch::Sender::default(),
            successor: Mutex::default(),
        };
        world.catalog.add_folder(world.folder().to_str().unwrap(), 0).unwrap();
        world
    }

    pub fn folder(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("folder")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn reader(&self) -> LocalReader {
        let (reads, ocr) = (self.reads.clone(), self.ocr.clone());
        LocalReader { reads, ocr, gate: self.gate.subscribe() }
    }

    pub fn indexer(&self, cancel: CancellationToken) -> Indexer {
        let changed = self.changed.clone();
        let (reads, ocr, gate) = (self.reads.clone(), self.ocr.clone(), self.gate.subscribe());
        Indexer::new(
            IndexerParts {
                lock: LibraryLock::try_acquire(self.directory.path()).unwrap().unwrap(),
                catalog: self.catalog.clone(),
                index: self.index.clone(),
                embedder: self.embedder.clone(),
                successor: self.successor.lock().unwrap().take(),
                reader: Box::new(move || {
                    let (reads, gate, ocr) = (reads.clone(), gate.clone(), ocr.clone());
                    Box::new(LocalReader { reads, gate, ocr })
                }),
                changed: Box::new(move || changed.notify_one()),
                problem: Box::new(|_| {}),
                wake: self.wake.clone(),
                on_battery: {
                    let on_battery = self.on_battery.clone();
                    Box::new(move || on_battery.load(Ordering::SeqCst))
                },
                awaited: self.awaited.subscribe(),
            },
            cancel,
        )
    }

    pub async fn run(&self) -> Result<(), IngestError> {
        self.indexer(CancellationToken::new()).run(Until::Idle).await
    }

    /// `name state` for every file.
    pub fn states(&self) -> Vec<String> {
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
    pub fn indexed(&self) -> Vec<String> {
        let mut texts: Vec<String> =
            self.index.texts.lock().unwrap().values().map(|(_, text)| text.clone()).collect();
        texts.sort();
        texts
    }

    /// Waits until the library is as wanted; rung by every change.
    pub async fn wait_for(&self, wanted: impl Fn(&Self) -> bool) {
        while !wanted(self) {
            self.changed.notified().await;
        }
    }
}
