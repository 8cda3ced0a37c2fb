//! From a file on the disk to a searchable document.
//!
//! One [`Indexer`] per library does all the work, guarded by a [`LibraryLock`]:
//! it looks at the folders, reads files in a worker process, hands chunks to the
//! lexical index at once and gives them vectors when nothing waits to be read.
//! Its queues are the states in the catalogue, so a process that is killed goes
//! on where it was.

mod discover;
mod indexer;
mod language;
mod lock;
mod look;
mod measure;
mod ocr;
mod rules;
mod unlock;
mod watch;

pub use discover::{Discovered, discover, modified_nanoseconds};
pub use indexer::{
    DocumentReader, Indexer, IndexerParts, IngestError, PAUSED_SETTING, READER_VERSION, Successor,
    Until,
};
pub use language::{language_of, languages};
pub use lock::LibraryLock;
pub use look::{is_gone, look};
pub use measure::searchable_text;
pub use rules::{BadPattern, check_patterns};
pub use unlock::{UnlockError, unlock};
