use std::path::PathBuf;

use lectern_domain::{ErrorCode, ModelError};

/// Why a model cannot be used as it lies there.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// The catalogue has no model of that name.
    #[error("there is no model called “{id}”")]
    Unknown {
        /// The name asked for.
        id: String,
    },
    /// A file of the model is not there.
    #[error("the model {id} is not installed: {} is missing", path.display())]
    Missing {
        /// The model.
        id: String,
        /// The first file that is missing.
        path: PathBuf,
    },
    /// A file is there with another size than the catalogue's, so it is a broken copy.
    #[error("{} has {found} bytes and should have {expected}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// The catalogue's size in bytes.
        expected: u64,
        /// The size on the disk in bytes.
        found: u64,
    },
    /// A file has the right size and other content.
    #[error("{} is damaged: its SHA-256 is {found} and should be {expected}", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
        /// The catalogue's SHA-256.
        expected: String,
        /// The SHA-256 of what is there.
        found: String,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system names no folder for a person's caches.
    #[error("there is no folder to keep models in")]
    NoRoot,
}

impl ModelsError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "see `lectern models list` for those there are",
            Self::Missing { .. } => "run `make models`, or choose a model in the app",
            Self::WrongSize { .. } | Self::WrongContent { .. } => {
                "run `make models` to fetch it again"
            }
            Self::Io { .. } => "check that the file may be read and the disk is sound",
            Self::NoRoot => "set LECTERN_MODELS to a folder",
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::InvalidInput,
            Self::Missing { .. } | Self::NoRoot => ErrorCode::ModelMissing,
            Self::WrongSize { .. } | Self::WrongContent { .. } | Self::Io { .. } => {
                ErrorCode::ModelInvalid
            }
        }
    }
}

impl From<ModelsError> for ModelError {
    fn from(error: ModelsError) -> Self {
        Self::new(error.code(), error.to_string(), error.hint())
    }
}
