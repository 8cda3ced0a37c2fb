use std::io;
use std::path::PathBuf;

use lectern_domain::{ErrorCode, ModelError};
use lectern_gguf::GgufError;

/// Why a model cannot be had, kept or used.
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
    /// A file is there with another size than it had when it was checked, so it is a broken copy.
    #[error("{} has {found} bytes and should have {expected}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// The right size in bytes.
        expected: u64,
        /// The size on the disk in bytes.
        found: u64,
    },
    /// A file has the right size and other content.
    #[error("{} is damaged: its SHA-256 is {found} and should be {expected}", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
        /// The right SHA-256.
        expected: String,
        /// The SHA-256 of what is there.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system names no folder for a person's caches.
    #[error("there is no folder to keep models in")]
    NoRoot,
    /// A file that was to be imported is no chat model that can be run.
    #[error("The model {} cannot be used: {source}.", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GgufError,
    },
    /// The catalogue's model is not one that this program can get by itself.
    #[error("the model {id} cannot be fetched by the program")]
    NoSource {
        /// The model.
        id: String,
    },
    /// The download was paused or cancelled.
    #[error("the download of {id} was stopped")]
    Stopped {
        /// The model.
        id: String,
    },
    /// Another process fetches the same model.
    #[error("the model {id} is being fetched by another copy of Lectern")]
    FetchedElsewhere {
        /// The model.
        id: String,
    },
    /// The disk has too little room.
    #[error(
        "{} has {} free, and {} are needed",
        path.display(),
        megabytes(*free),
        megabytes(*needed)
    )]
    NoSpace {
        /// The folder for models.
        path: PathBuf,
        /// What would be written, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// The server cannot be reached, or the connection was lost and did not come back.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The server cannot prove who it is.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Certificate {
        /// The server.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server answers, and not with the file.
    #[error("{host} answers {status} for {file}")]
    Status {
        /// The server.
        host: String,
        /// The file.
        file: String,
        /// The status of HTTP.
        status: u16,
    },
    /// The server has something else under the file's name than the catalogue knows, or the
    /// answer contradicts itself.
    #[error("{host} has another file under the name {file}: {difference}")]
    OtherFile {
        /// The server.
        host: String,
        /// The file.
        file: String,
        /// In what it differs.
        difference: String,
    },
    /// What came has the wrong content, again and again.
    #[error("{file} came damaged: its SHA-256 is {found} and should be {expected}")]
    Damaged {
        /// The file.
        file: String,
        /// The right SHA-256.
        expected: String,
        /// The SHA-256 of what came.
        found: String,
    },
    /// Nothing says what the file should be, so it could not be checked.
    #[error("{host} gives no SHA-256 for {file}, so it could not be checked")]
    NoChecksum {
        /// The server.
        host: String,
        /// The file.
        file: String,
    },
}

impl ModelsError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "see `lectern models list` for those there are",
            Self::Missing { .. } => {
                "get it with `lectern models get`, or choose a model in the app"
            }
            Self::WrongSize { .. } | Self::WrongContent { .. } => {
                "get it again with `lectern models get`, or in the app"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on the disk and resume; what is here is kept"
            }
            Self::Io { .. } => "check that the file may be read and written and the disk is sound",
            Self::NoRoot => "set LECTERN_MODELS to a folder",
            Self::Unusable { source, .. } => source.hint(),
            Self::NoSource { .. } => {
                "run `make models`, or import the file with `lectern models import`"
            }
            Self::Stopped { .. } => "resume it when you like; what is here is kept",
            Self::FetchedElsewhere { .. } => "wait for it, or close the other copy",
            Self::NoSpace { .. } => {
                "make room on the disk, choose a smaller model, or set LECTERN_MODELS to a folder elsewhere"
            }
            Self::Unreachable { .. } => {
                "check the connection and resume; what is here is kept. Behind a proxy, set HTTPS_PROXY; for a mirror, set HF_ENDPOINT"
            }
            Self::Certificate { .. } => {
                "check the computer's date; where a company inspects connections, add its certificate to the system's (or name it in SSL_CERT_FILE)"
            }
            Self::Status { status: 401 | 403, .. } => {
                "the file needs a login there; download it in a browser and import it"
            }
            Self::Status { status: 404, .. } => {
                "it is not there any more; choose another model, or set HF_ENDPOINT to a mirror that has it"
            }
            Self::Status { .. } => {
                "the server is busy or broken; resume later, what is here is kept"
            }
            Self::OtherFile { .. } => {
                "nothing was taken over; update Lectern, or download the file by hand and import it"
            }
            Self::Damaged { .. } => {
                "try again; if it happens again, something between here and the server changes the file"
            }
            Self::NoChecksum { .. } => {
                "if you trust the server, download the file in a browser and import it"
            }
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::InvalidInput,
            Self::Missing { .. } | Self::NoRoot => ErrorCode::ModelMissing,
            Self::WrongSize { .. }
            | Self::WrongContent { .. }
            | Self::Io { .. }
            | Self::Unusable { .. } => ErrorCode::ModelInvalid,
            Self::Stopped { .. } => ErrorCode::Cancelled,
            Self::NoSource { .. }
            | Self::FetchedElsewhere { .. }
            | Self::NoSpace { .. }
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Status { .. }
            | Self::OtherFile { .. }
            | Self::Damaged { .. }
            | Self::NoChecksum { .. } => ErrorCode::DownloadFailed,
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

impl ModelsError {
    /// The error in words.
    pub fn words(&self) -> ModelError {
        ModelError::new(self.code(), self.to_string(), self.hint())
    }
}

impl From<ModelsError> for ModelError {
    fn from(error: ModelsError) -> Self {
        error.words()
    }
}
