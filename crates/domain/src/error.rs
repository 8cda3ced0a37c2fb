use serde::{Deserialize, Serialize};

/// Stable names of what can go wrong, for people's scripts and the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request makes no sense as it stands.
    InvalidInput,
    /// A file, folder, document or conversation is not there.
    NotFound,
    /// The library cannot be read or written.
    Library,
    /// A document could not be read.
    Unreadable,
    /// A model's files are missing.
    ModelMissing,
    /// A model's file is damaged or of a kind that cannot be used.
    ModelInvalid,
    /// A model needs more memory than there is.
    ModelTooBig,
    /// The model failed while it was running.
    ModelFailed,
    /// A model could not be fetched; what is here of it is kept.
    DownloadFailed,
    /// The person stopped it.
    Cancelled,
    /// A fault of Lectern itself.
    Internal,
}

/// Why a model could not be loaded or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// Which kind of failure it is.
    pub code: ErrorCode,
    /// What happened, in a sentence.
    pub message: String,
    /// What the person can do about it.
    pub hint: String,
}

impl ModelError {
    /// An error with its words.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}
