use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;

use crate::{Chunk, ChunkId, ChunkMatch, DocumentId, ModelError};

/// Which documents a search may return.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Every document.
    #[default]
    All,
    /// These documents only; an empty list finds nothing.
    Documents(Vec<DocumentId>),
}

/// A chunk on its way into the lexical index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedChunk {
    /// Its id in the catalogue.
    pub id: ChunkId,
    /// The document it belongs to.
    pub document: DocumentId,
    /// The words to find it by.
    pub text: String,
}

/// A chunk's vector on its way into the vector index.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedChunk {
    /// Its id in the catalogue.
    pub id: ChunkId,
    /// The document it belongs to.
    pub document: DocumentId,
    /// An L2-normalised vector of the embedder's dimension.
    pub vector: Vec<f32>,
}

/// Why the index did not do as asked. The index can always be rebuilt from the
/// catalogue, so none of these loses anything.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The store's files are missing or damaged.
    #[error("the search index is damaged: {0}")]
    Damaged(String),
    /// The store refused an operation.
    #[error("the search index failed: {0}")]
    Store(String),
}

/// A lexical and a vector index over chunks, joined by id. It is a cache of the
/// catalogue: it may hold chunks that the catalogue has forgotten (their ids are
/// dropped by the reader) and may lack chunks that are still to come.
#[async_trait]
pub trait ChunkIndex: Send + Sync {
    /// Adds chunks to the lexical index; they are found by the next search.
    async fn add_texts(&self, chunks: Vec<IndexedChunk>) -> Result<(), IndexError>;
    /// Adds vectors to the vector index; they are found by the next search.
    async fn add_vectors(&self, chunks: Vec<EmbeddedChunk>) -> Result<(), IndexError>;
    /// Removes all that belongs to these documents.
    async fn remove(&self, documents: &[DocumentId]) -> Result<(), IndexError>;
    /// Removes these chunks.
    async fn remove_chunks(&self, chunks: &[ChunkId]) -> Result<(), IndexError>;
    /// The best chunks by BM25, best first.
    async fn lexical(
        &self,
        query: &str,
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError>;
    /// The best chunks by cosine similarity to `vector`, best first.
    async fn semantic(
        &self,
        vector: &[f32],
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError>;
    /// The chunks the lexical index holds.
    async fn text_ids(&self) -> Result<HashSet<ChunkId>, IndexError>;
    /// The chunks the vector index holds.
    async fn vector_ids(&self) -> Result<HashSet<ChunkId>, IndexError>;
    /// Brings the index into its fastest form: appends to its indices, compacts,
    /// prunes. To be called after larger changes, by the one writer.
    async fn maintain(&self) -> Result<(), IndexError>;
    /// Leaves nothing of what was removed on the disk: rewrites what still holds removed
    /// rows, and drops older versions at once, and the vectors of all other embedders than
    /// these. A search in another process that is under way may have to be repeated.
    async fn purge(&self, embedders: &[String]) -> Result<(), IndexError>;
}

/// What an index is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only to search: what is missing or damaged is left to the one writer, and is an error.
    Search,
    /// To write, as the only one who does: what is missing or damaged is made anew.
    Write,
}

/// Where the indices of a library are opened.
#[async_trait]
pub trait IndexStore: Send + Sync {
    /// Opens the index with the vectors of an embedder, by its id.
    async fn open(&self, embedder: &str, access: Access)
    -> Result<Arc<dyn ChunkIndex>, IndexError>;
}

/// Counts tokens as a model does, so that text can be cut to the model's measure.
pub trait TokenCounter: Send + Sync {
    /// How many tokens `text` is, without the marks and prefixes that go around it. A count above
    /// [`Self::limit`] need not be exact.
    fn count_tokens(&self, text: &str) -> usize;
    /// The most tokens of one text that count for the model, marks and prefixes not among them.
    fn limit(&self) -> usize;
}

/// Turns text into vectors. Calls block for the whole computation: run them on a
/// thread that may.
pub trait Embedder: Send + Sync {
    /// The model's identity, stored with its vectors.
    fn id(&self) -> &str;
    /// The length of its vectors.
    fn dimensions(&self) -> usize;
    /// One L2-normalised vector per passage, in order. Text beyond the model's
    /// limit of tokens does not count.
    fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError>;
    /// The L2-normalised vector of a query.
    fn embed_query(&self, query: &str) -> Result<Vec<f32>, ModelError>;
    /// How it counts tokens, where it tells; else they are estimated.
    fn token_counter(&self) -> Option<&dyn TokenCounter> {
        None
    }
}

/// Orders passages by how well they answer a query. Calls block.
pub trait Reranker: Send + Sync {
    /// The model's identity.
    fn id(&self) -> &str;
    /// One relevance per passage, in order; higher is better.
    fn rerank(&self, query: &str, passages: &[&Chunk]) -> Result<Vec<f32>, ModelError>;
}

/// Something costly that is loaded when it is first asked for, such as a model.
#[async_trait]
pub trait Source<T: ?Sized + Send + Sync>: Send + Sync {
    /// The identity of what would be loaded; it may be another one at the next call.
    fn id(&self) -> String;
    /// The thing itself, loaded by the first call.
    async fn get(&self) -> Result<Arc<T>, ModelError>;
}
