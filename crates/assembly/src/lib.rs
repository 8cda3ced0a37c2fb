//! The one place that builds the application from its real parts: LanceDB, candle,
//! mistral.rs and the reader process. Nothing is loaded before it is needed.

mod lazy;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use lazy::Lazy;
use lectern_app::{
    App, AppError, ChatChoice, ChatSlot, Check, Device, Embedding, ModelParts, POWER_SUPPLIES,
    Parts, Reranking, Result, on_battery,
};
use lectern_domain::{
    Access, ChatModel, ChunkIndex, Embedder, ErrorCode, IndexError, IndexStore, ModelError,
    Reranker,
};
use lectern_extract::worker::{Limits, Reader, run_worker};
use lectern_index::LanceIndex;
use lectern_inference::{
    BertEmbedder, ChatOptions, CpuSupport, CrossEncoder, CrossEncoderOptions,
    DECODER_ARCHITECTURES, EmbedderOptions, MistralChat, MistralEmbedder, keep_to_few_heaps,
};
use lectern_models::{
    Downloads, Installed, ModelRole, ModelStore, ModelsError, Network, Places, default_model,
};
use tokio::sync::OnceCell;

/// The first argument that makes the executable a reader process.
const WORKER_ARGUMENT: &str = "read-worker";

/// The dimensions of vectors of an embedder that the catalogue of models does not know.
const DIMENSIONS: usize = 384;

/// The spread of cosines of an embedder that nobody has measured.
const DEFAULT_SPREAD: f32 = 0.3;

/// Prompt and answer together, until the library's settings say otherwise.
const CONTEXT_TOKENS: usize = 4096;

/// What one document may cost its reader.
const READER_LIMITS: Limits =
    Limits { time: Duration::from_secs(120), memory_bytes: 2 << 30, output_bytes: 512 << 20 };

/// What to open.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The library's directory; the platform's data directory if `None`.
    pub library: Option<PathBuf>,
    /// The chat model's id; the library's choice if `None`.
    pub chat_model: Option<String>,
}

/// Does the work of a reader process if this process was started as one. To be
/// called first thing in `main`.
pub fn run_as_worker() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == WORKER_ARGUMENT).then(|| run_worker(arguments.next().map(PathBuf::from)))
}

/// Opens a library with the real parts.
pub fn open(options: &Options) -> Result<App> {
    keep_to_few_heaps();
    let directory = match &options.library {
        Some(directory) => std::path::absolute(directory).map_err(|error| invalid(&error))?,
        None => dirs::data_dir()
            .ok_or_else(|| invalid(&"there is no data directory on this system"))?
            .join("lectern"),
    };
    let store = ModelStore::new(ModelStore::default_root().map_err(model_error)?);
    let chat_id = match &options.chat_model {
        Some(id) => store.model(id).map_err(model_error)?.id,
        None => default_model(ModelRole::Chat).id.clone(),
    };
    let chat = Arc::new(chat(store.clone(), chat_id));
    let embedder_id = default_model(ModelRole::Embedder).id.clone();
    let ocr_id = &default_model(ModelRole::Ocr).id;
    let ocr_model = store.directory(ocr_id).map_err(model_error)?;
    let program = std::env::current_exe().map_err(|error| invalid(&error))?;
    let parts = Parts {
        index: Arc::new(Indices { directory: directory.join("index"), store: store.clone() }),
        embedder: embedder_id.clone(),
        embedding: {
            let store = store.clone();
            Box::new(move |id| embedding(&store, id))
        },
        reranking: {
            let store = store.clone();
            Box::new(move |chosen| reranking(&store, chosen))
        },
        chat: chat.clone(),
        chat_installed: {
            let (store, chat) = (store.clone(), chat.clone());
            Box::new(move || store.find(&chat.choice().id).is_ok())
        },
        models: ModelParts {
            downloads: Downloads::new(store.clone(), Network::from_environment),
            store: store.clone(),
            chat: chat.clone(),
            chat_is_given: options.chat_model.is_some(),
            devices: devices(),
            places: Places::of_this_computer(),
            pace: OnceCell::new(),
        },
        reader: Box::new(move || {
            let arguments = vec![OsString::from(WORKER_ARGUMENT)];
            let reader = Reader::new(program.clone(), arguments, READER_LIMITS);
            Box::new(reader.with_ocr(ocr_model.clone()))
        }),
        on_battery: Box::new(|| on_battery(Path::new(POWER_SUPPLIES))),
        checks: vec![
            Box::new(check_cpu),
            check_model(store.clone(), move || embedder_id.clone(), "embedder"),
            check_model(store.clone(), move || chat.choice().id, "chat model"),
            check_model(store, move || ocr_id.clone(), "OCR"),
        ],
    };
    App::open(&directory, parts)
}

/// Where the indices of a library lie.
struct Indices {
    directory: PathBuf,
    /// Says how long an embedder's vectors are.
    store: ModelStore,
}

#[async_trait]
impl IndexStore for Indices {
    async fn open(
        &self,
        embedder: &str,
        access: Access,
    ) -> std::result::Result<Arc<dyn ChunkIndex>, IndexError> {
        let shape = self.store.model(embedder).ok().and_then(|model| model.shape);
        let dimensions = shape.and_then(|shape| usize::try_from(shape.width).ok());
        let dimensions = dimensions.unwrap_or(DIMENSIONS);
        let index = match access {
            Access::Search => {
                LanceIndex::open_to_search(&self.directory, embedder, dimensions).await?
            }
            Access::Write => LanceIndex::open(&self.directory, embedder, dimensions).await?,
        };
        Ok(Arc::new(index))
    }
}

fn embedding(store: &ModelStore, id: &str) -> Option<Embedding> {
    let found = store.model(id).ok().filter(|model| model.role == ModelRole::Embedder)?;
    Some(Embedding {
        embedder: Arc::new(embedder(store.clone(), id.to_owned())),
        is_multilingual: found.languages.len() > 1,
        spread: found.cosine_spread.unwrap_or(DEFAULT_SPREAD),
    })
}

fn embedder(store: ModelStore, id: String) -> Lazy<dyn Embedder> {
    Lazy::new(id.clone(), move || {
        let (store, id) = (store.clone(), id.clone());
        loaded("embedder", move || {
            let installed = find(&store, &id)?;
            let model = &installed.model;
            let options = EmbedderOptions {
                query_prefix: model.query_prefix.clone(),
                passage_prefix: model.passage_prefix.clone(),
                first_token: model.first_token,
                max_tokens: model.context_tokens,
                directory: installed.directory.clone(),
                id,
            };
            Ok(if DECODER_ARCHITECTURES.contains(&model.architecture.as_str()) {
                Arc::new(MistralEmbedder::load(options)?) as Arc<dyn Embedder>
            } else {
                Arc::new(BertEmbedder::load(options)?)
            })
        })
    })
}

/// The cross-encoder of that id where it is installed, or else the first that is.
fn reranking(store: &ModelStore, chosen: Option<&str>) -> Option<Reranking> {
    let chosen = chosen.and_then(|id| store.find(id).ok());
    let found = chosen
        .filter(|installed| installed.model.role == ModelRole::Reranker)
        .or_else(|| store.preferred(ModelRole::Reranker))?;
    let Installed { model, directory, .. } = found;
    let options =
        CrossEncoderOptions { id: model.id.clone(), directory, max_tokens: model.context_tokens };
    let load = move || {
        let options = options.clone();
        loaded("reranker", || Ok(Arc::new(CrossEncoder::load(options)?) as Arc<dyn Reranker>))
    };
    let is_multilingual = model.languages.len() > 1;
    Some(Reranking { reranker: Arc::new(Lazy::new(model.id, load)), is_multilingual })
}

/// Loads a model on a thread that may wait for it.
async fn loaded<T: ?Sized + Send + Sync + 'static>(
    kind: &str,
    load: impl FnOnce() -> std::result::Result<Arc<T>, ModelError> + Send + 'static,
) -> std::result::Result<Arc<T>, ModelError> {
    tokio::task::spawn_blocking(load).await.unwrap_or_else(|panic| {
        Err(ModelError::new(
            ErrorCode::ModelInvalid,
            format!("the {kind} cannot be loaded: {panic}"),
            "Get it again with `lectern models get`, or in the app.",
        ))
    })
}

fn chat(store: ModelStore, id: String) -> ChatSlot {
    let choice = ChatChoice { id, context_tokens: CONTEXT_TOKENS, device: Device::Auto };
    ChatSlot::new(choice, move |choice| {
        let store = store.clone();
        async move {
            let ChatChoice { id, context_tokens, device } = choice;
            let installed = find(&store, &id)?;
            let options = ChatOptions {
                gguf: installed.gguf().unwrap_or_else(|| installed.path("model.gguf")),
                context_tokens: installed.model.context_tokens.min(context_tokens),
                cpu_only: device == Device::Cpu,
                id,
            };
            Ok(Arc::new(MistralChat::load(options).await?) as Arc<dyn ChatModel>)
        }
    })
}

/// Where this build can run a chat model.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    if cfg!(feature = "metal") {
        devices.push(Device::Metal);
    }
    if cfg!(feature = "cuda") {
        devices.push(Device::Cuda);
    }
    devices
}

fn find(store: &ModelStore, id: &str) -> std::result::Result<Installed, ModelError> {
    Ok(store.find(id)?)
}

fn check_cpu() -> Check {
    let support = CpuSupport::of_this_computer();
    let ok = !matches!(support, CpuSupport::Unsupported(_));
    let detail =
        support.note().unwrap_or_else(|| "has the instructions that make Lectern fast".to_owned());
    let hint = match support {
        CpuSupport::Fast => "",
        CpuSupport::Slow(_) => "Choose a small chat model, or a computer of 2013 or later.",
        CpuSupport::Unsupported(_) => {
            "Lectern needs an x86-64 processor of 2009 or later, or an ARM one."
        }
    };
    Check { name: "processor".into(), ok, detail, hint: hint.to_owned() }
}

fn check_model(
    store: ModelStore,
    id: impl Fn() -> String + Send + Sync + 'static,
    name: &'static str,
) -> lectern_app::RunCheck {
    Box::new(move || {
        let id = id();
        let (ok, detail, hint) = match store.find(&id).and_then(|_| store.verify(&id)) {
            Ok(()) => (true, format!("{id} is complete"), String::new()),
            Err(error) => (false, error.to_string(), error.hint().to_owned()),
        };
        Check { name: name.to_owned(), ok, detail, hint }
    })
}

fn model_error(error: ModelsError) -> AppError {
    ModelError::from(error).into()
}

fn invalid(error: &dyn std::fmt::Display) -> AppError {
    AppError::new(ErrorCode::Library, error.to_string(), "Name a folder with --library.")
}

#[cfg(test)]
mod tests {
    use lectern_inference::{DECODER_ARCHITECTURES, ENCODER_ARCHITECTURES};
    use lectern_models::{ModelRole, catalogue};

    /// Those of chat models are compared in the catalogue's own tests.
    #[test]
    fn every_embedder_and_reranker_of_the_catalogue_can_be_loaded() {
        const ENCODER: &[&str] = &["model.safetensors", "tokenizer.json", "config.json"];
        const QWEN3: &[&str] =
            &["model.safetensors", "tokenizer.json", "config.json", "pooling.json"];
        const GEMMA: &[&str] = &[
            "model.safetensors",
            "tokenizer.json",
            "config.json",
            "pooling.json",
            "dense-1.json",
            "dense-1.safetensors",
            "dense-2.json",
            "dense-2.safetensors",
        ];
        for model in catalogue() {
            let names: Vec<&str> = model.files.iter().map(|file| file.name.as_str()).collect();
            let architecture = model.architecture.as_str();
            let expected = match model.role {
                ModelRole::Embedder if DECODER_ARCHITECTURES.contains(&architecture) => {
                    if architecture == "qwen3" {
                        QWEN3
                    } else {
                        GEMMA
                    }
                }
                ModelRole::Embedder | ModelRole::Reranker => {
                    assert!(ENCODER_ARCHITECTURES.contains(&architecture), "{}", model.id);
                    ENCODER
                }
                ModelRole::Chat | ModelRole::Ocr => continue,
            };
            assert_eq!(names, expected, "{}", model.id);
        }
    }
}
