//! The one error of the application's border, and how the crates' errors become it.

use std::{io, path::Path};

use lectern_catalog::CatalogError;
use lectern_domain::{ErrorCode, IndexError, ModelError};
use lectern_extract::worker::{ReadFailure, ReadFailureReason};
use lectern_ingest::{IngestError, UnlockError};

use crate::AppError;

impl AppError {
    /// An error in words.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

impl From<CatalogError> for AppError {
    fn from(error: CatalogError) -> Self {
        let hint = match &error {
            CatalogError::TooNew { .. } => "Install the latest version of Lectern.",
            CatalogError::Corrupt(_) => {
                "Run `lectern doctor`. Your documents are not touched by this."
            }
            CatalogError::Damaged(_) => {
                "Close every copy of Lectern and start it again: the catalogue comes back from its last copy."
            }
            CatalogError::Full => "Free some space on the disk; the work goes on by itself.",
            CatalogError::ReadOnly => {
                "It can be searched as it is. To change it, make its folder writable."
            }
            CatalogError::Sqlite(_) | CatalogError::Copy(_) => {
                "Check that the disk is not full and that the library's folder can be written."
            }
        };
        Self::new(ErrorCode::Library, error.to_string(), hint)
    }
}

impl From<IndexError> for AppError {
    fn from(error: IndexError) -> Self {
        Self::new(
            ErrorCode::Library,
            error.to_string(),
            "Delete the folder `index` in the library's folder; it is made again from the catalogue.",
        )
    }
}

impl From<ModelError> for AppError {
    fn from(error: ModelError) -> Self {
        Self::new(error.code, error.message, error.hint)
    }
}

impl From<IngestError> for AppError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Catalog(error) => error.into(),
            IngestError::Index(error) => error.into(),
            IngestError::Embedder(error) => error.into(),
        }
    }
}

impl From<ReadFailure> for AppError {
    fn from(failure: ReadFailure) -> Self {
        Self::new(ErrorCode::Unreadable, failure.message, "")
    }
}

impl From<UnlockError> for AppError {
    fn from(error: UnlockError) -> Self {
        let message = error.to_string();
        match error {
            UnlockError::Catalog(error) => error.into(),
            UnlockError::Read(failure) if failure.reason == ReadFailureReason::PasswordNeeded => {
                let message = "the password does not open the file";
                Self::new(ErrorCode::InvalidInput, message, "Try another one.")
            }
            UnlockError::Read(failure) => failure.into(),
            UnlockError::NotLocked => {
                let hint = "`lectern status --files` says which files do.";
                Self::new(ErrorCode::NotFound, message, hint)
            }
            UnlockError::UnknownEncryption => {
                let hint = "Save a copy of it without a password.";
                Self::new(ErrorCode::Unreadable, message, hint)
            }
        }
    }
}

/// The library's directory cannot be made or read.
pub(crate) fn library_directory(directory: &Path, error: &io::Error) -> AppError {
    AppError::new(
        ErrorCode::Library,
        format!("the library {} cannot be used: {error}", directory.display()),
        "Choose another folder with --library, or check its permissions.",
    )
}

/// Nothing lies at a path that the person named.
pub(crate) fn not_found(path: &Path) -> AppError {
    AppError::new(
        ErrorCode::NotFound,
        format!("there is no file or folder at {}", path.display()),
        "Check the path.",
    )
}

/// A task of ours panicked.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> AppError {
    AppError::new(
        ErrorCode::Internal,
        format!("something went wrong inside Lectern: {error}"),
        "Please report this. Nothing of the library is lost.",
    )
}
