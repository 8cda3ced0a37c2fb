//! How long adding and searching takes.
//!
//! `cargo run --release --example pace -- [CHUNKS] [DIMENSIONS]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use lectern_domain::{ChunkId, ChunkIndex, DocumentId, EmbeddedChunk, IndexedChunk, Scope};
use lectern_index::LanceIndex;

const BATCH: usize = 200;
const WORDS_OF_A_CHUNK: usize = 200;
const SEARCHES: u32 = 20;

/// Marsaglia's xorshift64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A word of a vocabulary of 50,000 in which, as in a language, the second
    /// is half as frequent as the first.
    fn word(&mut self) -> String {
        let mut rank = 50_000_f64.powf(self.uniform()) as u32;
        let mut word = String::new();
        while rank > 0 {
            word.extend(char::from_u32('b' as u32 + rank % 20));
            word.push('a');
            rank /= 20;
        }
        word
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        let vector: Vec<f32> = (0..dimensions).map(|_| self.uniform() as f32 - 0.5).collect();
        let norm = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter().map(|number| number / norm).collect()
    }
}

async fn searches(index: &LanceIndex, numbers: &mut Numbers, dimensions: usize, chunks: usize) {
    let some = Scope::Documents((0..chunks as i64 / 200).map(DocumentId).collect());
    for (name, scope) in [("everywhere", Scope::All), ("in a tenth of the documents", some)] {
        let (mut lexical, mut semantic) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..SEARCHES {
            let (query, vector) = (numbers.text(8), numbers.vector(dimensions));
            let start = Instant::now();
            index.lexical(&query, 50, &scope).await.unwrap();
            lexical += start.elapsed();
            let start = Instant::now();
            index.semantic(&vector, 50, &scope).await.unwrap();
            semantic += start.elapsed();
        }
        println!("  {name}: lexical {:?}, semantic {:?}", lexical / SEARCHES, semantic / SEARCHES);
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let chunks = arguments.next().unwrap_or(10_000);
    let dimensions = arguments.next().unwrap_or(384);
    let directory = tempfile::tempdir().unwrap();
    let index = LanceIndex::open(directory.path(), "pace", dimensions).await.unwrap();
    let mut numbers = Numbers(42);

    let (mut texts_time, mut vectors_time) = (Duration::ZERO, Duration::ZERO);
    let mut slowest = Duration::ZERO;
    for start in (0..chunks).step_by(BATCH) {
        let ids: Vec<(ChunkId, DocumentId)> = (start..(start + BATCH).min(chunks))
            .map(|id| (ChunkId(id as i64), DocumentId(id as i64 / 20)))
            .collect();
        let texts = ids
            .iter()
            .map(|&(id, document)| IndexedChunk {
                id,
                document,
                text: numbers.text(WORDS_OF_A_CHUNK),
            })
            .collect();
        let vectors = ids
            .iter()
            .map(|&(id, document)| EmbeddedChunk {
                id,
                document,
                vector: numbers.vector(dimensions),
            })
            .collect();
        let begun = Instant::now();
        index.add_texts(texts).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        texts_time += begun.elapsed();
        let begun = Instant::now();
        index.add_vectors(vectors).await.unwrap();
        vectors_time += begun.elapsed();
    }
    println!("{chunks} chunks added in batches of {BATCH}:");
    println!("  texts {texts_time:?} (slowest batch {slowest:?}), vectors {vectors_time:?}");
    println!("searches, on average of {SEARCHES}:");
    searches(&index, &mut numbers, dimensions, chunks).await;
    let begun = Instant::now();
    index.maintain().await.unwrap();
    println!(
        "maintenance: {:?}, {} bytes on disk",
        begun.elapsed(),
        index.bytes_on_disk().await.unwrap()
    );
    searches(&index, &mut numbers, dimensions, chunks).await;
    drop(index);
    let begun = Instant::now();
    LanceIndex::open(directory.path(), "pace", dimensions).await.unwrap();
    println!("opened in {:?}", begun.elapsed());
}
