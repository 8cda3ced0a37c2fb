//! Tables on disk: opened, checked, repaired, made anew, and kept in shape.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use lancedb::arrow::arrow_array::RecordBatch;
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_array::types::Int64Type;
use lancedb::arrow::arrow_schema::SchemaRef;
use lancedb::index::scalar::{BTreeIndexBuilder, FtsIndexBuilder, FullTextSearchQuery, MatchQuery};
use lancedb::index::{Index, IndexStatistics};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::table::{CompactionOptions, Duration as Age, OptimizeAction, OptimizeOptions};
use lancedb::{Connection, ObjectStoreRegistry, Session, Table};
use lectern_domain::IndexError;
use tracing::{debug, warn};

/// The id of a row's chunk.
pub(crate) const CHUNK: &str = "chunk_id";
/// The id of the document that the chunk belongs to.
pub(crate) const DOCUMENT: &str = "document_id";
/// A chunk's terms, separated by spaces.
pub(crate) const TERMS: &str = "terms";
/// A chunk's vector.
pub(crate) const VECTOR: &str = "vector";

const TERMS_INDEX: &str = "terms_bm25";
const DOCUMENT_INDEX: &str = "document_id_btree";

/// How many of a table's versions are given up for an older one that can be
/// read, before the table is made anew.
const ROLLBACKS: usize = 16;

/// Rows that the BM25 index does not cover are cut into terms by every search. At
/// 200 words each this many take some 40 ms; half as many make adding half as
/// slow again.
const UNINDEXED_ROWS: usize = 2_048;

/// A search visits every segment of the index in turn.
const INDEX_SEGMENTS: u32 = 8;

/// A scan of fewer rows is quicker than the index that would spare it.
const ROWS_WORTH_A_BTREE: usize = 10_000;

/// Every append makes a fragment; from this many on, merging them pays.
const FRAGMENTS_WORTH_COMPACTION: usize = 8;

/// Fragments of this size are not merged any further, so that compaction does
/// not rewrite the whole table each time.
const FRAGMENT_ROWS: usize = 100_000;

/// So often a reader looks for an index that is being made anew.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Versions are kept for as long as a search in another process may read them. One that takes longer
/// opens the table anew. Each edit makes several.
const KEPT_SECONDS: i64 = 30;

/// Bytes that a table may cache, of its indices and of its metadata.
#[derive(Clone, Copy)]
pub(crate) struct Cache {
    pub(crate) index: usize,
    pub(crate) metadata: usize,
}

/// What a table is to be.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// Its columns; the metadata tell one definition from another.
    pub(crate) schema: SchemaRef,
    pub(crate) cache: Cache,
}

impl Definition {
    fn has_terms(&self) -> bool {
        self.schema.column_with_name(TERMS).is_some()
    }
}

/// Opens the table, or makes it where it is missing, of another definition, or
/// beyond repair.
///
/// A power cut can leave the newest files of a table empty, since Lance does not
/// wait for the disk. Versions that cannot be read are therefore set aside one
/// by one until an older one can be.
pub(crate) async fn open_or_create(
    directory: &Path,
    definition: &Definition,
) -> Result<Table, IndexError> {
    let name = &definition.name;
    let mut rollbacks = 0;
    // Besides the rollbacks, a table may have to be dropped and be created.
    for _ in 0..ROLLBACKS + 4 {
        // A new session each time: its caches may know the version that is gone.
        let connection = connect(directory, definition.cache).await?;
        let error = match open_apart(&connection, definition, true).await? {
            Ok(Some(table)) => return Ok(table),
            Ok(None) => {
                warn!(table = name, "the table is of another form and is made anew");
                connection.drop_table(name, &[]).await.map_err(failure)?;
                continue;
            }
            Err(lancedb::Error::TableNotFound { .. }) => {
                let schema = definition.schema.clone();
                match connection.create_empty_table(name, schema).execute().await {
                    // Made here, or by another process just before.
                    Ok(_) | Err(lancedb::Error::TableAlreadyExists { .. }) => continue,
                    Err(error) => return Err(failure(error)),
                }
            }
            Err(error) => error,
        };
        if !is_damage(&error) {
            return Err(failure(error));
        }
        warn!(table = name, %error, "the table cannot be read");
        rollbacks += 1;
        repair(directory, name, rollbacks > ROLLBACKS)
            .map_err(|error| IndexError::Damaged(error.to_string()))?;
    }
    Err(IndexError::Damaged(format!("{name} cannot be made anew")))
}

/// Opens the table, and leaves it as it is where that cannot be done.
pub(crate) async fn open_as_it_is(
    directory: &Path,
    definition: &Definition,
) -> Result<Table, IndexError> {
    let name = &definition.name;
    let mut looks = 0;
    loop {
        looks += 1;
        let connection = connect(directory, definition.cache).await?;
        return match open_apart(&connection, definition, false).await? {
            Ok(Some(table)) => Ok(table),
            Ok(None) => Err(IndexError::Damaged(format!("{name} is of another form"))),
            // The one who writes, in whichever process, may be making it anew.
            Err(lancedb::Error::IndexNotFound { .. }) if looks < LOOKS => {
                tokio::time::sleep(BETWEEN_LOOKS).await;
                continue;
            }
            Err(error) if is_damage(&error) => Err(IndexError::Damaged(error.to_string())),
            Err(error) => Err(failure(error)),
        };
    }
}

/// Opens the table in a task of its own, since Lance panics on a manifest that was cut off.
async fn open_apart(
    connection: &Connection,
    definition: &Definition,
    may_write: bool,
) -> Result<Result<Option<Table>, lancedb::Error>, IndexError> {
    match tokio::spawn(open(connection.clone(), definition.clone(), may_write)).await {
        Ok(opened) => Ok(opened),
        Err(error) if error.is_panic() => {
            Ok(Err(lancedb::Error::Runtime { message: error.to_string() }))
        }
        Err(error) => Err(IndexError::Store(error.to_string())),
    }
}

async fn connect(directory: &Path, cache: Cache) -> Result<Connection, IndexError> {
    let path =
        std::path::absolute(directory).map_err(|error| IndexError::Store(error.to_string()))?;
    let Some(path) = path.to_str() else {
        return Err(IndexError::Store(format!("{} is not a Unicode path", path.display())));
    };
    let session =
        Session::new(cache.index, cache.metadata, Arc::new(ObjectStoreRegistry::default()));
    lancedb::connect(path)
        .session(Arc::new(session))
        // Every search looks for what other processes have written.
        .read_consistency_interval(Duration::ZERO)
        .execute()
        .await
        .map_err(failure)
}

/// Drops the tables whose names begin with `prefix`, other than `kept`.
pub(crate) async fn drop_others(
    directory: &Path,
    prefix: &str,
    kept: &[String],
) -> Result<(), IndexError> {
    let connection = connect(directory, Cache { index: 0, metadata: 0 }).await?;
    let names = connection.table_names().execute().await.map_err(failure)?;
    for name in names {
        if name.starts_with(prefix) && !kept.contains(&name) {
            debug!(table = name, "dropped");
            connection.drop_table(&name, &[]).await.map_err(failure)?;
        }
    }
    Ok(())
}

/// The table, if it is of this definition. All its files have been opened once.
///
/// Without `may_write`, [`lancedb::Error::IndexNotFound`] says that it cannot be searched as it is.
async fn open(
    connection: Connection,
    definition: Definition,
    may_write: bool,
) -> Result<Option<Table>, lancedb::Error> {
    let table = connection.open_table(&definition.name).execute().await?;
    if table.schema().await? != definition.schema {
        return Ok(None);
    }
    scan_chunk_ids(&table, |_| {}).await?;
    if definition.has_terms() {
        let usable = match table.index_stats(TERMS_INDEX).await? {
            Some(_) => match probe_terms_index(&table).await {
                Ok(()) => true,
                Err(error) if is_damage(&error) => {
                    warn!(%error, "the BM25 index cannot be read and is made anew");
                    false
                }
                Err(error) => return Err(error),
            },
            None => false,
        };
        if !usable && !may_write {
            return Err(lancedb::Error::IndexNotFound { name: TERMS_INDEX.to_string() });
        }
        if !usable {
            create_terms_index(&table).await?;
        }
    }
    Ok(Some(table))
}

/// Opens every segment of the BM25 index by a search for one word.
async fn probe_terms_index(table: &Table) -> Result<(), lancedb::Error> {
    let query = MatchQuery::new("index".to_string()).with_column(Some(TERMS.to_string()));
    let found = table
        .query()
        .full_text_search(FullTextSearchQuery::new_query(query.into()))
        .select(Select::columns(&[CHUNK, "_score"]))
        .limit(1)
        .execute()
        .await?;
    found.try_for_each(|_| std::future::ready(Ok(()))).await
}

/// Without an index Lance would search by its own idea of a word, so there is one
/// from the first moment on, if an empty one.
async fn create_terms_index(table: &Table) -> Result<(), lancedb::Error> {
    let parameters = FtsIndexBuilder::default()
        .base_tokenizer("whitespace".to_string())
        .max_token_length(None)
        .lower_case(false)
        .stem(false)
        .remove_stop_words(false)
        .ascii_folding(false)
        .with_position(false)
        .memory_limit_mb(256)
        .num_workers(1);
    table
        .create_index(&[TERMS], Index::FTS(parameters))
        .name(TERMS_INDEX.to_string())
        .execute()
        .await
}

/// Calls `visit` with the chunk ids of every batch of rows.
pub(crate) async fn scan_chunk_ids(
    table: &Table,
    mut visit: impl FnMut(&[i64]),
) -> Result<(), lancedb::Error> {
    let mut batches = table.query().select(Select::columns(&[CHUNK])).execute().await?;
    while let Some(batch) = batches.try_next().await? {
        visit(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(())
}

/// Appends rows; the table's next search finds them.
pub(crate) async fn append(table: &Table, rows: RecordBatch) -> Result<(), lancedb::Error> {
    table.add(rows).execute().await?;
    match table.index_stats(TERMS_INDEX).await? {
        Some(terms) if terms.num_unindexed_rows >= UNINDEXED_ROWS => {
            index_terms(table, &terms).await
        }
        _ => Ok(()),
    }
}

/// Brings the rows that are still missing into the BM25 index.
async fn index_terms(table: &Table, terms: &IndexStatistics) -> Result<(), lancedb::Error> {
    let segments = terms.num_indices.unwrap_or(0);
    let options = if segments < INDEX_SEGMENTS {
        OptimizeOptions::append()
    } else {
        OptimizeOptions::merge(segments as usize)
    };
    let options = options.index_names(vec![TERMS_INDEX.to_string()]);
    table.optimize(OptimizeAction::Index(options)).await?;
    Ok(())
}

/// Does what makes the table's searches fast and its files few. A step that fails
/// is logged and does not keep the others from being done; the first failure is
/// returned.
pub(crate) async fn maintain(table: &Table) -> Result<(), IndexError> {
    let steps = [
        ("indexing", Box::pin(bring_indices_up_to_date(table)).await),
        ("compaction", Box::pin(compact(table)).await),
        ("pruning", Box::pin(prune(table, Age::seconds(KEPT_SECONDS))).await),
    ];
    let mut result = Ok(());
    for (step, outcome) in steps {
        if let Err(error) = outcome {
            warn!(table = table.name(), step, %error, "maintenance failed");
            result = result.and(Err(failure(error)));
        }
    }
    result
}

async fn bring_indices_up_to_date(table: &Table) -> Result<(), lancedb::Error> {
    if let Some(terms) = table.index_stats(TERMS_INDEX).await?
        && terms.num_unindexed_rows > 0
    {
        index_terms(table, &terms).await?;
    }
    match table.index_stats(DOCUMENT_INDEX).await? {
        Some(documents) if documents.num_unindexed_rows > 0 => {
            let options = OptimizeOptions::merge(1).index_names(vec![DOCUMENT_INDEX.to_string()]);
            table.optimize(OptimizeAction::Index(options)).await?;
        }
        None if table.count_rows(None).await? >= ROWS_WORTH_A_BTREE => {
            table
                .create_index(&[DOCUMENT], Index::BTree(BTreeIndexBuilder::default()))
                .name(DOCUMENT_INDEX.to_string())
                .execute()
                .await?;
        }
        _ => {}
    }
    Ok(())
}

/// Leaves no removed row on the disk, in the table, its indices or its older versions.
pub(crate) async fn purge(table: &Table) -> Result<(), IndexError> {
    let options = CompactionOptions {
        target_rows_per_fragment: FRAGMENT_ROWS,
        materialize_deletions_threshold: 0.0,
        ..Default::default()
    };
    let compaction = OptimizeAction::Compact { options, remap_options: None };
    Box::pin(table.optimize(compaction)).await.map_err(failure)?;
    // Merging indices need not drop the words that only removed rows had.
    if table.index_stats(TERMS_INDEX).await.map_err(failure)?.is_some() {
        Box::pin(create_terms_index(table)).await.map_err(failure)?;
    }
    Box::pin(bring_indices_up_to_date(table)).await.map_err(failure)?;
    Box::pin(prune(table, Age::zero())).await.map_err(failure)
}

async fn compact(table: &Table) -> Result<(), lancedb::Error> {
    let statistics = table.stats().await?;
    let deleted = statistics.num_deleted_rows.unwrap_or(0);
    if statistics.fragment_stats.num_small_fragments < FRAGMENTS_WORTH_COMPACTION
        && deleted * 10 <= statistics.num_rows
    {
        return Ok(());
    }
    let options =
        CompactionOptions { target_rows_per_fragment: FRAGMENT_ROWS, ..Default::default() };
    let done = table.optimize(OptimizeAction::Compact { options, remap_options: None }).await?;
    debug!(table = table.name(), ?done, "compacted");
    Ok(())
}

async fn prune(table: &Table, age: Age) -> Result<(), lancedb::Error> {
    let action = OptimizeAction::Prune {
        older_than: Some(age),
        delete_unverified: None,
        error_if_tagged_old_versions: None,
    };
    table.optimize(action).await?;
    Ok(())
}

/// Gives up the table's newest version, or, where it is the last one or
/// `completely` says so, the table. What is given up is rebuilt by the catalogue.
fn repair(directory: &Path, name: &str, completely: bool) -> std::io::Result<()> {
    let table = directory.join(format!("{name}.lance"));
    let versions = table.join("_versions");
    let manifests = manifests(&versions).unwrap_or_default();
    match manifests.first() {
        Some(newest) if !completely && manifests.len() > 1 => {
            let aside = newest.with_extension("unreadable");
            warn!(version = %newest.display(), "a version of the table is set aside");
            std::fs::rename(newest, aside)?;
            // It may name the version that is gone; it is written again.
            match std::fs::remove_file(versions.join("latest_version_hint.json")) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        _ => {
            warn!(table = name, "the table is made anew");
            std::fs::remove_dir_all(table)
        }
    }
}

/// The manifests of a table, newest first. Their names are the versions, counted
/// down from the greatest number and padded with zeros.
fn manifests(versions: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut manifests = Vec::new();
    for entry in std::fs::read_dir(versions)? {
        let path = entry?.path();
        let is_version = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()));
        if is_version && path.extension().is_some_and(|extension| extension == "manifest") {
            manifests.push(path);
        }
    }
    manifests.sort_unstable();
    Ok(manifests)
}

/// Whether the files are at fault, and not the machine they are on: what the
/// system refuses (rights, space, too many open files) may work another time.
fn is_damage(error: &lancedb::Error) -> bool {
    !system_errors(error)
        .any(|error| error.raw_os_error().is_some() && error.kind() != std::io::ErrorKind::NotFound)
}

fn system_errors(error: &lancedb::Error) -> impl Iterator<Item = &std::io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

fn causes(error: &lancedb::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&error| error.source())
}

/// The failure of a read or a write, in the domain's words.
pub(crate) fn failure(error: lancedb::Error) -> IndexError {
    use std::io::ErrorKind;
    let unreadable = system_errors(&error).any(|error| {
        matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData
        )
    });
    if unreadable {
        IndexError::Damaged(error.to_string())
    } else {
        IndexError::Store(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_the_system_refuses_is_no_damage() {
        let system = |code| lancedb::Error::CreateDir {
            path: String::new(),
            source: io::Error::from_raw_os_error(code),
        };
        let content = lancedb::Error::CreateDir {
            path: String::new(),
            source: io::Error::new(io::ErrorKind::InvalidData, "no footer"),
        };
        let panicked = lancedb::Error::Runtime { message: "task panicked".to_string() };
        let cases = [
            ("no such file", system(2), true),
            ("permission denied", system(13), false),
            ("too many open files", system(24), false),
            ("no space left", system(28), false),
            ("bad content", content, true),
            ("a panic", panicked, true),
        ];
        for (what, error, expected) in cases {
            assert_eq!(is_damage(&error), expected, "{what}");
        }
    }
}
