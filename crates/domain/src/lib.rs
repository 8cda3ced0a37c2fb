//! The words of Lectern: documents, chunks, citations, and the traits its parts
//! meet at. Nothing here touches a disk, a network or a model.
//!
//! **Offsets.** Every offset that leaves a function counts Unicode scalar values
//! ("characters") of the document's canonical text, never bytes and never UTF-16
//! units. The canonical text never changes once offsets into it exist.

mod chat;
mod chunk;
mod document;
mod error;
mod ids;
mod index;
mod sentences;
mod text;

pub use chat::{ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole, ChatStream, TokenUsage};
pub use chunk::{Chunk, ChunkMatch};
pub use document::{
    Anchor, Block, BlockKind, ColumnAnchor, DocumentKind, Extraction, LineUnit, Page, PageUnit,
    Rect, Section, TextBox,
};
pub use error::{ErrorCode, ModelError};
pub use ids::{ChunkId, ConversationId, DocumentId, FileId, FolderId};
pub use index::{
    Access, ChunkIndex, EmbeddedChunk, Embedder, IndexError, IndexStore, IndexedChunk, Reranker,
    Scope, Source, TokenCounter,
};
pub use sentences::{is_cjk, sentences};
pub use text::{CharRange, char_slice};
