//! Changing the embedder: what it costs is said before, it is done in the background, and the one
//! in use answers until the other one is ready.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use lectern_app::{
    App, AppEvent, ChatChoice, ChatSlot, Device, Embedding, ErrorCode, Filter, ModelEntry,
    ModelParts, Parts, SearchMode, SearchRequest, Status,
};
use lectern_domain::{
    Access, ChatModel, ChunkId, ChunkIndex, ChunkMatch, DocumentId, EmbeddedChunk, Embedder,
    IndexError, IndexStore, IndexedChunk, ModelError, Scope, Source,
};
use lectern_models::{Downloads, Model, ModelStore, ModelsError, Pace, Places};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

mod common;
use common::LocalReader;

/// Texts of all, and the vectors of one embedder.
#[derive(Default)]
struct VectorIndex {
    texts: Arc<Mutex<HashSet<ChunkId>>>,
    vectors: Mutex<BTreeMap<ChunkId, Vec<f32>>>,
}

#[async_trait]
impl ChunkIndex for VectorIndex {
    async fn add_texts(&self, chunks: Vec<IndexedChunk>) -> Result<(), IndexError> {
        self.texts.lock().unwrap().extend(chunks.iter().map(|chunk| chunk.id));
        Ok(())
    }
    async fn add_vectors(&self, chunks: Vec<EmbeddedChunk>) -> Result<(), IndexError> {
        self.vectors.lock().unwrap().extend(chunks.into_iter().map(|c| (c.id, c.vector)));
        Ok(())
    }
    async fn remove(&self, _: &[DocumentId]) -> Result<(), IndexError> {
        Ok(())
    }
    async fn remove_chunks(&self, chunks: &[ChunkId]) -> Result<(), IndexError> {
        self.vectors.lock().unwrap().retain(|chunk, _| !chunks.contains(chunk));
        Ok(())
    }
    async fn lexical(&self, _: &str, _: usize, _: &Scope) -> Result<Vec<ChunkMatch>, IndexError> {
        Ok(Vec::new())
    }
    async fn semantic(
        &self,
        vector: &[f32],
        k: usize,
        _: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        let vectors = self.vectors.lock().unwrap();
        // Vectors of another length are another embedder's.
        let same = vectors.iter().filter(|(_, found)| found.len() == vector.len());
        Ok(same.take(k).map(|(chunk, _)| ChunkMatch { chunk: *chunk, score: 1. }).collect())
    }
    async fn text_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(self.texts.lock().unwrap().clone())
    }
    async fn vector_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(self.vectors.lock().unwrap().keys().copied().collect())
    }
    async fn maintain(&self) -> Result<(), IndexError> {
        Ok(())
    }
    async fn purge(&self, _: &[String]) -> Result<(), IndexError> {
        Ok(())
    }
}

#[derive(Default)]
struct Indices {
    texts: Arc<Mutex<HashSet<ChunkId>>>,
    of: Mutex<BTreeMap<String, Arc<VectorIndex>>>,
}

impl Indices {
    fn index(&self, embedder: &str) -> Arc<VectorIndex> {
        let new = || VectorIndex { texts: self.texts.clone(), ..VectorIndex::default() };
        self.of.lock().unwrap().entry(embedder.to_owned()).or_insert_with(|| new().into()).clone()
    }
}

#[async_trait]
impl IndexStore for Indices {
    async fn open(&self, embedder: &str, _: Access) -> Result<Arc<dyn ChunkIndex>, IndexError> {
        Ok(self.index(embedder))
    }
}

/// An embedder whose vectors have a length of its own, so that they can be told apart.
struct Numbers(String, usize);

impl Embedder for Numbers {
    fn id(&self) -> &str {
        &self.0
    }
    fn dimensions(&self) -> usize {
        self.1
    }
    fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(passages.iter().map(|_| vec![1.; self.1]).collect())
    }
    fn embed_query(&self, _: &str) -> Result<Vec<f32>, ModelError> {
        Ok(vec![1.; self.1])
    }
}

#[async_trait]
impl Source<dyn Embedder> for Numbers {
    fn id(&self) -> String {
        self.0.clone()
    }
    async fn get(&self) -> Result<Arc<dyn Embedder>, ModelError> {
        Ok(Arc::new(Self(self.0.clone(), self.1)))
    }
}

/// The usual embedder, another one, and one that nobody has fetched.
const EMBEDDERS: [(&str, usize); 3] = [("usual", 32), ("other", 64), ("absent", 96)];

fn catalogue() -> Vec<Model> {
    let model = |(id, width): (&str, usize)| {
        serde_json::from_value(serde_json::json!({
            "id": id, "role": "embedder", "name": id, "architecture": "bert",
            "quantisation": "F32", "context_tokens": 256, "languages": ["en"],
            "licence": "MIT", "default": id == "usual", "bytes": 3,
            "shape": {
                "layers": 2, "width": width, "feed_forward": 128, "heads": 2, "kv_heads": 2,
                "head_width": 16, "vocabulary": 9,
            },
            // The digest of "abc" (FIPS 180-2, appendix B.1).
            "files": [{
                "name": "model.safetensors", "bytes": 3,
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            }],
        }))
        .unwrap()
    };
    EMBEDDERS.into_iter().map(model).collect()
}

fn pace() -> Pace {
    serde_json::from_value(serde_json::json!({
        "machine": "test", "products": [3e8, 4e8], "attention": 1e8, "stream": 1e10,
    }))
    .unwrap()
}

struct World {
    folder: tempfile::TempDir,
    indices: Arc<Indices>,
    app: App,
}

impl World {
    /// A library of some documents that the usual embedder has read.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for id in ["usual", "other"] {
            let model = folder.path().join("models").join(id);
            std::fs::create_dir_all(&model).unwrap();
            std::fs::write(model.join("model.safetensors"), "abc").unwrap();
        }
        let documents = folder.path().join("documents");
        std::fs::create_dir(&documents).unwrap();
        for number in 0..5 {
            let text = format!("Number {number} is the number of the house.");
            std::fs::write(documents.join(format!("{number}.md")), text).unwrap();
        }
        let indices = Arc::<Indices>::default();
        let app = open(folder.path(), "library", &indices);
        app.add(&[documents]).await.unwrap();
        app.work_until_idle(&CancellationToken::new()).await.unwrap();
        Self { folder, indices, app }
    }

    fn status(&self) -> Status {
        self.app.status(false).unwrap()
    }

    async fn entry(&self, id: &str) -> ModelEntry {
        self.app.model_entry(id).await.unwrap()
    }

    fn vectors(&self, embedder: &str) -> usize {
        self.indices.index(embedder).vectors.lock().unwrap().len()
    }

    async fn found(&self) -> usize {
        let request = SearchRequest {
            query: "Where do people live?".into(),
            k: 10,
            mode: SearchMode::Semantic,
            filter: Filter::default(),
        };
        self.app.search(&request).await.unwrap().hits.len()
    }
}

fn open(folder: &Path, library: &str, indices: &Arc<Indices>) -> App {
    let store = ModelStore::of(folder.join("models"), catalogue().leak());
    let nowhere = ModelsError::Unreachable { host: "hub".into(), reason: "no line".into() };
    let choice = ChatChoice { id: "none".into(), context_tokens: 4096, device: Device::Auto };
    let missing = || ModelError::new(ErrorCode::ModelMissing, "not installed", "install it");
    let chat: Arc<ChatSlot> =
        Arc::new(ChatSlot::new(
            choice,
            move |_| async move { Err::<Arc<dyn ChatModel>, _>(missing()) },
        ));
    let parts = Parts {
        index: indices.clone(),
        embedder: "usual".to_owned(),
        embedding: Box::new(|id| {
            let (id, width) = EMBEDDERS.into_iter().find(|(known, _)| *known == id)?;
            let embedder = Arc::new(Numbers(id.to_owned(), width));
            Some(Embedding { embedder, is_multilingual: true, spread: 0.3 })
        }),
        reranking: Box::new(|_| None),
        chat: chat.clone(),
        chat_installed: Box::new(|| false),
        models: ModelParts {
            downloads: Downloads::new(store.clone(), move || Err(nowhere)),
            store,
            chat,
            chat_is_given: false,
            devices: vec![Device::Cpu],
            places: Places::default(),
            pace: OnceCell::new_with(Some(pace())),
        },
        reader: Box::new(|| Box::new(LocalReader)),
        on_battery: Box::new(|| false),
        checks: Vec::new(),
    };
    App::open(&folder.join(library), parts).unwrap()
}

#[tokio::test]
async fn what_it_costs_is_said_before() {
    let world = World::new().await;
    assert_eq!(world.entry("usual").await.change, None);
    let change = world.entry("other").await.change.unwrap();
    assert_eq!((change.passages, change.started), (5, false));
    assert!(change.seconds.unwrap() > 0.);
    // What has more to compute takes longer.
    assert!(world.entry("absent").await.change.unwrap().seconds > change.seconds);
}

#[tokio::test]
async fn the_other_one_answers_when_it_has_read_everything_and_not_before() {
    let world = World::new().await;
    world.app.use_model("other").unwrap();
    let status = world.status();
    assert_eq!((&*status.embedder, status.next_embedder.as_deref()), ("usual", Some("other")));
    assert!(world.entry("other").await.change.unwrap().started);
    assert!(world.entry("usual").await.in_use);
    assert_eq!((world.found().await, world.vectors("other")), (5, 0));
    // Neither may be removed while one is to take the other's place.
    for id in ["usual", "other"] {
        assert!(!world.app.removal_preview(id).unwrap().removable, "{id}");
    }

    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let status = world.status();
    assert_eq!((&*status.embedder, status.next_embedder), ("other", None));
    assert_eq!((world.vectors("other"), world.found().await), (5, 5));
    assert!(world.app.removal_preview("usual").unwrap().removable);
    // It stays so in the next process.
    let again = open(world.folder.path(), "library", &world.indices);
    assert_eq!(again.status(false).unwrap().embedder, "other");
}

#[tokio::test]
async fn a_change_is_called_off_by_choosing_the_old_one() {
    let world = World::new().await;
    world.app.use_model("other").unwrap();
    world.app.use_model("usual").unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let status = world.status();
    assert_eq!((&*status.embedder, status.next_embedder), ("usual", None));
    assert_eq!(world.vectors("other"), 0);
}

#[tokio::test]
async fn the_indexer_that_runs_takes_it_up_whoever_has_chosen() {
    let world = World::new().await;
    // As the window has it, beside `lectern models use`.
    let window = open(world.folder.path(), "library", &world.indices);
    let mut events = window.events();
    window.work_in_background();
    for id in ["other", "usual"] {
        world.app.use_model(id).unwrap();
        loop {
            if let AppEvent::Library { status } = events.recv().await.unwrap()
                && status.embedder == id
                && status.next_embedder.is_none()
            {
                break;
            }
        }
    }
    window.shutdown();
}

#[tokio::test]
async fn a_library_without_vectors_takes_the_choice_at_once() {
    let world = World::new().await;
    let empty = open(world.folder.path(), "another library", &Arc::default());
    empty.use_model("other").unwrap();
    let document = world.folder.path().join("documents/1.md");
    empty.add(&[document]).await.unwrap();
    empty.work_until_idle(&CancellationToken::new()).await.unwrap();
    let status = empty.status(false).unwrap();
    assert_eq!((&*status.embedder, status.next_embedder), ("other", None));
}

#[tokio::test]
async fn one_that_is_not_here_is_refused() {
    let world = World::new().await;
    let error = world.app.use_model("absent").unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelMissing);
    assert_eq!(world.status().next_embedder, None);
}

#[tokio::test]
async fn a_model_that_another_library_uses_is_not_removed_without_a_word() {
    let world = World::new().await;
    let other = open(world.folder.path(), "another library", &Arc::default());
    other.use_model("other").unwrap();
    let preview = world.app.removal_preview("other").unwrap();
    assert_eq!(preview.used_by, [other.directory().display().to_string()]);
    let error = world.app.remove_model("other", false).await.unwrap_err();
    assert!(error.message.contains("another library"), "{error}");
    assert!(world.entry("other").await.installed);
    world.app.remove_model("other", true).await.unwrap();
    assert!(!world.entry("other").await.installed);
}
