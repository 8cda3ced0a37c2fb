//! The chunk index on LanceDB: the one crate that sees LanceDB and Arrow.
//!
//! Two tables live in one directory: the analysed words of every chunk, with a
//! BM25 index, and one table of vectors per embedder. Both are a cache of the
//! catalogue: what cannot be read is set aside or made anew, and the catalogue
//! fills in what [`ChunkIndex::text_ids`] and [`ChunkIndex::vector_ids`] lack.
//!
//! [`ChunkIndex::text_ids`]: lectern_domain::ChunkIndex::text_ids
//! [`ChunkIndex::vector_ids`]: lectern_domain::ChunkIndex::vector_ids

mod analyze;
mod index;
mod language;
mod table;
mod vectors;

pub use index::{LanceIndex, VectorIndex};
