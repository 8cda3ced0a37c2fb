use serde::{Deserialize, Serialize};

use crate::{CharRange, ChunkId};

/// A piece of a document that is indexed and retrieved as a whole. It never
/// crosses a heading; it may cross a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its part of the canonical text.
    pub range: CharRange,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
    /// The text of `range`, to the letter.
    pub text: String,
}

/// A chunk that one leg of a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChunkMatch {
    /// The chunk.
    pub chunk: ChunkId,
    /// The leg's own score; higher is better. Comparable only within one search.
    pub score: f32,
}
