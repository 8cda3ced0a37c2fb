use lectern_domain::{CharRange, ChunkId, DocumentId};
use serde::{Deserialize, Serialize};

/// A part of a document that a search found, as evidence for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The chunk it is.
    pub chunk: ChunkId,
    /// The document it stands in.
    pub document: DocumentId,
    /// The absolute path of a file that holds the document.
    pub path: String,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
    /// Its part of the canonical text.
    pub range: CharRange,
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
    /// The short lines that its document opens with, where it is not among them: often only they say whose it
    /// is and of which year.
    #[serde(default)]
    pub opening: Vec<String>,
    /// The text of `range`, to the letter.
    pub text: String,
    /// How well it matches the question; higher is better.
    pub score: f32,
}

impl Passage {
    /// The file's name with its extension; the path where it has no name.
    pub fn file_name(&self) -> &str {
        let name = self.path.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.is_empty() { &self.path } else { name }
    }

    /// What says what it is about besides its own text: the document's first lines, the headings and the file's
    /// name without its extension, each on a line.
    pub(crate) fn subject(&self) -> String {
        let name = self.file_name();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).replace(['_', '-'], " ");
        let above = self.opening.iter().chain(&self.heading).map(String::as_str);
        above.chain([stem.as_str()]).collect::<Vec<_>>().join("\n")
    }
}
