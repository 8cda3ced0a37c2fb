//! The catalogue of models: what there is, where it lies, and whether it is whole.
//!
//! The catalogue is a JSON file that is compiled in; `scripts/fetch_models.py` reads
//! the same file. A model lies in a folder of its own, `<root>/<id>/<file name>`,
//! because mistral.rs picks up neighbouring files.
//!
//! Nothing here uses the network.

mod catalogue;
mod error;
mod store;

pub use catalogue::{
    Model, ModelFile, ModelRole, Source, WheelMember, catalogue, default_model, model,
};
pub use error::ModelsError;
pub use store::{Installed, ModelStore};
