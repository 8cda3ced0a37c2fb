//! The files of an encoder, and what is said where they cannot be used.

use std::{
    fmt::Display,
    fs, io,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use lectern_domain::{ErrorCode, ModelError};

use crate::encoder::Config;
use crate::short;
use crate::tokens::Tokens;

/// The files of a model.
pub(crate) struct Files<'a> {
    pub(crate) directory: &'a Path,
    /// What the model is called in messages: `embedding model`.
    pub(crate) kind: &'static str,
}

impl Files<'_> {
    /// The content of a file.
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, ModelError> {
        fs::read(self.directory.join(file)).map_err(|error| self.unreadable(file, &error))
    }

    /// The path of a file that is there.
    pub(crate) fn path(&self, file: &str) -> Result<PathBuf, ModelError> {
        self.size(file)?;
        Ok(self.directory.join(file))
    }

    /// How many bytes a file has.
    pub(crate) fn size(&self, file: &str) -> Result<u64, ModelError> {
        let found = fs::metadata(self.directory.join(file));
        Ok(found.map_err(|error| self.unreadable(file, &error))?.len())
    }

    fn unreadable(&self, file: &str, error: &io::Error) -> ModelError {
        let (path, kind) = (self.directory.join(file), self.kind);
        match error.kind() {
            ErrorKind::NotFound => ModelError::new(
                ErrorCode::ModelMissing,
                format!("The {kind}'s file {} is not there.", path.display()),
                format!("Download the {kind} again."),
            ),
            _ => self.invalid(file, error),
        }
    }

    /// What `config.json` says, if it can be run.
    pub(crate) fn config(&self) -> Result<Config, ModelError> {
        let file = "config.json";
        let config: Config =
            serde_json::from_slice(&self.read(file)?).map_err(|error| self.invalid(file, error))?;
        config.check().map_err(|error| self.invalid(file, error))?;
        Ok(config)
    }

    /// What `tokenizer.json` says, if the model has vectors for all its tokens, `vocab_size` of them.
    pub(crate) fn tokens(
        &self,
        vocab_size: usize,
        read: impl FnOnce(&[u8]) -> Result<Tokens, tokenizers::Error>,
    ) -> Result<Tokens, ModelError> {
        let file = "tokenizer.json";
        let tokens = read(&self.read(file)?).map_err(|error| self.invalid(file, error))?;
        if tokens.len() > vocab_size {
            return Err(self.invalid(file, "it has more tokens than the model"));
        }
        Ok(tokens)
    }

    /// A file is damaged, or of another model.
    pub(crate) fn invalid(&self, file: &str, reason: impl Display) -> ModelError {
        let kind = self.kind;
        ModelError::new(
            ErrorCode::ModelInvalid,
            format!(
                "The {kind}'s file {} cannot be used: {}.",
                self.directory.join(file).display(),
                short(&reason.to_string()).trim_end_matches('.')
            ),
            format!("Download the {kind} again; the file is damaged or of another model."),
        )
    }
}

/// A model of that kind did not do what it should.
pub(crate) fn failed(kind: &str, reason: impl Display) -> ModelError {
    ModelError::new(
        ErrorCode::ModelFailed,
        format!("The {kind} failed: {}.", short(&reason.to_string()).trim_end_matches('.')),
        format!("Download the {kind} again; if that does not help, report it."),
    )
}
