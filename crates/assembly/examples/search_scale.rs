//! How long a search takes in a large library: the whole call, the query's embedding included.
//!
//! ```sh
//! search_scale fill DIRECTORY CHUNKS    # makes a library of texts and vectors, the same in every run
//! search_scale index DIRECTORY ROWS     # builds the index of vectors of a library of at least so many
//! search_scale measure DIRECTORY [QUERIES]
//! ```
//!
//! `measure` prints a line of JSON, and writes `queries.jsonl` into the directory: the terms and the vector of
//! every query, so that another program can ask the same of the same tables
//! (`scripts/bench_search.py`).
//!
//! The texts are words of a made-up language in the frequencies of a real one, among them the commonest of
//! English, on topics that documents share. The vectors are mixtures of those that the embedder gives to some
//! of the texts, with noise: a million would take it a day.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use lectern_app::{Filter, SearchMode, SearchRequest};
use lectern_assembly::Options;
use lectern_catalog::{Attached, Catalog, FoundFile, Look, NewDocument};
use lectern_domain::{
    CharRange, Chunk, ChunkId, ChunkIndex, DocumentId, DocumentKind, EmbeddedChunk, Embedder,
    Extraction, IndexedChunk, Page,
};
use lectern_index::LanceIndex;
use lectern_inference::{BertEmbedder, EmbedderOptions};
use lectern_models::{ModelRole, ModelStore, default_model};

/// Of the default embedder.
const DIMENSIONS: usize = 384;
const CHUNKS_OF_A_DOCUMENT: usize = 20;
const WORDS_OF_A_CHUNK: usize = 120;
const WORDS_OF_A_TOPIC: u64 = 40;
/// The file in the library that says how many topics its documents have.
const TOPICS: &str = "topics";
/// So many texts get their real vectors.
const EMBEDDED: usize = 128;
/// Documents are made and added so many at a time.
const BATCH: usize = 250;

/// What a language says most often.
const COMMON: &str = "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just state those people too mr how little good world make very year still see own work men day get here old life both between being under";

/// Marsaglia's xorshift64*, seeded by what the numbers are for.
struct Numbers(u64);

impl Numbers {
    fn of(purpose: u64, number: u64) -> Self {
        let seed = (purpose << 56 ^ number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut numbers = Self(seed | 1);
        for _ in 0..4 {
            numbers.next();
        }
        numbers
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The word of this rank: a common one of English, or one of syllables.
fn word(rank: u64) -> String {
    if let Some(common) = COMMON.split(' ').nth(rank as usize) {
        return common.to_owned();
    }
    let mut word = String::new();
    let mut rest = rank;
    while rest > 0 {
        word.push(char::from(b"bdfgklmnprtvz"[(rest % 13) as usize]));
        word.push(char::from(b"aeiou"[(rest / 13 % 5) as usize]));
        rest /= 65;
    }
    word + ["n", "r", "l", "m"][(rank % 4) as usize]
}

/// A word of the language: as in all of them, the second is half as frequent as the first.
fn any_word(numbers: &mut Numbers) -> String {
    word(50_000_f64.powf(numbers.uniform()) as u64 - 1)
}

fn topic_word(topic: u64, numbers: &mut Numbers) -> String {
    let number = numbers.below(WORDS_OF_A_TOPIC);
    word(500 + Numbers::of(1, topic * WORDS_OF_A_TOPIC + number).below(60_000))
}

/// What a document is about; ten documents share it.
fn topic(document: usize, documents: usize) -> u64 {
    Numbers::of(2, document as u64).below((documents as u64).div_ceil(10))
}

fn text(chunk: usize, topic: u64) -> String {
    let mut numbers = Numbers::of(3, chunk as u64);
    let mut text = String::new();
    for position in 1..=WORDS_OF_A_CHUNK {
        let is_topical = numbers.below(5) == 0;
        text += &if is_topical { topic_word(topic, &mut numbers) } else { any_word(&mut numbers) };
        text.push_str(if position % 15 == 0 { ". " } else { " " });
    }
    text.truncate(text.trim_end().len());
    text
}

fn question(number: usize, topics: u64) -> String {
    let mut numbers = Numbers::of(4, number as u64);
    let topic = numbers.below(topics);
    let mut word = || topic_word(topic, &mut numbers);
    match number % 4 {
        0 => format!("what is the {} of the {} in {}", word(), word(), word()),
        1 => format!("how many {} were there when {} had {}?", word(), word(), word()),
        2 => format!("{} {}", word(), word()),
        _ => {
            format!("who was the first {} to {} a {} after the {}", word(), word(), word(), word())
        }
    }
}

fn embedder() -> BertEmbedder {
    let store = ModelStore::new(ModelStore::default_root().unwrap());
    let installed = store.find(&default_model(ModelRole::Embedder).id).unwrap();
    let model = &installed.model;
    BertEmbedder::load(EmbedderOptions {
        id: model.id.clone(),
        directory: installed.directory.clone(),
        query_prefix: model.query_prefix.clone(),
        passage_prefix: model.passage_prefix.clone(),
        first_token: model.first_token,
        max_tokens: model.context_tokens,
    })
    .unwrap()
}

/// Vectors around those of real texts.
struct Vectors {
    mean: Vec<f32>,
    /// Of each text that was embedded, less the mean.
    bases: Vec<Vec<f32>>,
}

impl Vectors {
    fn new(embedder: &BertEmbedder, topics: u64) -> Self {
        let texts: Vec<String> =
            (0..EMBEDDED).map(|base| text(base, base as u64 % topics)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut bases: Vec<Vec<f32>> =
            texts.chunks(16).flat_map(|texts| embedder.embed_passages(texts).unwrap()).collect();
        let mut mean = vec![0.0; embedder.dimensions()];
        for base in &bases {
            mean.iter_mut().zip(base).for_each(|(mean, number)| *mean += number / EMBEDDED as f32);
        }
        for base in &mut bases {
            base.iter_mut().zip(&mean).for_each(|(number, mean)| *number -= mean);
        }
        Self { mean, bases }
    }

    fn of(&self, chunk: usize, topic: u64) -> Vec<f32> {
        let mut numbers = Numbers::of(5, chunk as u64);
        let mut of_topic = Numbers::of(6, topic);
        let base = |numbers: &mut Numbers| &self.bases[numbers.below(EMBEDDED as u64) as usize];
        let (first, second, third) = (base(&mut of_topic), base(&mut of_topic), base(&mut numbers));
        let mut vector: Vec<f32> = (0..self.mean.len())
            .map(|at| {
                let noise = (numbers.uniform() + numbers.uniform() - 1.0) as f32 * 0.03;
                self.mean[at] + 0.7 * first[at] + 0.5 * second[at] + 0.5 * third[at] + noise
            })
            .collect();
        let norm = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= norm);
        vector
    }
}

async fn fill(directory: &Path, chunks: usize) {
    std::fs::create_dir_all(directory).unwrap();
    let catalog = Catalog::open(&directory.join("catalog.sqlite")).unwrap();
    let embedder = embedder();
    let index = directory.join("index");
    let index = LanceIndex::open(&index, embedder.id(), embedder.dimensions()).await.unwrap();
    catalog.set_embedder(embedder.id()).unwrap();
    let folder = catalog.add_folder("/synthetic", 0).unwrap();
    let documents = chunks / CHUNKS_OF_A_DOCUMENT;
    let topics = topic_count(documents);
    // A library that is grown from this one has more documents, but of the same topics.
    std::fs::write(directory.join(TOPICS), topics.to_string()).unwrap();
    let vectors = Vectors::new(&embedder, topics);
    let start = Instant::now();
    let paths: Vec<String> =
        (0..documents).map(|n| format!("/synthetic/{:03}/{n:06}.txt", n / 500)).collect();
    for first in (0..documents).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(documents);
        let found: Vec<FoundFile> = paths[numbers.clone()]
            .iter()
            .map(|path| FoundFile {
                path: path.clone(),
                size: 1,
                modified: 1,
                stamp: 1,
                skip: None,
            })
            .collect();
        // Nothing that was found before is below this root.
        let look = Look {
            root: "/synthetic/none",
            found: &found,
            unreadable: &[],
            newest: catalog.newest_file().unwrap(),
            now: 0,
            urgent: false,
        };
        catalog.reconcile(folder.id, &look).unwrap();
        let (mut attached, mut texts, mut embedded) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(file) = catalog.take_file(0, false).unwrap() {
            let number = paths.binary_search(&file.path).unwrap();
            let document = insert(&catalog, file.id, number, documents);
            let topic = topic(number, documents);
            for (at, chunk) in catalog.unindexed_chunks(document).unwrap().into_iter().enumerate() {
                let vector = vectors.of(number * CHUNKS_OF_A_DOCUMENT + at, topic);
                embedded.push(EmbeddedChunk { id: chunk.id, document, vector });
                texts.push(IndexedChunk { id: chunk.id, document, text: chunk.text });
            }
            attached.push(Attached { file, document, settled: true });
        }
        let ids: Vec<ChunkId> = texts.iter().map(|chunk| chunk.id).collect();
        index.add_texts(texts).await.unwrap();
        index.add_vectors(embedded).await.unwrap();
        catalog.mark_indexed(&ids).unwrap();
        catalog.mark_embedded(&ids).unwrap();
        catalog.attach(&attached).unwrap();
        eprintln!("{} documents, {:.0} s", numbers.end, start.elapsed().as_secs_f64());
    }
    let maintenance = Instant::now();
    index.maintain().await.unwrap();
    println!(
        "{}",
        serde_json::json!({
            "chunks": chunks, "seconds": start.elapsed().as_secs_f64(),
            "maintenance_seconds": maintenance.elapsed().as_secs_f64(),
            "index_bytes": index.bytes_on_disk().await.unwrap(),
        })
    );
}

async fn opened(directory: &Path) -> LanceIndex {
    let model = &default_model(ModelRole::Embedder).id;
    LanceIndex::open(&directory.join("index"), model, DIMENSIONS).await.unwrap()
}

async fn build_index(directory: &Path, rows: usize) {
    let index = opened(directory).await.with_flat_rows(rows);
    let start = Instant::now();
    index.maintain().await.unwrap();
    println!(
        "{}",
        serde_json::json!({
            "seconds": start.elapsed().as_secs_f64(),
            "vector_index": vector_index(&index).await,
        })
    );
}

async fn vector_index(index: &LanceIndex) -> serde_json::Value {
    let built = index.vector_index().await.unwrap();
    built.map_or(
        serde_json::Value::Null,
        |built| serde_json::json!({ "probes": built.probes, "recall": built.recall }),
    )
}

fn topic_count(documents: usize) -> u64 {
    (documents as u64).div_ceil(10)
}

fn insert(
    catalog: &Catalog,
    file: lectern_domain::FileId,
    number: usize,
    documents: usize,
) -> DocumentId {
    let topic = topic(number, documents);
    let mut whole = String::new();
    let mut chunks = Vec::new();
    for at in 0..CHUNKS_OF_A_DOCUMENT {
        let text = text(number * CHUNKS_OF_A_DOCUMENT + at, topic);
        let start = whole.len() as u32;
        whole += &text;
        whole.push('\n');
        let range = CharRange::new(start, start + text.len() as u32);
        chunks.push(Chunk { range, page: None, heading: Vec::new(), text });
    }
    let range = CharRange::new(0, whole.len() as u32);
    let extraction = Extraction {
        kind: DocumentKind::Txt,
        title: None,
        text: whole,
        pages: vec![Page { number: None, label: None, range }],
        blocks: Vec::new(),
        sections: Vec::new(),
        anchors: Vec::new(),
        columns: Vec::new(),
        boxes: Vec::new(),
        warnings: Vec::new(),
        scans: Vec::new(),
    };
    let hash = number.to_le_bytes();
    let new = NewDocument {
        hash: &hash,
        reader: 1,
        extraction: &extraction,
        chunks: &chunks,
        members: &[],
    };
    catalog.insert_document(file, &new).unwrap()
}

async fn measure(directory: &Path, queries: usize) {
    let options = Options { library: Some(directory.to_owned()), chat_model: None };
    let app = lectern_assembly::open(&options).unwrap();
    let status = app.status(false).unwrap();
    let topics = std::fs::read_to_string(directory.join(TOPICS)).unwrap().parse().unwrap();
    let embedder = embedder();
    let mut file = std::fs::File::create(directory.join("queries.jsonl")).unwrap();
    let questions: Vec<String> = (0..queries).map(|number| question(number, topics)).collect();
    let mut embedding = Vec::new();
    for question in &questions {
        let start = Instant::now();
        let vector = embedder.embed_query(question).unwrap();
        embedding.push(start.elapsed().as_secs_f64() * 1e3);
        let terms = LanceIndex::terms(question);
        writeln!(file, "{}", serde_json::json!({ "terms": terms, "vector": vector })).unwrap();
    }
    let mut report = serde_json::json!({ "chunks": status.chunks });
    report["vector_index"] = vector_index(&opened(directory).await).await;
    report["embedding"] = percentiles(embedding);
    let folder = vec!["/synthetic/003".to_owned()];
    for (name, mode, within) in [
        ("search", SearchMode::Hybrid, Vec::new()),
        ("by words", SearchMode::Lexical, Vec::new()),
        ("by meaning", SearchMode::Semantic, Vec::new()),
        ("in a folder", SearchMode::Hybrid, folder),
    ] {
        let mut times = Vec::new();
        // The first few load models and fill caches, as the first search of a day does.
        for question in questions.iter().take(5).chain(&questions) {
            let filter = Filter { within: within.clone(), ..Filter::default() };
            let request = SearchRequest { query: question.clone(), k: 10, mode, filter };
            let start = Instant::now();
            let reply = app.search(&request).await.unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert!(!reply.hits.is_empty() || !within.is_empty(), "{question}");
        }
        report[format!("first {name}")] = serde_json::json!(times[0]);
        report[name] = percentiles(times.split_off(5));
    }
    println!("{report}");
}

fn percentiles(mut times: Vec<f64>) -> serde_json::Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        (times[((times.len() - 1) as f64 * share).round() as usize] * 10.0).round() / 10.0
    };
    serde_json::json!({ "p50": at(0.5), "p95": at(0.95), "max": at(1.0) })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.as_slice() {
        ["fill", directory, chunks] => {
            runtime.block_on(fill(&PathBuf::from(directory), chunks.parse().unwrap()));
        }
        ["index", directory, rows] => {
            runtime.block_on(build_index(&PathBuf::from(directory), rows.parse().unwrap()));
        }
        ["measure", directory, rest @ ..] => {
            let queries = rest.first().map_or(200, |queries| queries.parse().unwrap());
            runtime.block_on(measure(&PathBuf::from(directory), queries));
        }
        _ => eprintln!(
            "search_scale fill DIRECTORY CHUNKS | search_scale measure DIRECTORY [QUERIES]"
        ),
    }
}
