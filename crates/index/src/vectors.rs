//! The index of vectors: none in small tables, where comparing all of them is quick and exact, and an inverted
//! file of quantised vectors in large ones, whose candidates are compared with the vectors themselves.
//!
//! How many of its parts a search has to visit depends on the vectors. So it is measured whenever the index is
//! built, and kept in the table's manifest beside it; where the index does not find enough, there is none.

use std::collections::HashSet;

use futures::TryStreamExt;
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_array::types::{Float32Type, Int64Type};
use lancedb::index::Index;
use lancedb::index::vector::IvfSqIndexBuilder;
use lancedb::query::{ExecutableQuery, QueryBase, Select, VectorQuery};
use lancedb::table::{OptimizeAction, OptimizeOptions};
use lancedb::{DistanceType, Error, Table};
use tracing::{debug, warn};

use crate::table::{CHUNK, VECTOR};

const VECTOR_INDEX: &str = "vector_ivf";

/// The least share of the nearest vectors that a search through the index has to find.
const RECALL: f64 = 0.95;

/// So many parts are visited that the measured share is this one: forty queries tell it to a hundredth or two.
const AIMED_RECALL: f64 = 0.98;

/// Recall is measured on so many of the nearest.
const NEAREST: usize = 10;

/// And on so many queries.
const QUERIES: usize = 40;

/// So many times the candidates that are wanted are compared with the vectors themselves.
const REFINED: u32 = 2;

/// Vectors that the index does not cover are compared one by one by every search.
const UNINDEXED_ROWS: usize = 10_000;

/// What the manifest says of the index.
const PROBES_KEY: &str = "lectern.vectors.probes";
const RECALL_KEY: &str = "lectern.vectors.recall";
const ROWS_KEY: &str = "lectern.vectors.rows";

/// The index as it was when it was built last, or was tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Built {
    /// How many parts a search visits; `None` where too little was found, and there is no index.
    pub(crate) probes: Option<usize>,
    /// The share of the nearest that were found.
    pub(crate) recall: f64,
    /// The rows that there were.
    rows: usize,
}

/// What is known of the table's index of vectors.
pub(crate) async fn built(table: &Table) -> Result<Option<Built>, Error> {
    let Some(native) = table.as_native() else { return Ok(None) };
    let config = native.manifest().await?.config;
    let number = |key: &str| config.get(key).and_then(|value| value.parse::<f64>().ok());
    Ok(number(ROWS_KEY).map(|rows| Built {
        probes: number(PROBES_KEY).map(|probes| probes as usize).filter(|&probes| probes > 0),
        recall: number(RECALL_KEY).unwrap_or(0.0),
        rows: rows as usize,
    }))
}

/// The query for the vectors nearest to `vector`: through so many parts of the index, or among all.
pub(crate) fn nearest(
    table: &Table,
    vector: &[f32],
    probes: Option<usize>,
) -> Result<VectorQuery, Error> {
    let query = table.query().nearest_to(vector)?.column(VECTOR).distance_type(DistanceType::L2);
    Ok(match probes {
        Some(probes) => query.nprobes(probes)?.refine_factor(REFINED),
        None => query.bypass_vector_index(),
    })
}

/// The cosine of two normalised vectors, from the square of their distance.
pub(crate) fn cosine(square: f32) -> f32 {
    1.0 - square / 2.0
}

/// Builds the index of a table of at least `flat_rows`, anew when it has grown by half, and brings in between
/// what is new into it.
pub(crate) async fn maintain(table: &Table, flat_rows: usize) -> Result<(), Error> {
    let rows = table.count_rows(None).await?;
    let built = built(table).await?;
    let unindexed = table.index_stats(VECTOR_INDEX).await?.map(|index| index.num_unindexed_rows);
    match (built, unindexed) {
        _ if rows < flat_rows => Ok(()),
        (Some(built), Some(unindexed)) if built.probes.is_some() && rows < built.rows / 2 * 3 => {
            if unindexed < UNINDEXED_ROWS {
                return Ok(());
            }
            let options = OptimizeOptions::merge(1).index_names(vec![VECTOR_INDEX.to_string()]);
            table.optimize(OptimizeAction::Index(options)).await?;
            Ok(())
        }
        // It was tried in vain, and there is not much that is new.
        (Some(built), None) if built.probes.is_none() && rows < built.rows * 2 => Ok(()),
        _ => build(table, rows).await,
    }
}

async fn build(table: &Table, rows: usize) -> Result<(), Error> {
    let partitions = ((rows as f64).sqrt() as u32).max(2);
    let parameters = IvfSqIndexBuilder::default()
        .distance_type(DistanceType::L2)
        .num_partitions(partitions)
        .sample_rate(64)
        .max_iterations(20);
    table
        .create_index(&[VECTOR], Index::IvfSq(parameters))
        .name(VECTOR_INDEX.to_string())
        .execute()
        .await?;
    let queries = queries(table, rows).await?;
    let mut exact = Vec::with_capacity(queries.len());
    for query in &queries {
        exact.push(ids(table, query, None).await?);
    }
    // Beyond a quarter of the parts the index spares too little.
    let most = partitions.div_ceil(4) as usize;
    let mut probes = partitions.div_ceil(64) as usize;
    let recall = loop {
        let mut found = 0;
        for (query, exact) in queries.iter().zip(&exact) {
            found += ids(table, query, Some(probes)).await?.intersection(exact).count();
        }
        let wanted: usize = exact.iter().map(HashSet::len).sum();
        let recall = found as f64 / wanted.max(1) as f64;
        debug!(rows, partitions, probes, recall, "the index of vectors was measured");
        if recall >= AIMED_RECALL || probes == most {
            break recall;
        }
        probes = (probes * 3).div_ceil(2).min(most);
    };
    let is_good = recall >= RECALL;
    keep(table, &Built { probes: is_good.then_some(probes), recall, rows }).await?;
    if !is_good {
        warn!(recall, "an index of vectors finds too little; all are compared");
        table.drop_index(VECTOR_INDEX).await?;
    }
    Ok(())
}

async fn keep(table: &Table, built: &Built) -> Result<(), Error> {
    let Some(native) = table.as_native() else { return Ok(()) };
    let values = [
        (PROBES_KEY, built.probes.unwrap_or(0).to_string()),
        (RECALL_KEY, built.recall.to_string()),
        (ROWS_KEY, built.rows.to_string()),
    ];
    native.update_config(values.map(|(key, value)| (key.to_string(), value))).await
}

/// Vectors between two of the table: as with questions, nothing in it is quite the same.
async fn queries(table: &Table, rows: usize) -> Result<Vec<Vec<f32>>, Error> {
    let count = QUERIES.min(rows / 2) * 2;
    let offsets = (0..count).map(|at| (at * rows / count) as u64).collect();
    let mut batches =
        table.take_offsets(offsets).select(Select::columns(&[VECTOR])).execute().await?;
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let lists = batch.column(0).as_fixed_size_list();
        let numbers = lists.values().as_primitive::<Float32Type>().values();
        vectors.extend(numbers.chunks(lists.value_length() as usize).map(<[f32]>::to_vec));
    }
    let between = |pair: &[Vec<f32>]| {
        let sum: Vec<f32> = pair[0].iter().zip(&pair[1]).map(|(a, b)| 0.7 * a + 0.3 * b).collect();
        let norm = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
        sum.iter().map(|number| number / norm.max(f32::MIN_POSITIVE)).collect()
    };
    Ok(vectors.chunks_exact(2).map(between).collect())
}

async fn ids(table: &Table, query: &[f32], probes: Option<usize>) -> Result<HashSet<i64>, Error> {
    let request = nearest(table, query, probes)?.select(Select::columns(&[CHUNK, "_distance"]));
    let mut batches = request.limit(NEAREST).execute().await?;
    let mut ids = HashSet::new();
    while let Some(batch) = batches.try_next().await? {
        ids.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    }
    Ok(ids)
}
