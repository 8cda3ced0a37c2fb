use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use lancedb::Table;
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_array::types::{Float32Type, Int64Type};
use lancedb::arrow::arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use lancedb::arrow::arrow_schema::{ArrowError, DataType, Field, Schema};
use lancedb::index::scalar::{FtsQuery, FullTextSearchQuery, MatchQuery, Operator};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lectern_domain::{
    ChunkId, ChunkIndex, ChunkMatch, DocumentId, EmbeddedChunk, IndexError, IndexedChunk, Scope,
};
use tokio::sync::Mutex;

use crate::analyze::{self, QueryTerms};
use crate::table::{
    self, CHUNK, Cache, DOCUMENT, Definition, TERMS, VECTOR, failure, open_or_create,
};
use crate::vectors;

/// To be raised whenever the tables or the terms of a text change.
const FORM: &str = "3";

/// What the names of tables of vectors begin with.
const VECTORS: &str = "vectors_";

const MIB: usize = 1 << 20;

/// The most documents or chunks, or ranges of them, that one filter names.
const FILTER_RANGES: usize = 5_000;

/// A scope of more ranges is looked for among what is found everywhere first: reading so long a filter
/// takes longer than the search.
const SHORT_FILTER: usize = 64;

/// So many times the candidates are looked for everywhere where those of a scope are wanted, if it is not known how
/// many there are.
const WIDER: usize = 4;

/// Beyond so many times the candidates, comparing with all vectors of the scope is quicker.
const WIDEST: usize = 32;

/// Fewer vectors are compared one by one, which is exact and needs nothing to be built. It takes some 20 ms for
/// so many; see `docs/benchmarks.md`.
const FLAT_ROWS: usize = 10_000;

/// A byte for each number of a vector, so that the index of a million chunks is read once and not by each search. A
/// smaller library has a smaller index.
const VECTOR_CACHE: usize = 512 * MIB;

/// A chunk index in a directory.
///
/// Several processes may have the directory open. One of them may write; the
/// others see what it has written at their next search.
pub struct LanceIndex {
    directory: PathBuf,
    dimensions: usize,
    texts: Table,
    vectors: Table,
    /// From so many vectors on there is an index of them.
    flat_rows: usize,
    /// Held by whoever writes: Lance would let two writers fail on each other.
    writing: Mutex<()>,
}

/// Whether a search of vectors goes through their index, where there is one.
#[derive(Clone, Copy)]
enum Reach {
    Index,
    All,
}

struct FoundRow {
    found: ChunkMatch,
    document: i64,
}

/// What was found, best first, each chunk once.
struct Best {
    rows: Vec<FoundRow>,
    /// Nothing else matches.
    is_complete: bool,
}

impl Best {
    fn chunks(self) -> Vec<ChunkMatch> {
        self.rows.into_iter().map(|row| row.found).collect()
    }
}

/// How vectors are searched through their index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorIndex {
    /// How many of its parts a search visits.
    pub probes: usize,
    /// The share of the ten nearest that it found when it was built.
    pub recall: f64,
}

/// What a search goes by.
#[derive(Clone, Copy)]
enum Search<'a> {
    Terms(&'a QueryTerms),
    Vector(&'a [f32]),
}

impl LanceIndex {
    /// Opens the index in `directory`, and makes what is missing or cannot be
    /// read. Vectors are kept by embedder, each of `dimensions` numbers. Only for the one
    /// process that writes.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written to, or the files keep being
    /// unreadable.
    pub async fn open(
        directory: &Path,
        embedder_id: &str,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        std::fs::create_dir_all(directory).map_err(|error| {
            IndexError::Store(format!("{} cannot be made: {error}", directory.display()))
        })?;
        let (texts, vectors) = definitions(embedder_id, dimensions)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            dimensions,
            texts: Box::pin(open_or_create(directory, &texts)).await?,
            vectors: Box::pin(open_or_create(directory, &vectors)).await?,
            flat_rows: FLAT_ROWS,
            writing: Mutex::new(()),
        })
    }

    /// Opens the index in `directory` to search it, and changes nothing.
    ///
    /// # Errors
    ///
    /// When something is missing or cannot be read.
    pub async fn open_to_search(
        directory: &Path,
        embedder_id: &str,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        let (texts, vectors) = definitions(embedder_id, dimensions)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            dimensions,
            texts: Box::pin(table::open_as_it_is(directory, &texts)).await?,
            vectors: Box::pin(table::open_as_it_is(directory, &vectors)).await?,
            flat_rows: FLAT_ROWS,
            writing: Mutex::new(()),
        })
    }

    /// What a query is searched by, the terms of the table's rows, separated by spaces, each as often as
    /// it counts; so that another program can ask the same of the same table.
    pub fn terms(query: &str) -> String {
        analyze::query_terms(query).repeated()
    }

    /// The bytes that the index takes on disk, older versions included.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub async fn bytes_on_disk(&self) -> Result<u64, IndexError> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || bytes_below(&directory))
            .await
            .map_err(|error| IndexError::Store(error.to_string()))?
            .map_err(|error| IndexError::Store(error.to_string()))
    }

    /// The same with an index of the vectors from so many rows on.
    #[must_use]
    pub fn with_flat_rows(self, flat_rows: usize) -> Self {
        Self { flat_rows, ..self }
    }

    /// The index of vectors; `None` where there is none, and all vectors are compared.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub async fn vector_index(&self) -> Result<Option<VectorIndex>, IndexError> {
        let built = vectors::built(&self.vectors).await.map_err(failure)?;
        Ok(built.and_then(|built| {
            built.probes.map(|probes| VectorIndex { probes, recall: built.recall })
        }))
    }

    /// The best `k` chunks, unique, best first, ties by chunk id.
    async fn best(
        &self,
        search: Search<'_>,
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        if k == 0 {
            return Ok(Vec::new());
        }
        let mut matches = match scope {
            Scope::All => self.best_of_filter(search, k, None, Reach::Index).await?.chunks(),
            Scope::Documents(documents) => self.best_of_documents(search, k, documents).await?,
        };
        matches.truncate(k);
        Ok(matches)
    }

    async fn best_of_documents(
        &self,
        search: Search<'_>,
        k: usize,
        documents: &[DocumentId],
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        let documents: BTreeSet<i64> = documents.iter().map(|document| document.0).collect();
        let ranges = ranges(documents.iter().copied());
        if let Some(wider) = self.wider(search, &ranges).await? {
            let found = self.best_of_filter(search, k * wider, None, Reach::Index).await?;
            let last = found.rows.last().map(|row| row.found.score);
            let mut inside = found.rows;
            inside.retain(|row| documents.contains(&row.document));
            let decided = found.is_complete
                || inside.get(k - 1).zip(last).is_some_and(|(kth, last)| kth.found.score > last);
            if decided {
                return Ok(inside.into_iter().map(|row| row.found).collect());
            }
        }
        let mut rows = Vec::new();
        for filter in filters(DOCUMENT, &ranges) {
            rows.extend(self.best_of_filter(search, k, Some(&filter), Reach::All).await?.rows);
        }
        Ok(unique_best_first(rows).into_iter().map(|row| row.found).collect())
    }

    /// How many times the candidates to look for everywhere, so that enough of them are in the scope; `None` where
    /// it is better to look there alone.
    async fn wider(
        &self,
        search: Search<'_>,
        scope: &[(i64, i64)],
    ) -> Result<Option<usize>, IndexError> {
        let is_long = scope.len() > SHORT_FILTER;
        let is_indexed = match search {
            Search::Terms(_) => false,
            Search::Vector(_) => self.probes().await?.is_some(),
        };
        if is_long || !is_indexed {
            return Ok(is_long.then_some(WIDER));
        }
        let count = async |filter| self.vectors.count_rows(filter).await.map_err(failure);
        let mut inside = 0;
        for filter in filters(DOCUMENT, scope) {
            inside += count(Some(filter)).await?;
        }
        if inside <= self.flat_rows {
            return Ok(None);
        }
        // Half as many again, since they are not spread evenly.
        let wider = (count(None).await? * 3).div_ceil(inside * 2);
        Ok(Some(wider).filter(|wider| *wider <= WIDEST))
    }

    /// At least the best `k` chunks, more where there is a tie at the `k`-th. A
    /// killed writer can leave a chunk twice, so `k` rows may not be enough.
    async fn best_of_filter(
        &self,
        search: Search<'_>,
        k: usize,
        filter: Option<&str>,
        reach: Reach,
    ) -> Result<Best, IndexError> {
        let probes = match (search, reach) {
            (Search::Vector(_), Reach::Index) => self.probes().await?,
            _ => None,
        };
        let mut limit = k.saturating_add(16);
        loop {
            let mut rows = self.rows(search, limit, filter, probes).await;
            if let (Err(error), Some(_)) = (&rows, probes) {
                tracing::warn!(%error, "the index of vectors cannot be read; all are compared");
                rows = self.rows(search, limit, filter, None).await;
            }
            let rows = rows.map_err(failure)?;
            let is_complete = rows.len() < limit;
            let rows = unique_best_first(rows);
            let decided = match (rows.get(k - 1), rows.last()) {
                (Some(kth), Some(last)) => kth.found.score > last.found.score,
                _ => false,
            };
            if is_complete || decided || limit > k.saturating_mul(16).saturating_add(1_024) {
                return Ok(Best { rows, is_complete });
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// How many parts of the index of vectors a search visits; `None` where there is none.
    async fn probes(&self) -> Result<Option<usize>, IndexError> {
        Ok(self.vector_index().await?.map(|index| index.probes))
    }

    async fn rows(
        &self,
        search: Search<'_>,
        limit: usize,
        filter: Option<&str>,
        probes: Option<usize>,
    ) -> Result<Vec<FoundRow>, lancedb::Error> {
        let mut batches = match search {
            Search::Terms(terms) => {
                let mut request = self
                    .texts
                    .query()
                    .full_text_search(FullTextSearchQuery::new_query(lexical_query(terms)))
                    .select(Select::columns(&[CHUNK, DOCUMENT, "_score"]))
                    .limit(limit);
                if let Some(filter) = filter {
                    request = request.only_if(filter);
                }
                Box::pin(request.execute()).await?
            }
            Search::Vector(vector) => {
                let mut request = vectors::nearest(&self.vectors, vector, probes)?
                    .select(Select::columns(&[CHUNK, DOCUMENT, "_distance"]))
                    .limit(limit);
                if let Some(filter) = filter {
                    request = request.only_if(filter);
                }
                Box::pin(request.execute()).await?
            }
        };
        let mut rows = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let chunks = batch.column(0).as_primitive::<Int64Type>().values();
            let documents = batch.column(1).as_primitive::<Int64Type>().values();
            let scores = batch.column(2).as_primitive::<Float32Type>().values();
            for ((&chunk, &document), &score) in chunks.iter().zip(documents).zip(scores) {
                let score = match search {
                    Search::Terms(terms) => score / terms.scale() as f32,
                    Search::Vector(_) => vectors::cosine(score),
                };
                rows.push(FoundRow {
                    found: ChunkMatch { chunk: ChunkId(chunk), score },
                    document,
                });
            }
        }
        Ok(rows)
    }

    /// Deletes the rows that these conditions name.
    async fn delete(&self, filters: impl Iterator<Item = String>) -> Result<(), IndexError> {
        let _writing = self.writing.lock().await;
        for filter in filters {
            Box::pin(self.texts.delete(filter.as_str())).await.map_err(failure)?;
            Box::pin(self.vectors.delete(filter.as_str())).await.map_err(failure)?;
        }
        Ok(())
    }

    fn checked<'a>(&self, vector: &'a [f32]) -> Result<&'a [f32], IndexError> {
        if vector.len() != self.dimensions {
            return Err(IndexError::Store(format!(
                "a vector has {} numbers instead of {}",
                vector.len(),
                self.dimensions
            )));
        }
        if !vector.iter().all(|number| number.is_finite()) {
            return Err(IndexError::Store("a vector is not finite".to_string()));
        }
        Ok(vector)
    }
}

#[async_trait]
impl ChunkIndex for LanceIndex {
    async fn add_texts(&self, chunks: Vec<IndexedChunk>) -> Result<(), IndexError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let terms: StringArray =
            chunks.iter().map(|chunk| Some(analyze::text_terms(&chunk.text))).collect();
        let ids = chunks.iter().map(|chunk| (chunk.id, chunk.document));
        let batch = rows(&self.texts, ids, Arc::new(terms)).await?;
        let _writing = self.writing.lock().await;
        Box::pin(table::append(&self.texts, batch)).await.map_err(failure)
    }

    async fn add_vectors(&self, chunks: Vec<EmbeddedChunk>) -> Result<(), IndexError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut numbers = Vec::with_capacity(chunks.len() * self.dimensions);
        for chunk in &chunks {
            numbers.extend_from_slice(self.checked(&chunk.vector)?);
        }
        let DataType::FixedSizeList(item, length) = vector_type(self.dimensions)? else {
            return Err(IndexError::Store("vectors are not lists".to_string()));
        };
        let numbers = Arc::new(Float32Array::from(numbers));
        let vectors =
            FixedSizeListArray::try_new(item, length, numbers, None).map_err(malformed)?;
        let ids = chunks.iter().map(|chunk| (chunk.id, chunk.document));
        let batch = rows(&self.vectors, ids, Arc::new(vectors)).await?;
        let _writing = self.writing.lock().await;
        Box::pin(table::append(&self.vectors, batch)).await.map_err(failure)
    }

    async fn remove(&self, documents: &[DocumentId]) -> Result<(), IndexError> {
        let documents: BTreeSet<i64> = documents.iter().map(|document| document.0).collect();
        self.delete(filters(DOCUMENT, &ranges(documents.into_iter()))).await
    }

    async fn remove_chunks(&self, chunks: &[ChunkId]) -> Result<(), IndexError> {
        let chunks: BTreeSet<i64> = chunks.iter().map(|chunk| chunk.0).collect();
        self.delete(filters(CHUNK, &ranges(chunks.into_iter()))).await
    }

    async fn lexical(
        &self,
        query: &str,
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        let terms = analyze::query_terms(query);
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        Box::pin(self.best(Search::Terms(&terms), k, scope)).await
    }

    async fn semantic(
        &self,
        vector: &[f32],
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        let vector = self.checked(vector)?;
        Box::pin(self.best(Search::Vector(vector), k, scope)).await
    }

    async fn text_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        chunk_ids(&self.texts).await
    }

    async fn vector_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        chunk_ids(&self.vectors).await
    }

    async fn maintain(&self) -> Result<(), IndexError> {
        let _writing = self.writing.lock().await;
        let texts = Box::pin(table::maintain(&self.texts)).await;
        let vectors = Box::pin(table::maintain(&self.vectors)).await;
        let index = Box::pin(vectors::maintain(&self.vectors, self.flat_rows)).await;
        texts.and(vectors).and(index.map_err(failure))
    }

    async fn purge(&self, embedders: &[String]) -> Result<(), IndexError> {
        let _writing = self.writing.lock().await;
        let mut kept = vec![self.vectors.name().to_string()];
        kept.extend(embedders.iter().map(|embedder| vectors_of(embedder)));
        Box::pin(table::drop_others(&self.directory, VECTORS, &kept)).await?;
        Box::pin(table::purge(&self.texts)).await?;
        Box::pin(table::purge(&self.vectors)).await
    }
}

/// Any of the terms, by BM25.
fn lexical_query(terms: &QueryTerms) -> FtsQuery {
    MatchQuery::new(terms.repeated())
        .with_column(Some(TERMS.to_string()))
        .with_fuzziness(Some(0))
        .with_operator(Operator::Or)
        .into()
}

/// What the table of texts and the table of vectors are to be.
fn definitions(
    embedder_id: &str,
    dimensions: usize,
) -> Result<(Definition, Definition), IndexError> {
    let texts = Definition {
        name: "chunks".to_string(),
        schema: schema(Field::new(TERMS, DataType::Utf8, false), []),
        cache: Cache { index: 128 * MIB, metadata: 16 * MIB },
    };
    let embedder = ("lectern.embedder".to_string(), embedder_id.to_string());
    let vectors = Definition {
        name: vectors_of(embedder_id),
        schema: schema(Field::new(VECTOR, vector_type(dimensions)?, false), [embedder]),
        cache: Cache { index: VECTOR_CACHE, metadata: 16 * MIB },
    };
    Ok((texts, vectors))
}

/// The name of the table of an embedder's vectors.
fn vectors_of(embedder_id: &str) -> String {
    format!("{VECTORS}{}", table_name(embedder_id))
}

async fn chunk_ids(table: &Table) -> Result<HashSet<ChunkId>, IndexError> {
    let mut chunks = HashSet::new();
    table::scan_chunk_ids(table, |ids| chunks.extend(ids.iter().copied().map(ChunkId)))
        .await
        .map_err(failure)?;
    Ok(chunks)
}

/// One row per chunk, in the table's schema, with `content` as the last column.
async fn rows(
    table: &Table,
    ids: impl Iterator<Item = (ChunkId, DocumentId)>,
    content: ArrayRef,
) -> Result<RecordBatch, IndexError> {
    let (chunks, documents): (Vec<i64>, Vec<i64>) =
        ids.map(|(chunk, document)| (chunk.0, document.0)).unzip();
    let schema = table.schema().await.map_err(failure)?;
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(chunks)), Arc::new(Int64Array::from(documents)), content];
    RecordBatch::try_new(schema, columns).map_err(malformed)
}

fn schema(content: Field, metadata: impl IntoIterator<Item = (String, String)>) -> Arc<Schema> {
    let mut metadata: HashMap<String, String> = metadata.into_iter().collect();
    metadata.insert("lectern.form".to_string(), FORM.to_string());
    let fields = vec![
        Field::new(CHUNK, DataType::Int64, false),
        Field::new(DOCUMENT, DataType::Int64, false),
        content,
    ];
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn vector_type(dimensions: usize) -> Result<DataType, IndexError> {
    let length = i32::try_from(dimensions)
        .ok()
        .filter(|&length| length > 0)
        .ok_or_else(|| IndexError::Store(format!("vectors of {dimensions} numbers")))?;
    let item = Field::new("item", DataType::Float32, true);
    Ok(DataType::FixedSizeList(Arc::new(item), length))
}

/// The id as a part of a file name: other characters than letters and digits
/// become their code, so that two ids never share a table.
fn table_name(embedder_id: &str) -> String {
    let mut name = String::new();
    for byte in embedder_id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => name.push(char::from(byte)),
            byte => name.push_str(&format!("_{byte:02x}")),
        }
    }
    name
}

/// The ids, which ascend, as ranges of those that follow each other; both ends belong to a range.
fn ranges(ids: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if id - *last == 1 => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    ranges
}

/// Conditions that together name all these values of a column, each of them once.
fn filters(column: &str, ranges: &[(i64, i64)]) -> std::vec::IntoIter<String> {
    let filters: Vec<String> = ranges
        .chunks(FILTER_RANGES)
        .map(|ranges| {
            let (single, longer): (Vec<_>, Vec<_>) =
                ranges.iter().partition(|(first, last)| first == last);
            let single: Vec<String> = single.iter().map(|(id, _)| id.to_string()).collect();
            let mut conditions: Vec<String> = longer
                .iter()
                .map(|(first, last)| format!("({column} >= {first} AND {column} <= {last})"))
                .collect();
            if !single.is_empty() {
                conditions.push(format!("{column} IN ({})", single.join(", ")));
            }
            conditions.join(" OR ")
        })
        .collect();
    filters.into_iter()
}

fn unique_best_first(mut rows: Vec<FoundRow>) -> Vec<FoundRow> {
    rows.sort_unstable_by(|a, b| {
        b.found.score.total_cmp(&a.found.score).then(a.found.chunk.cmp(&b.found.chunk))
    });
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.found.chunk));
    rows
}

fn malformed(error: ArrowError) -> IndexError {
    IndexError::Store(error.to_string())
}

fn bytes_below(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Pruned in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
