//! What the application says of models: those there are, how they would run here,
//! and how far their downloads are. Numbers and names only; the words are each face's own.

pub use lectern_models::ModelRole;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::AppError;

/// All that a person chooses from, and what it is chosen for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Models {
    /// This computer.
    pub machine: Machine,
    /// The catalogue's models in its order, then those that were imported. Models that
    /// only serve tests are left out unless they are installed.
    pub models: Vec<ModelEntry>,
    /// Models of other programs on this computer that can be used without a copy.
    pub found: Vec<FoundModel>,
    /// Which chat model is recommended here, and why.
    pub recommendation: Recommendation,
    /// The folder that models lie in.
    pub directory: String,
    /// How the chat model runs.
    pub settings: ModelSettings,
}

/// What this computer has for models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Machine {
    /// Memory there is, in bytes.
    #[ts(type = "number")]
    pub memory_bytes: u64,
    /// Memory that is free for a model now, in bytes; what the loaded model takes counts
    /// as free, since another would take its place.
    #[ts(type = "number")]
    pub available_memory_bytes: u64,
    /// Free space where models lie, in bytes; `null` where the system does not say.
    #[ts(type = "number | null")]
    pub free_disk_bytes: Option<u64>,
    /// Physical cores.
    pub cores: u32,
    /// Threads that a model uses.
    pub threads: u32,
    /// The processor's instructions that are used: `scalar`, `neon`, `avx2`, `avxvnni`, `avx512`.
    pub instructions: String,
    /// Graphics cards, as far as they can be told cheaply.
    pub graphics: Vec<GraphicsCard>,
    /// Where this build can run a chat model: `cpu` always.
    pub devices: Vec<Device>,
    /// Whether the processor was measured; without it there are no predictions. Measuring takes
    /// a second or two and happens once.
    pub measured: bool,
}

/// A graphics card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct GraphicsCard {
    /// Its name.
    pub name: String,
    /// Its own memory in bytes; `null` where it is not known.
    #[ts(type = "number | null")]
    pub memory_bytes: Option<u64>,
}

/// Where a chat model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Device {
    /// The best there is.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// Apple's graphics.
    Metal,
    /// NVIDIA's graphics.
    Cuda,
}

/// A model of the catalogue, or one that was imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ModelEntry {
    /// Its identity.
    pub id: String,
    /// What it is for.
    #[ts(type = "'chat' | 'embedder' | 'reranker' | 'ocr'")]
    pub role: ModelRole,
    /// Its name for people.
    pub name: String,
    /// The architecture of its weights.
    pub architecture: String,
    /// How its weights are stored: `Q4_K_M`.
    pub quantisation: String,
    /// The longest input in tokens.
    pub context_tokens: u32,
    /// Languages its makers claim, as ISO 639-1 codes; empty where they are not known.
    pub languages: Vec<String>,
    /// Licence of the weights (SPDX); empty where it is not known.
    pub licence: String,
    /// Size on the disk in bytes.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Whether that size is known to the byte. The model hub says it before anything is fetched.
    pub bytes_exact: bool,
    /// Whether all its files are here.
    pub installed: bool,
    /// Whether it is a person's own file and not one of the catalogue.
    pub imported: bool,
    /// Where the files lie that it is linked to, for one that belongs to another program.
    pub linked_to: Option<String>,
    /// Whether the program can get it; otherwise it has to be imported.
    pub downloadable: bool,
    /// Whether it is the one in use for its role.
    pub in_use: bool,
    /// What it costs to change to it; of embedders that are not in use.
    pub change: Option<EmbedderChange>,
    /// Whether it is the one recommended for its role.
    pub recommended: bool,
    /// How it would run here.
    pub fit: Fit,
    /// Its download, while one is going, waiting, stopped or just done.
    pub download: Option<Download>,
    /// Why its files that are here cannot be used.
    pub problem: Option<AppError>,
}

/// What changing to another embedder costs. It is done in the background; the one in use answers
/// until it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct EmbedderChange {
    /// Passages of the library that it has to read.
    #[ts(type = "number")]
    pub passages: u64,
    /// About how many seconds that takes here; `null` where its pace is not known.
    pub seconds: Option<f64>,
    /// Whether it is under way.
    pub started: bool,
}

/// Whether a model can run on this computer, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Verdict {
    /// It fits, and answers within what a person waits for.
    Good,
    /// It fits, and is slow.
    Slow,
    /// It would fit if other programs left more memory.
    Tight,
    /// This computer has too little memory for it.
    TooBig,
    /// It can be run, and nothing is known of its pace.
    Unknown,
}

/// How a model would run on this computer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Fit {
    /// In a word.
    pub verdict: Verdict,
    /// Memory it takes while it is loaded, in bytes.
    #[ts(type = "number")]
    pub memory_bytes: u64,
    /// Seconds from a question of usual length to the first word of its answer; chat models only.
    pub first_token_seconds: Option<f64>,
    /// Tokens it writes in a second; chat models only.
    pub tokens_per_second: Option<f64>,
    /// Whether there is too little free space on the disk for what is still to be fetched.
    pub disk_full: bool,
}

/// Why a model is the recommended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RecommendationReason {
    /// The most able of those that answer without much waiting here.
    MostAbleThatIsQuick,
    /// All that fit are slow; it is the quickest of those good enough.
    QuickestThatFits,
    /// The most able that fits; the computer's pace has not been measured.
    MostAbleThatFits,
    /// None fits into the memory.
    NoneFits,
}

/// The chat model to take here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Recommendation {
    /// Its identity; `null` where none fits.
    pub id: Option<String>,
    /// Why it.
    pub reason: RecommendationReason,
}

/// Where a download is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum DownloadState {
    /// Another one goes first.
    Waiting,
    /// It is being fetched.
    Running,
    /// The connection was lost or the server is busy; it tries again by itself.
    Retrying,
    /// All is here and is being checked.
    Checking,
    /// The person stopped it, or the program ended; it goes on from there.
    Paused,
    /// It stopped for a reason and goes on from there when it is resumed.
    Failed,
    /// It was given up, and nothing of it is left.
    Cancelled,
    /// The model is installed.
    Done,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Download {
    /// The model.
    pub id: String,
    /// Where it is.
    pub state: DownloadState,
    /// Bytes that are here.
    #[ts(type = "number")]
    pub bytes_done: u64,
    /// Bytes of all files; `null` until it is known.
    #[ts(type = "number | null")]
    pub bytes_total: Option<u64>,
    /// The pace of the last seconds.
    #[ts(type = "number | null")]
    pub bytes_per_second: Option<u64>,
    /// Time left at that pace.
    pub seconds_left: Option<f64>,
    /// Why it stopped or tries again.
    pub error: Option<AppError>,
}

/// A program that keeps models of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum OtherProgram {
    /// LM Studio.
    LmStudio,
    /// Ollama.
    Ollama,
    /// GPT4All.
    Gpt4all,
    /// The cache of the model hub's own programs.
    HubCache,
}

/// A model that another program keeps on this computer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FoundModel {
    /// Where it lies; importing it is done by this path.
    pub path: String,
    /// Whose it is.
    pub program: OtherProgram,
    /// Its name for people.
    pub name: String,
    /// The architecture of its weights; empty where the file cannot be read.
    pub architecture: String,
    /// How its weights are stored; empty where it is not known.
    pub quantisation: String,
    /// Its size in bytes.
    #[ts(type = "number")]
    pub bytes: u64,
    /// How it would run here; `null` where it cannot.
    pub fit: Option<Fit>,
    /// Why it cannot be used.
    pub problem: Option<AppError>,
}

/// What removing a model did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RemovedModel {
    /// The model.
    pub id: String,
    /// Bytes that are free again. None for what was linked to another program's file, which
    /// stays.
    #[ts(type = "number")]
    pub freed_bytes: u64,
    /// The chat model in use afterwards, where it was this one; `null` where it was not, or
    /// none is left.
    pub now_in_use: Option<String>,
}

/// What removing a model would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RemovalPreview {
    /// The model.
    pub id: String,
    /// Bytes that would be free again.
    #[ts(type = "number")]
    pub frees_bytes: u64,
    /// Whether questions are answered with it at present.
    pub in_use: bool,
    /// Other libraries that use it, by their folders.
    pub used_by: Vec<String>,
    /// Whether it may be removed: not while it is the library's embedder.
    pub removable: bool,
}

/// How the chat model runs, for people who want to set it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct ModelSettings {
    /// Tokens of prompt and reply together; `null` for the usual. 1024 to 131072, and never
    /// more than the model's own.
    pub context_tokens: Option<u32>,
    /// Threads; `null` for one for each physical core, less one where there are more than two.
    /// A change is in force after the program was started anew.
    pub threads: Option<u32>,
    /// 0 for the same answer each time, up to 2.
    pub temperature: f32,
    /// What the person wants of every answer, in their words; added to the instructions
    /// that Lectern gives. At most 2,000 characters.
    pub instructions: String,
    /// Where it runs.
    pub device: Device,
    /// Minutes after the last answer until the model leaves the memory; 0 keeps it.
    pub idle_minutes: u32,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            context_tokens: None,
            threads: None,
            temperature: 0.,
            instructions: String::new(),
            device: Device::Auto,
            idle_minutes: 15,
        }
    }
}
