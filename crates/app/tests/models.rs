//! The use cases of models over a catalogue of small files and a chat model that says its name.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lectern_app::{
    App, AppEvent, ChatChoice, ChatSlot, Device, ErrorCode, ModelParts, ModelRole, ModelSettings,
    Parts, RecommendationReason, Reranking, Verdict,
};
use lectern_domain::{
    Access, ChatMessage, ChatModel, ChatRequest, ChatStream, ChunkIndex, IndexError, IndexStore,
    ModelError, Reranker, Source,
};
use lectern_gguf::fixture::GgufFile;
use lectern_ingest::DocumentReader;
use lectern_models::{Downloads, Model, ModelStore, ModelsError, Pace, Places};
use tokio::sync::OnceCell;

/// A chat model that cannot answer, but can be told from others.
struct Named(String);

#[async_trait]
impl ChatModel for Named {
    fn id(&self) -> &str {
        &self.0
    }
    fn context_tokens(&self) -> usize {
        4096
    }
    async fn count_tokens(&self, text: &str) -> Result<usize, ModelError> {
        Ok(text.len())
    }
    async fn yes_or_no(&self, _: Vec<ChatMessage>) -> Result<Option<f32>, ModelError> {
        Err(missing())
    }
    async fn generate(&self, _: ChatRequest) -> Result<ChatStream, ModelError> {
        Err(missing())
    }
}

fn missing() -> ModelError {
    ModelError::new(ErrorCode::ModelMissing, "not installed", "install it")
}

/// A cross-encoder that is never asked.
struct NoReranker(String);

#[async_trait]
impl Source<dyn Reranker> for NoReranker {
    fn id(&self) -> String {
        self.0.clone()
    }
    async fn get(&self) -> Result<Arc<dyn Reranker>, ModelError> {
        Err(missing())
    }
}

/// An index that is never asked for.
struct NoIndex;

#[async_trait]
impl IndexStore for NoIndex {
    async fn open(&self, _: &str, _: Access) -> Result<Arc<dyn ChunkIndex>, IndexError> {
        Err(IndexError::Store("there is none".into()))
    }
}

/// A small chat model that is a whole file.
fn file(number: u32) -> Vec<u8> {
    GgufFile::new("llama")
        .integer("llama.block_count", 2)
        .integer("llama.context_length", 2048)
        .integer("llama.embedding_length", 64)
        .integer("llama.feed_forward_length", 128)
        .integer("llama.attention.head_count", 4)
        .integer("test.number", number)
        .chat()
        .tokens(&[("a", 1), ("<|im_end|>", 3)])
        .tensor("token_embd.weight", &[64, 2], 0, 64 * 2 * 4)
        .bytes()
}

/// A catalogue of a small model, a large one, one that is too large for any computer, and others.
fn catalogue() -> Vec<Model> {
    let model = |id: &str, role: &str, bytes: u64, ability: u32| -> Model {
        let mut model = serde_json::json!({
            "id": id, "role": role, "name": id.to_uppercase(), "architecture": "llama",
            "quantisation": "Q4_K_M", "context_tokens": 4096, "languages": ["en"],
            "licence": "Apache-2.0", "bytes": bytes,
            "files": [{
                "name": "model.gguf", "sha256": null, "bytes": bytes,
                "sources": [{"kind": "hub", "repository": "a/b", "revision": "main", "file": "c.gguf"}],
            }],
        });
        if role == "chat" {
            model["ability"] = ability.into();
            model["shape"] = serde_json::json!({
                "layers": 2, "width": 64, "feed_forward": 128, "heads": 4, "kv_heads": 4,
                "head_width": 16, "vocabulary": 2,
            });
        }
        serde_json::from_value(model).unwrap()
    };
    vec![
        model("small", "chat", 1_000_000, 10),
        model("large", "chat", 2_000_000, 20),
        model("endless", "chat", 1 << 60, 30),
        model("embedder", "embedder", 1_000, 0),
        model("reranker", "reranker", 5, 0),
        model("other-reranker", "reranker", 5, 0),
        model("ocr", "ocr", 1_000, 0),
    ]
}

fn pace() -> Pace {
    serde_json::from_value(serde_json::json!({
        "machine": "test", "products": [3e11, 4e11], "attention": 1e11, "stream": 1e10,
    }))
    .unwrap()
}

struct World {
    folder: tempfile::TempDir,
    app: App,
    slot: Arc<ChatSlot>,
    loads: Arc<Mutex<Vec<ChatChoice>>>,
}

impl World {
    fn new() -> Self {
        Self::opened(tempfile::tempdir().unwrap(), None)
    }

    /// As the next process opens it.
    fn again(self) -> Self {
        Self::opened(self.folder, None)
    }

    fn opened(folder: tempfile::TempDir, given: Option<&str>) -> Self {
        let store = ModelStore::of(folder.path().join("models"), catalogue().leak());
        let loads = Arc::<Mutex<Vec<ChatChoice>>>::default();
        let kept = loads.clone();
        let id = given.unwrap_or("small").to_owned();
        let choice = ChatChoice { id, context_tokens: 4096, device: Device::Auto };
        let slot = Arc::new(ChatSlot::new(choice, move |choice| {
            kept.lock().unwrap().push(choice.clone());
            async move { Ok(Arc::new(Named(choice.id)) as Arc<dyn ChatModel>) }
        }));
        let nowhere = ModelsError::Unreachable { host: "hub".into(), reason: "no line".into() };
        let at = |name: &str| vec![folder.path().join(name)];
        let models = ModelParts {
            downloads: Downloads::new(store.clone(), move || Err(nowhere)),
            store,
            chat: slot.clone(),
            chat_is_given: given.is_some(),
            devices: vec![Device::Cpu],
            places: Places { lm_studio: at("lm-studio"), ..Places::default() },
            pace: OnceCell::new_with(Some(pace())),
        };
        let parts = Parts {
            index: Arc::new(NoIndex),
            embedder: "embedder".to_owned(),
            embedding: Box::new(|_| None),
            reranking: {
                let store = models.store.clone();
                Box::new(move |chosen| {
                    let chosen = chosen.and_then(|id| store.find(id).ok());
                    let found = chosen.or_else(|| store.preferred(ModelRole::Reranker))?;
                    let reranker = Arc::new(NoReranker(found.model.id));
                    Some(Reranking { reranker, is_multilingual: true })
                })
            },
            chat: slot.clone(),
            chat_installed: Box::new(|| true),
            models,
            reader: Box::new(|| -> Box<dyn DocumentReader> { unreachable!("nothing is read") }),
            on_battery: Box::new(|| false),
            checks: Vec::new(),
        };
        let app = App::open(&folder.path().join("library"), parts).unwrap();
        Self { folder, app, slot, loads }
    }

    fn put(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// As a download leaves a model of the catalogue.
    fn install(&self, id: &str) {
        let mut model = catalogue().into_iter().find(|model| model.id == id).unwrap();
        model.files[0].sha256 = Some("0".repeat(64));
        let manifest = serde_json::json!({ "model": model }).to_string();
        self.put(&format!("models/{id}/model.gguf"), &vec![0; model.bytes as usize]);
        self.put(&format!("models/{id}/lectern-model.json"), manifest.as_bytes());
    }

    async fn import(&self, name: &str, number: u32) -> String {
        let path = self.put(&format!("Downloads/{name}.gguf"), &file(number));
        self.app.import_model(&path).await.unwrap().id
    }

    async fn answers_with(&self) -> String {
        self.slot.get().await.unwrap().id().to_owned()
    }
}

#[tokio::test]
async fn models_are_shown_with_how_they_would_run_here() {
    let world = World::new();
    let models = world.app.models().await.unwrap();
    assert!(models.machine.measured && models.machine.memory_bytes > 0);
    let by_id = |id: &str| models.models.iter().find(|model| model.id == id).unwrap();
    let small = by_id("small");
    assert!(small.in_use && !small.installed && small.downloadable && !small.bytes_exact);
    assert_eq!(small.fit.verdict, Verdict::Good);
    assert!(small.fit.first_token_seconds.unwrap() > 0.);
    let endless = by_id("endless");
    assert_eq!((endless.fit.verdict, endless.fit.disk_full), (Verdict::TooBig, true));
    let embedder = by_id("embedder");
    assert!(embedder.in_use && embedder.fit.first_token_seconds.is_none());
    assert_eq!(models.recommendation.id.as_deref(), Some("large"));
    assert_eq!(models.recommendation.reason, RecommendationReason::MostAbleThatIsQuick);
    assert!(by_id("large").recommended && !small.recommended);
}

#[tokio::test]
async fn what_does_not_fit_is_said_before_it_is_fetched() {
    let world = World::new();
    let error = world.app.get_model("endless", false).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelTooBig);
    assert!(!error.hint.is_empty());
    assert!(!world.folder.path().join("models/endless").exists());
    let error = world.app.get_model("nothing", false).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_download_that_fails_says_why_as_an_event() {
    let world = World::new();
    let mut events = world.app.events();
    world.app.work_in_background();
    world.app.get_model("small", false).await.unwrap();
    let download = loop {
        if let AppEvent::Download { download } = events.recv().await.unwrap()
            && download.error.is_some()
        {
            break download;
        }
    };
    assert_eq!(download.id, "small");
    assert_eq!(download.error.unwrap().code, ErrorCode::DownloadFailed);
    let models = world.app.models().await.unwrap();
    assert!(models.models[0].download.is_some());
    world.app.cancel_download("small").await.unwrap();
    assert!(world.app.models().await.unwrap().models[0].download.is_none());
    world.app.shutdown();
}

#[tokio::test]
async fn a_model_is_imported_used_without_a_restart_and_kept() {
    let world = World::new();
    let mut events = world.app.events();
    let one = world.import("one", 1).await;
    assert!(matches!(events.recv().await.unwrap(), AppEvent::Models));
    let other = world.import("other", 2).await;
    world.app.use_model(&one).unwrap();
    assert_eq!(world.answers_with().await, one);
    world.app.use_model(&other).unwrap();
    assert!(!world.slot.is_loaded(), "the old one is let go before the new one is asked for");
    assert_eq!(world.answers_with().await, other);
    let entry = world.app.model_entry(&other).await.unwrap();
    assert!(entry.in_use && entry.installed && entry.imported && entry.linked_to.is_some());
    // The next process answers with it too, unless it is told otherwise.
    let world = world.again();
    assert_eq!(world.answers_with().await, other);
    let world = World::opened(world.folder, Some(&one));
    assert_eq!(world.answers_with().await, one);
}

#[tokio::test]
async fn only_a_model_that_is_here_can_be_used() {
    let world = World::new();
    for (id, code) in [
        ("large", ErrorCode::ModelMissing),
        ("embedder", ErrorCode::ModelMissing),
        ("reranker", ErrorCode::ModelMissing),
        ("ocr", ErrorCode::InvalidInput),
        ("../small", ErrorCode::InvalidInput),
    ] {
        let error = world.app.use_model(id).unwrap_err();
        assert_eq!(error.code, code, "{id}: {error}");
        assert!(!error.hint.is_empty(), "{id}");
    }
}

#[tokio::test]
async fn what_is_removed_is_replaced_by_what_is_here() {
    let world = World::new();
    let one = world.import("one", 1).await;
    let other = world.import("other", 2).await;
    world.app.use_model(&one).unwrap();
    assert_eq!(world.answers_with().await, one);
    let preview = world.app.removal_preview(&one).unwrap();
    assert!(preview.in_use && preview.removable);
    let removed = world.app.remove_model(&one, false).await.unwrap();
    assert_eq!(
        (removed.freed_bytes, removed.now_in_use),
        (preview.frees_bytes, Some(other.clone()))
    );
    assert_eq!(world.answers_with().await, other);
    // The person's own file stays.
    assert!(world.folder.path().join("Downloads/one.gguf").exists());
    assert_eq!(world.app.model_entry(&one).await.unwrap_err().code, ErrorCode::InvalidInput);
    assert!(!world.app.removal_preview("embedder").unwrap().removable);
    assert!(world.app.remove_model("embedder", false).await.is_err());
}

#[tokio::test]
async fn a_reranker_that_is_here_is_used_and_another_one_where_it_is_chosen() {
    let world = World::new();
    let in_use = async || {
        let models = world.app.models().await.unwrap().models;
        let used =
            models.into_iter().filter(|model| model.in_use && model.role == ModelRole::Reranker);
        used.map(|model| model.id).collect::<Vec<_>>()
    };
    assert!(in_use().await.is_empty());
    for id in ["reranker", "other-reranker"] {
        world.install(id);
        assert_eq!(in_use().await, ["reranker"]);
    }
    world.app.use_model("other-reranker").unwrap();
    assert_eq!(in_use().await, ["other-reranker"]);
    assert!(world.app.removal_preview("other-reranker").unwrap().removable);
    world.app.remove_model("other-reranker", false).await.unwrap();
    assert_eq!(in_use().await, ["reranker"]);
}

#[tokio::test]
async fn models_of_other_programs_are_offered_until_they_are_taken() {
    let world = World::new();
    let path = world.put("lm-studio/makers/tiny/tiny.gguf", &file(1));
    let broken = world.put("lm-studio/makers/broken/broken.gguf", &file(2)[..100]);
    let found = world.app.models().await.unwrap().found;
    assert_eq!(found.len(), 2);
    assert_eq!(Path::new(&found[0].path), broken);
    assert_eq!(found[0].problem.as_ref().unwrap().code, ErrorCode::ModelInvalid);
    assert!(found[1].problem.is_none() && found[1].fit.is_some());
    let taken = world.app.import_model(&path).await.unwrap();
    assert_eq!(taken.linked_to.map(PathBuf::from), Some(path.canonicalize().unwrap()));
    assert_eq!(world.app.models().await.unwrap().found.len(), 1);
}

#[tokio::test]
async fn settings_reach_the_model_and_stay() {
    let world = World::new();
    let one = world.import("one", 1).await;
    world.app.use_model(&one).unwrap();
    world.answers_with().await;
    let settings = ModelSettings {
        context_tokens: Some(8192),
        device: Device::Cpu,
        instructions: "Answer in German.".into(),
        ..ModelSettings::default()
    };
    world.app.set_model_settings(&settings).unwrap();
    world.answers_with().await;
    let loads = world.loads.lock().unwrap().clone();
    let last = ChatChoice { id: one.clone(), context_tokens: 8192, device: Device::Cpu };
    assert_eq!(loads.last(), Some(&last));
    // What does not concern the loaded model leaves it there.
    let warmer = ModelSettings { temperature: 1., ..settings };
    world.app.set_model_settings(&warmer).unwrap();
    world.answers_with().await;
    assert_eq!(world.loads.lock().unwrap().len(), loads.len());
    assert!(
        world.app.set_model_settings(&ModelSettings { temperature: 9., ..warmer.clone() }).is_err()
    );
    let world = world.again();
    assert_eq!(world.app.model_settings().unwrap(), warmer);
    assert_eq!(world.slot.choice(), last);
}

#[tokio::test]
async fn another_process_s_choice_is_heeded() {
    let world = World::new();
    let one = world.import("one", 1).await;
    let other = world.import("other", 2).await;
    world.app.use_model(&one).unwrap();
    assert_eq!(world.answers_with().await, one);
    world.app.work_in_background();
    // As `lectern models use` does it beside the window.
    let catalog =
        lectern_catalog::Catalog::open(&world.app.directory().join("catalog.sqlite")).unwrap();
    let mut events = world.app.events();
    catalog.set_setting("chat_model", &other).unwrap();
    while !matches!(events.recv().await.unwrap(), AppEvent::Models) {}
    assert_eq!(world.answers_with().await, other);
    world.app.shutdown();
}
