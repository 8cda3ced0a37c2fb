//! What the file's name, the title and the headings bring:
//!
//! ```sh
//! bare LIBRARY    # has every chunk of a library be found by its own words alone, in both indices
//! ```
//!
//! `lectern --library LIBRARY eval SET` before and after it shows the difference. The library is for nothing else
//! afterwards.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::path::Path;

use lectern_catalog::Catalog;
use lectern_domain::{ChunkId, ChunkIndex, EmbeddedChunk, Embedder, IndexedChunk};
use lectern_index::LanceIndex;
use lectern_inference::{BertEmbedder, EmbedderOptions};
use lectern_models::{ModelRole, ModelStore, default_model};

/// Chunks are taken so many at a time.
const BATCH: usize = 256;

#[tokio::main]
async fn main() {
    let Some(library) = std::env::args().nth(1) else {
        eprintln!("usage: bare LIBRARY");
        return;
    };
    let library = Path::new(&library);
    let store = ModelStore::new(ModelStore::default_root().unwrap());
    let installed = store.find(&default_model(ModelRole::Embedder).id).unwrap();
    let model = &installed.model;
    let embedder = BertEmbedder::load(EmbedderOptions {
        id: model.id.clone(),
        directory: installed.directory.clone(),
        query_prefix: model.query_prefix.clone(),
        passage_prefix: model.passage_prefix.clone(),
        first_token: false,
        max_tokens: model.context_tokens,
    })
    .unwrap();
    let catalog = Catalog::open(&library.join("catalog.sqlite")).unwrap();
    let index = library.join("index");
    let index = LanceIndex::open(&index, &model.id, embedder.dimensions()).await.unwrap();
    let mut last = ChunkId(0);
    loop {
        let chunks = catalog.chunks_after(last, BATCH).unwrap();
        let Some(chunk) = chunks.last() else { break };
        last = chunk.id;
        let ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
        let bare: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        let vectors = embedder.embed_passages(&bare).unwrap();
        let embedded = chunks.iter().zip(vectors).map(|(chunk, vector)| EmbeddedChunk {
            id: chunk.id,
            document: chunk.document,
            vector,
        });
        let texts = chunks.iter().map(|chunk| IndexedChunk {
            id: chunk.id,
            document: chunk.document,
            text: chunk.text.clone(),
        });
        index.remove_chunks(&ids).await.unwrap();
        index.add_texts(texts.collect()).await.unwrap();
        index.add_vectors(embedded.collect()).await.unwrap();
    }
    index.maintain().await.unwrap();
}
