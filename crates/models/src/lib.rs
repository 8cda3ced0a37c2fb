//! Models: what there is, where it lies, whether it is whole, how it comes here and how it
//! would run.
//!
//! The catalogue is a JSON file that is compiled in; `scripts/fetch_models.py` reads
//! the same file. A model lies in a folder of its own, `<root>/<id>/<file name>`,
//! because mistral.rs picks up neighbouring files.
//!
//! Nothing here uses the network but [`Downloads`], and that only when it is asked to.

mod catalogue;
mod download;
mod e5;
mod error;
mod import;
mod machine;
mod network;
mod pace;
mod slot;
mod store;
mod transfer;
mod wheels;

pub use catalogue::{
    Model, ModelFile, ModelRole, Source, WheelMember, catalogue, default_model, model,
};
pub use download::{DownloadState, Downloads, Problem, Progress, free_bytes};
pub use error::ModelsError;
pub use import::{Found, OtherProgram, Places, inspect};
pub use lectern_gguf::Shape;
pub use machine::{
    Fit, Graphics, Machine, QUICK_SECONDS, QUICK_TOKENS_PER_SECOND, Reason, Verdict, recommend,
    too_big,
};
pub use network::{Network, Patience};
pub use pace::{Pace, QUESTION_TOKENS, Size, instructions, threads, use_threads};
pub use slot::{Choice, Loaded, Slot};
pub use store::{Installed, ModelStore};
