//! The use cases of Lectern, for any face it has: the window, the command line, a
//! test. Everything costly or heavy comes in through [`Parts`], so this crate and
//! its tests compile neither LanceDB nor mistral.rs.
//!
//! A library is a directory with the catalogue (`catalog.sqlite`) and the search
//! index (`index/`). Several processes may open it; the one that holds its lock
//! reads and indexes, all of them search and ask.

mod ask;
mod conversations;
mod damage;
mod desktop;
mod doctor;
mod dto;
mod embedding;
mod error;
mod explain;
mod filter;
mod history;
mod library;
mod link;
mod models;
mod power;
mod query;
mod rated;
mod reason;
mod reranking;
mod rules;
mod search;
mod source;
mod tags;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

pub use dto::*;
use lectern_catalog::Catalog;
pub use lectern_domain::ErrorCode;
use lectern_domain::{ChatModel, ChunkIndex, Embedder, IndexStore, Reranker, Source as Lazy};
use lectern_ingest::DocumentReader;
pub use models::*;
pub use power::{POWER_SUPPLIES, on_battery};
pub use search::SearchPlan;
pub use source::place_in_words;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

/// What the use cases return.
pub type Result<T> = std::result::Result<T, AppError>;

/// A function that starts a reader of documents; it is called when one is needed.
pub type StartReader = Box<dyn Fn() -> Box<dyn DocumentReader> + Send + Sync>;

/// A function that finds an embedder by its id.
pub type FindEmbedding = Box<dyn Fn(&str) -> Option<Embedding> + Send + Sync>;

/// An embedder and what is known of it.
#[derive(Clone)]
pub struct Embedding {
    /// The embedder.
    pub embedder: Arc<dyn Lazy<dyn Embedder>>,
    /// Whether it knows more than English.
    pub is_multilingual: bool,
    /// How far apart its cosines lie for a question: the best passage's less those that have
    /// nothing to do with it.
    pub spread: f32,
}

/// A function that finds a cross-encoder that is installed: the one of that id, if it is, or another.
pub type FindReranking = Box<dyn Fn(Option<&str>) -> Option<Reranking> + Send + Sync>;

/// A cross-encoder and what is known of it.
#[derive(Clone)]
pub struct Reranking {
    /// The cross-encoder, whose scores are from 0 to 1.
    pub reranker: Arc<dyn Lazy<dyn Reranker>>,
    /// Whether it knows more than English.
    pub is_multilingual: bool,
}

/// A function that makes one check of `doctor`.
pub type RunCheck = Box<dyn Fn() -> Check + Send + Sync>;

/// The real parts behind the use cases. All of them are loaded when first needed.
pub struct Parts {
    /// The search index.
    pub index: Arc<dyn IndexStore>,
    /// The embedder that is wanted where a person has chosen none, by its id. Another one answers
    /// until the vectors of this one are complete.
    pub embedder: String,
    /// What belongs to an embedder, by its id; `None` where there is none of that id.
    pub embedding: FindEmbedding,
    /// What orders the best of what is found, where it is installed.
    pub reranking: FindReranking,
    /// The chat model.
    pub chat: Arc<dyn Lazy<dyn ChatModel>>,
    /// Whether the chat model's files are here.
    pub chat_installed: Box<dyn Fn() -> bool + Send + Sync>,
    /// What chooses, fetches and keeps models.
    pub models: ModelParts,
    /// The reader of documents.
    pub reader: StartReader,
    /// Whether the computer runs on its battery at the moment.
    pub on_battery: Box<dyn Fn() -> bool + Send + Sync>,
    /// What `doctor` looks at besides the library.
    pub checks: Vec<RunCheck>,
}

/// The application, over one library. Cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    catalog: Arc<Catalog>,
    parts: Parts,
    /// The index that is searched, of the embedder that answers, once it was opened.
    searched: Mutex<Option<(String, Arc<dyn ChunkIndex>)>>,
    /// The embedder that answers, once it was asked for.
    answering: Mutex<Option<Embedding>>,
    /// The cross-encoder, once it was asked for.
    reranking: Mutex<Option<Reranking>>,
    /// Rung when another embedder is wanted.
    wanted: Notify,
    /// Rung when the indexer may have something to do.
    wake: Arc<Notify>,
    /// Rung when the library has changed.
    changed: Arc<Notify>,
    events: broadcast::Sender<AppEvent>,
    /// How many searches and questions somebody waits for.
    awaited: watch::Sender<usize>,
    /// The library can be searched but not changed.
    read_only: bool,
    /// The member of an archive that was shown last.
    shown: Mutex<Option<source::Unpacked>>,
    /// The question that is being answered.
    asking: Mutex<CancellationToken>,
    /// Ends the background work.
    shutdown: CancellationToken,
}

impl App {
    /// Opens the library in `directory`, making it where there is none. A damaged
    /// catalogue is replaced by its last copy; a library that cannot be written to can
    /// be searched.
    pub fn open(directory: &Path, parts: Parts) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .map_err(|error| error::library_directory(directory, &error))?;
        // The paths of folders have their links resolved, and are compared with it.
        let directory = directory
            .canonicalize()
            .map_err(|error| error::library_directory(directory, &error))?;
        let (catalog, read_only) = damage::open(&directory)?;
        let app = Self {
            inner: Arc::new(Inner {
                directory,
                catalog: Arc::new(catalog),
                parts,
                searched: Mutex::default(),
                answering: Mutex::default(),
                reranking: Mutex::default(),
                wanted: Notify::new(),
                wake: Arc::default(),
                changed: Arc::default(),
                events: broadcast::Sender::new(64),
                awaited: watch::Sender::default(),
                read_only,
                shown: Mutex::default(),
                asking: Mutex::default(),
                shutdown: CancellationToken::new(),
            }),
        };
        app.open_models()?;
        Ok(app)
    }

    /// The library's directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Events from now on. A receiver that falls behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<AppEvent> {
        self.inner.events.subscribe()
    }

    /// Ends the background work. What is done is kept.
    pub fn shutdown(&self) {
        self.inner.shutdown.cancel();
    }

    fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Has the indexer hold what nobody waits for, until this is dropped.
    fn attend(&self) -> Attention<'_> {
        self.inner.awaited.send_modify(|awaited| *awaited += 1);
        Attention(&self.inner.awaited)
    }
}

struct Attention<'a>(&'a watch::Sender<usize>);

impl Drop for Attention<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|awaited| *awaited -= 1);
    }
}

/// The time since `start` in milliseconds, to a tenth: more is noise.
fn milliseconds_since(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e4).round() / 10.
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
