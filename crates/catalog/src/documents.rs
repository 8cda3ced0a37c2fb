//! Documents, pages and chunks, and the queues of the two indices.

use std::collections::HashSet;

use lectern_domain::{
    Anchor, Block, CharRange, Chunk, ChunkId, ColumnAnchor, DocumentId, DocumentKind, Extraction,
    FileId, LineUnit, Page, TextBox, char_slice,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Catalog, CatalogError, Result, ScopeFilter, files::scope_condition, forgetting};

/// The setting that names the embedder whose vectors answer.
const EMBEDDER_SETTING: &str = "embedder";
/// The setting that says how many vectors there are of the embedder that is to take its place.
const SUCCESSOR_SETTING: &str = "successor_vectors";

/// What was read from a file, on its way into the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument<'a> {
    /// SHA-256 of the file's bytes.
    pub hash: &'a [u8],
    /// The version of the readers.
    pub reader: u32,
    /// What was read.
    pub extraction: &'a Extraction,
    /// Its chunks, in order.
    pub chunks: &'a [Chunk],
    /// What it holds, where it is an archive.
    pub members: &'a [Member],
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path below the archive's.
    pub path: String,
    /// Why it cannot be read, where that is known.
    pub failure: Option<String>,
}

/// A document without its text.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRecord {
    /// Its id.
    pub id: DocumentId,
    /// The kind it was read as.
    pub kind: DocumentKind,
    /// Its own title.
    pub title: Option<String>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// A page and its place in the text.
pub type PageRecord = Page;

/// Where a character stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What the document is.
    pub kind: DocumentKind,
    /// The line, row or second, as [`Anchor`] counts them.
    pub line: Option<u32>,
    /// The column of the sheet, from 1.
    pub column: Option<u32>,
}

/// A chunk that waits for one of the indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedChunk {
    /// Its id.
    pub id: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The path of a file that holds it; empty where none does any more.
    pub path: String,
    /// The document's own title.
    pub title: Option<String>,
    /// The headings above it.
    pub heading: Vec<String>,
    /// Its text.
    pub text: String,
}

/// A chunk of a document that a file of the library holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRecord {
    /// Its id.
    pub id: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Absolute path of a file that holds the document.
    pub path: String,
    /// The document's title.
    pub title: Option<String>,
    /// The chunk.
    pub chunk: Chunk,
}

impl Catalog {
    /// The document with this content, if it was read before by these readers.
    /// It is then kept for `file`, as [`Catalog::insert_document`] would.
    pub fn reuse_document(
        &self,
        file: FileId,
        hash: &[u8],
        kind: DocumentKind,
        reader: u32,
    ) -> Result<Option<DocumentId>> {
        let connection = self.lock();
        let found = document_of(&connection, hash, kind.as_str(), reader)?;
        if let Some(document) = found {
            set_incoming(&connection, file, document)?;
        }
        Ok(found)
    }

    /// As [`Catalog::reuse_document`], of whatever kind it is.
    pub fn reuse_unlocked(
        &self,
        file: FileId,
        hash: &[u8],
        reader: u32,
    ) -> Result<Option<DocumentId>> {
        let connection = self.lock();
        let found = connection
            .query_row(
                "SELECT id FROM document WHERE hash = ?1 AND reader = ?2",
                params![hash, reader],
                |row| Ok(DocumentId(row.get(0)?)),
            )
            .optional()?;
        if let Some(document) = found {
            set_incoming(&connection, file, document)?;
        }
        Ok(found)
    }

    /// Keeps a document that was read from `file`, with its pages and chunks. It is
    /// not searchable before [`Catalog::attach`].
    pub fn insert_document(&self, file: FileId, new: &NewDocument<'_>) -> Result<DocumentId> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        // It may have been read from another file meanwhile.
        let kind = new.extraction.kind.as_str();
        let id = match document_of(&transaction, new.hash, kind, new.reader)? {
            Some(known) => known,
            None => insert(&transaction, new)?,
        };
        set_incoming(&transaction, file, id)?;
        transaction.commit()?;
        Ok(id)
    }

    /// Keeps documents that were read with a password from the files at these paths, which could
    /// not be read without, and queues the files before all others at `now` (seconds since 1970):
    /// their contents are then known. What is in an archive that was opened with them waits for it
    /// to be listed. Returns whether there was such a file.
    pub fn keep_unlocked(&self, opened: &[(&str, NewDocument<'_>)], now: i64) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut any = false;
        for (path, new) in opened {
            let kind = new.extraction.kind.as_str();
            let id = match document_of(&transaction, new.hash, kind, new.reader)? {
                Some(known) => known,
                None => insert(&transaction, new)?,
            };
            let held = transaction.execute(
                "UPDATE file SET state = 'pending', reason = NULL, needs = NULL, retry_at = NULL,
                     urgent = ?3, incoming = ?2
                 WHERE path = ?1 AND state = 'failed' AND needs = 'password'",
                params![path, id.0, now],
            )?;
            any |= held > 0;
            if held == 0 {
                transaction.execute("INSERT OR IGNORE INTO loose VALUES (?1)", [id.0])?;
            }
        }
        if any {
            transaction.commit()?;
        }
        Ok(any)
    }

    /// The next documents in use whose language nobody has looked at, each with some of its text: so many
    /// characters from its middle.
    pub fn documents_without_language(
        &self,
        limit: usize,
        characters: usize,
    ) -> Result<Vec<(DocumentId, String)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, substr(text, max(1, (length(text) - ?2) / 2), ?2) FROM document
             WHERE language IS NULL
               AND EXISTS (SELECT 1 FROM file WHERE file.document = document.id) LIMIT ?1",
        )?;
        let rows = statement.query_map(params![limit as i64, characters as i64], |row| {
            Ok((DocumentId(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps the languages of documents, as ISO 639-1 codes; none where it cannot be told.
    pub fn set_languages(&self, languages: &[(DocumentId, Option<&str>)]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        {
            let mut update =
                transaction.prepare_cached("UPDATE document SET language = ?2 WHERE id = ?1")?;
            for (document, language) in languages {
                update.execute(params![document.0, language.unwrap_or_default()])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The chunks of `document` that the lexical index lacks.
    pub fn unindexed_chunks(&self, document: DocumentId) -> Result<Vec<QueuedChunk>> {
        queued(&self.lock(), "chunk.document = ?1 AND indexed = 0", document.0)
    }

    /// The next chunks that the lexical index lacks, of documents in use.
    pub fn chunks_to_index(&self, limit: usize) -> Result<Vec<QueuedChunk>> {
        queued(
            &self.lock(),
            "indexed = 0 AND EXISTS (SELECT 1 FROM file WHERE file.document = chunk.document)
             ORDER BY chunk.id LIMIT ?1",
            limit as i64,
        )
    }

    /// The next chunks without a vector, of documents in use and not of paused folders
    /// only, oldest first.
    pub fn chunks_to_embed(&self, limit: usize) -> Result<Vec<QueuedChunk>> {
        queued(
            &self.lock(),
            "embedded = 0 AND EXISTS (SELECT 1 FROM file WHERE file.document = chunk.document
                 AND folder NOT IN (SELECT id FROM folder WHERE paused))
             ORDER BY chunk.id LIMIT ?1",
            limit as i64,
        )
    }

    /// The next chunks after `after`, by id, of documents in use, whether or not they have a
    /// vector.
    pub fn chunks_after(&self, after: ChunkId, limit: usize) -> Result<Vec<QueuedChunk>> {
        let condition = format!(
            "chunk.id > ?1 AND EXISTS (SELECT 1 FROM file WHERE file.document = chunk.document)
             ORDER BY chunk.id LIMIT {limit}"
        );
        queued(&self.lock(), &condition, after.0)
    }

    /// Has another embedder answer from now on, whose vectors are those of `vectors`.
    pub fn swap_embedder(&self, embedder: &str, vectors: &HashSet<ChunkId>) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        {
            let mut select = transaction.prepare("SELECT id, embedded FROM chunk")?;
            let mut update = transaction.prepare("UPDATE chunk SET embedded = ?2 WHERE id = ?1")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let (id, was): (i64, bool) = (row.get(0)?, row.get(1)?);
                let is = vectors.contains(&ChunkId(id));
                if was != is {
                    update.execute(params![id, is])?;
                }
            }
        }
        transaction.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [EMBEDDER_SETTING, embedder],
        )?;
        transaction.execute("DELETE FROM setting WHERE name = ?1", [SUCCESSOR_SETTING])?;
        // The vectors of the one before are of no use any more.
        forgetting::ask_to_purge(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// The embedder whose vectors answer, by its id, where one was ever chosen.
    pub fn embedder(&self) -> Result<Option<String>> {
        self.setting(EMBEDDER_SETTING)
    }

    /// Chooses the embedder of a library that has no vectors yet.
    pub fn set_embedder(&self, embedder: &str) -> Result<()> {
        self.set_setting(EMBEDDER_SETTING, embedder)
    }

    /// How many chunks have vectors of the embedder that is to take the other one's place, as far
    /// as its maker has said.
    pub fn successor_vectors(&self) -> Result<u64> {
        let said = self.setting(SUCCESSOR_SETTING)?;
        Ok(said.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Says how many there are.
    pub fn set_successor_vectors(&self, count: usize) -> Result<()> {
        self.set_setting(SUCCESSOR_SETTING, &count.to_string())
    }

    /// The texts of at most so many chunks, taken evenly from all there are.
    pub fn sample_texts(&self, most: u32) -> Result<Vec<String>> {
        let connection = self.lock();
        let ends = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM chunk";
        let (first, last): (i64, i64) =
            connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let step = usize::try_from((last - first) / i64::from(most.max(1)) + 1).unwrap_or(1);
        let mut next =
            connection.prepare("SELECT text FROM chunk WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        let texts = (first..=last).step_by(step).map(|id| next.query_row([id], |row| row.get(0)));
        Ok(texts.collect::<rusqlite::Result<_>>()?)
    }

    /// The next chunks without a vector of files that somebody edits or looks at, the
    /// latest first.
    pub fn urgent_chunks(&self, limit: usize) -> Result<Vec<QueuedChunk>> {
        let connection = self.lock();
        let urgent: bool = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM file WHERE urgent > 0)")?
            .query_row([], |row| row.get(0))?;
        if !urgent {
            return Ok(Vec::new());
        }
        queued(
            &connection,
            "embedded = 0 AND chunk.document IN (SELECT document FROM file WHERE urgent > 0)
             ORDER BY (SELECT max(urgent) FROM file WHERE file.document = chunk.document) DESC,
                      chunk.id LIMIT ?1",
            limit as i64,
        )
    }

    /// Notes that the lexical index holds these chunks.
    pub fn mark_indexed(&self, chunks: &[ChunkId]) -> Result<()> {
        mark(&mut self.lock(), "UPDATE chunk SET indexed = 1 WHERE id = ?1", chunks)
    }

    /// Notes that the vector index holds these chunks.
    pub fn mark_embedded(&self, chunks: &[ChunkId]) -> Result<()> {
        mark(&mut self.lock(), "UPDATE chunk SET embedded = 1 WHERE id = ?1", chunks)
    }

    /// Makes the queues agree with what the two indices really hold. Returns the chunks
    /// that the catalogue does not know: it forgot them, or a power cut took its last
    /// moments, or it was put back from a copy. Their ids are never given to others.
    pub fn reconcile_index(
        &self,
        texts: &HashSet<ChunkId>,
        vectors: &HashSet<ChunkId>,
    ) -> Result<Vec<ChunkId>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut strangers: HashSet<ChunkId> = texts.union(vectors).copied().collect();
        {
            let mut select = transaction.prepare("SELECT id, indexed, embedded FROM chunk")?;
            let mut update = transaction
                .prepare("UPDATE chunk SET indexed = ?2, embedded = ?3 WHERE id = ?1")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let id = ChunkId(row.get(0)?);
                strangers.remove(&id);
                let was: (bool, bool) = (row.get(1)?, row.get(2)?);
                let is = (texts.contains(&id), vectors.contains(&id));
                if was != is {
                    update.execute(params![id.0, is.0, is.1])?;
                }
            }
        }
        if let Some(latest) = strangers.iter().max() {
            transaction.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT 'chunk', 0
                 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'chunk')",
                [],
            )?;
            transaction.execute(
                "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'chunk' AND seq < ?1",
                [latest.0],
            )?;
        }
        transaction.commit()?;
        Ok(strangers.into_iter().collect())
    }

    /// Documents that are gone and whose rows may still be in the index.
    pub fn garbage(&self) -> Result<Vec<DocumentId>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT document FROM garbage")?;
        let rows = statement.query_map([], |row| Ok(DocumentId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that the index no longer holds these documents.
    pub fn clear_garbage(&self, documents: &[DocumentId]) -> Result<()> {
        let ids: Vec<ChunkId> = documents.iter().map(|document| ChunkId(document.0)).collect();
        mark(&mut self.lock(), "DELETE FROM garbage WHERE document = ?1", &ids)
    }

    /// Drops documents that files have let go of and that no file holds. To be called when
    /// nothing waits to be read: a file that was moved takes its document along when its
    /// content is met again.
    pub fn drop_unused_documents(&self) -> Result<()> {
        let mut connection = self.lock();
        let any: bool =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM loose)", [], |row| row.get(0))?;
        if any {
            let transaction = connection.transaction()?;
            drop_unused(&transaction)?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// The chunks with these ids that a file passing `filter` holds; others are
    /// left out. In no particular order.
    pub fn chunks(&self, ids: &[ChunkId], filter: &ScopeFilter) -> Result<Vec<ChunkRecord>> {
        let connection = self.lock();
        let (condition, mut parameters) = scope_condition(filter);
        let list: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        parameters.push(format!("[{}]", list.join(",")).into());
        let mut statement = connection.prepare_cached(&format!(
            "SELECT chunk.id, chunk.document, min(file.path), document.title, chunk.start, chunk.end,
                    chunk.page, chunk.heading, chunk.text
             FROM json_each(?{}) AS wanted
             JOIN chunk ON chunk.id = wanted.value
             JOIN document ON document.id = chunk.document
             JOIN file ON file.document = document.id
             WHERE {condition} GROUP BY chunk.id",
            parameters.len()
        ))?;
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| {
            Ok((
                ChunkRecord {
                    id: ChunkId(row.get(0)?),
                    document: DocumentId(row.get(1)?),
                    path: row.get(2)?,
                    title: row.get(3)?,
                    chunk: Chunk {
                        range: CharRange::new(row.get(4)?, row.get(5)?),
                        page: row.get(6)?,
                        heading: Vec::new(),
                        text: row.get(8)?,
                    },
                },
                row.get::<_, String>(7)?,
            ))
        })?;
        rows.map(|row| {
            let (mut record, heading) = row?;
            record.chunk.heading = from_json(&heading)?;
            Ok(record)
        })
        .collect()
    }

    /// All chunks of a document that a file passing `filter` holds, in the order of its text.
    pub fn chunks_of(
        &self,
        document: DocumentId,
        filter: &ScopeFilter,
    ) -> Result<Vec<ChunkRecord>> {
        let ids = {
            let connection = self.lock();
            let mut statement =
                connection.prepare_cached("SELECT id FROM chunk WHERE document = ?1")?;
            let rows = statement.query_map([document.0], |row| Ok(ChunkId(row.get(0)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        let mut chunks = self.chunks(&ids, filter)?;
        chunks.sort_by_key(|record| record.chunk.range.start);
        Ok(chunks)
    }

    /// The text of a document's first chunk.
    pub fn first_text(&self, document: DocumentId) -> Result<Option<String>> {
        // Chunks are numbered in the order of their document.
        let first =
            "SELECT text FROM chunk WHERE id = (SELECT min(id) FROM chunk WHERE document = ?1)";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(first)?;
        Ok(statement.query_row([document.0], |row| row.get(0)).optional()?)
    }

    /// The document at `path`, if it is searchable.
    pub fn document_at(&self, path: &str) -> Result<Option<DocumentRecord>> {
        let found = self
            .lock()
            .query_row(
                "SELECT document.id, kind, title, warnings FROM file
                 JOIN document ON document.id = file.document WHERE file.path = ?1",
                [path],
                |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, Option<String>>(2)?,
                        row.get::<_, String>(3)?,
                    ))
                },
            )
            .optional()?;
        let Some((id, kind, title, warnings)) = found else { return Ok(None) };
        let kind = DocumentKind::parse(&kind)
            .ok_or_else(|| CatalogError::Corrupt(format!("document kind {kind:?}")))?;
        Ok(Some(DocumentRecord {
            id: DocumentId(id),
            kind,
            title,
            warnings: from_json(&warnings)?,
        }))
    }

    /// The canonical text of a document.
    pub fn text(&self, document: DocumentId) -> Result<Option<String>> {
        Ok(self
            .lock()
            .query_row("SELECT text FROM document WHERE id = ?1", [document.0], |row| row.get(0))
            .optional()?)
    }

    /// The SHA-256 of a document's bytes.
    pub fn content_of(&self, document: DocumentId) -> Result<Option<Vec<u8>>> {
        Ok(self
            .lock()
            .query_row("SELECT hash FROM document WHERE id = ?1", [document.0], |row| row.get(0))
            .optional()?)
    }

    /// The path of a file whose bytes have this SHA-256.
    pub fn path_with(&self, content: &[u8]) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT path FROM file JOIN document ON document.id = file.document
             WHERE document.hash = ?1 ORDER BY path LIMIT 1",
        )?;
        Ok(statement.query_row([content], |row| row.get(0)).optional()?)
    }

    /// The blocks of a document, in order.
    pub fn blocks(&self, document: DocumentId) -> Result<Vec<Block>> {
        let blob: Option<Vec<u8>> = self
            .lock()
            .query_row("SELECT blocks FROM document WHERE id = ?1", [document.0], |row| row.get(0))
            .optional()?;
        blob.map_or(Ok(Vec::new()), |blob| Ok(unpack_blocks(&blob)?.0))
    }

    /// The kind of a document, the line (row, second) of its file that the character `at` stands
    /// on, and the column (from 1) of its cell; neither where the kind or the block has none.
    pub fn line_at(&self, document: DocumentId, at: u32) -> Result<Option<Line>> {
        let connection = self.lock();
        let found = connection
            .query_row("SELECT kind, blocks FROM document WHERE id = ?1", [document.0], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((kind, blob)) = found else { return Ok(None) };
        let kind = DocumentKind::parse(&kind)
            .ok_or_else(|| CatalogError::Corrupt(format!("document kind {kind:?}")))?;
        // Reading the blocks of a book takes a while, and on paper they have no lines.
        if kind == DocumentKind::Pdf {
            return Ok(Some(Line { kind, line: None, column: None }));
        }
        let (blocks, anchors, columns) = unpack_blocks(&blob)?;
        let block = blocks.partition_point(|block| block.range.end <= at);
        let block = blocks.get(block).filter(|block| block.range.start <= at);
        let anchor = block.and_then(|block| {
            let found = anchors.binary_search_by_key(&block.range.start, |anchor| anchor.start);
            found.ok().and_then(|index| anchors.get(index))
        });
        let Some((block, anchor)) = block.zip(anchor) else {
            return Ok(Some(Line { kind, line: None, column: None }));
        };
        if kind.line_unit() == LineUnit::Second {
            return Ok(Some(Line { kind, line: Some(anchor.line), column: None }));
        }
        let text: String = connection.query_row(
            "SELECT substr(text, ?2 + 1, ?3) FROM document WHERE id = ?1",
            params![document.0, anchor.start, block.range.len()],
            |row| row.get(0),
        )?;
        let count =
            |text: &str, c: char| u32::try_from(text.matches(c).count()).unwrap_or(u32::MAX);
        let (before, after) =
            text.split_at(char_slice(&text, CharRange::new(0, at - anchor.start)).len());
        let column = columns.binary_search_by_key(&block.range.start, |anchor| anchor.start);
        let column = column.ok().and_then(|index| columns.get(index)).map(|anchor| {
            // A row that begins with empty cells begins with bars.
            let row = before.rsplit('\n').next().unwrap_or_default();
            let bars = after.split(|c| !matches!(c, '|' | ' ')).next().unwrap_or_default();
            anchor.column.saturating_add(count(row, '|')).saturating_add(count(bars, '|'))
        });
        let line = anchor.line.saturating_add(count(before, '\n'));
        Ok(Some(Line { kind, line: Some(line), column }))
    }

    /// The pages of a document, in order.
    pub fn pages(&self, document: DocumentId) -> Result<Vec<PageRecord>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT number, label, start, end FROM page WHERE document = ?1 ORDER BY ord",
        )?;
        let rows = statement.query_map([document.0], |row: &Row<'_>| {
            Ok(Page {
                number: row.get(0)?,
                label: row.get(1)?,
                range: CharRange::new(row.get(2)?, row.get(3)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The page that the character `at` stands on.
    pub fn page_at(&self, document: DocumentId, at: u32) -> Result<Option<PageRecord>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT number, label, start, end FROM page WHERE document = ?1 AND start <= ?2
             ORDER BY ord DESC LIMIT 1",
        )?;
        Ok(statement
            .query_row(params![document.0, at], |row| {
                Ok(Page {
                    number: row.get(0)?,
                    label: row.get(1)?,
                    range: CharRange::new(row.get(2)?, row.get(3)?),
                })
            })
            .optional()?)
    }

    /// The characters `range` of a document's text.
    pub fn text_slice(&self, document: DocumentId, range: CharRange) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT substr(text, ?2 + 1, ?3) FROM document WHERE id = ?1")?;
        Ok(statement
            .query_row(params![document.0, range.start, range.len()], |row| row.get(0))
            .optional()?)
    }

    /// The places of the words in `range`, by start.
    pub fn boxes(&self, document: DocumentId, range: CharRange) -> Result<Vec<TextBox>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT boxes FROM page WHERE document = ?1 AND start < ?3 AND end > ?2 ORDER BY ord",
        )?;
        let blobs = statement
            .query_map(params![document.0, range.start, range.end], |row| row.get::<_, Vec<u8>>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut boxes: Vec<TextBox> = Vec::new();
        for blob in blobs {
            boxes.extend(
                unpack::<Vec<TextBox>>(&blob)?.into_iter().filter(|b| b.range.overlaps(range)),
            );
        }
        Ok(boxes)
    }
}

/// The condition for a document that no file holds.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM file WHERE file.document = document.id)
    AND NOT EXISTS (SELECT 1 FROM file WHERE file.incoming = document.id)";

/// Deletes documents that were let go of and that no file holds, and notes that
/// the index has to follow.
pub(crate) fn drop_unused(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute(
        &format!(
            "INSERT OR IGNORE INTO garbage (document)
             SELECT id FROM document WHERE id IN (SELECT document FROM loose) AND {UNUSED}"
        ),
        [],
    )?;
    transaction.execute(
        &format!("DELETE FROM document WHERE id IN (SELECT document FROM loose) AND {UNUSED}"),
        [],
    )?;
    transaction.execute("DELETE FROM loose", [])?;
    transaction.execute("DELETE FROM scan WHERE hash NOT IN (SELECT hash FROM document)", [])?;
    Ok(())
}

/// Writes a document with its pages and chunks.
fn insert(transaction: &Transaction<'_>, new: &NewDocument<'_>) -> Result<DocumentId> {
    let NewDocument { hash, reader, extraction, chunks, members } = new;
    transaction.execute(
        "INSERT INTO document (hash, kind, reader, title, text, blocks, warnings)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            hash,
            extraction.kind.as_str(),
            reader,
            extraction.title,
            extraction.text,
            pack_blocks(extraction)?,
            to_json(&extraction.warnings)?,
        ],
    )?;
    let id = DocumentId(transaction.last_insert_rowid());
    {
        let mut insert_page = transaction.prepare_cached(
            "INSERT INTO page (document, ord, number, label, start, end, boxes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (ord, page) in extraction.pages.iter().enumerate() {
            let boxes = boxes_within(&extraction.boxes, page.range);
            insert_page.execute(params![
                id.0,
                ord,
                page.number,
                page.label,
                page.range.start,
                page.range.end,
                pack(boxes)?
            ])?;
        }
        let mut insert_chunk = transaction.prepare_cached(
            "INSERT INTO chunk (document, start, end, page, heading, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for chunk in *chunks {
            insert_chunk.execute(params![
                id.0,
                chunk.range.start,
                chunk.range.end,
                chunk.page,
                to_json(&chunk.heading)?,
                chunk.text
            ])?;
        }
    }
    {
        let mut insert_member = transaction.prepare_cached(
            "INSERT INTO member (document, ord, path, failure) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (ord, member) in members.iter().enumerate() {
            insert_member.execute(params![id.0, ord, member.path, member.failure])?;
        }
    }
    {
        let mut insert_scan = transaction
            .prepare_cached("INSERT OR IGNORE INTO scan (hash, page) VALUES (?1, ?2)")?;
        for page in &extraction.scans {
            insert_scan.execute(params![hash, page])?;
        }
    }
    Ok(id)
}

/// The document with this content, read as this kind by these readers.
fn document_of(
    connection: &Connection,
    hash: &[u8],
    kind: &str,
    reader: u32,
) -> Result<Option<DocumentId>> {
    let found = connection.query_row(
        "SELECT id FROM document WHERE hash = ?1 AND kind = ?2 AND reader = ?3",
        params![hash, kind, reader],
        |row| Ok(DocumentId(row.get(0)?)),
    );
    Ok(found.optional()?)
}

fn set_incoming(connection: &Connection, file: FileId, document: DocumentId) -> Result<()> {
    let held = connection.execute(
        "UPDATE file SET incoming = ?2 WHERE id = ?1 AND state = 'reading'",
        params![file.0, document.0],
    )?;
    if held == 0 {
        // The file was removed while it was read.
        connection.execute("INSERT OR IGNORE INTO loose (document) VALUES (?1)", [document.0])?;
    }
    Ok(())
}

fn queued(connection: &Connection, condition: &str, parameter: i64) -> Result<Vec<QueuedChunk>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT chunk.id, chunk.document,
                coalesce((SELECT min(path) FROM file WHERE file.incoming = chunk.document),
                         (SELECT min(path) FROM file WHERE file.document = chunk.document), ''),
                chunk.heading, chunk.text, document.title
         FROM chunk JOIN document ON document.id = chunk.document WHERE {condition}"
    ))?;
    let rows = statement.query_map([parameter], |row| {
        Ok((
            QueuedChunk {
                id: ChunkId(row.get(0)?),
                document: DocumentId(row.get(1)?),
                path: row.get(2)?,
                title: row.get(5)?,
                heading: Vec::new(),
                text: row.get(4)?,
            },
            row.get::<_, String>(3)?,
        ))
    })?;
    rows.map(|row| {
        let (mut chunk, heading) = row?;
        chunk.heading = from_json(&heading)?;
        Ok(chunk)
    })
    .collect()
}

fn mark(connection: &mut Connection, sql: &str, ids: &[ChunkId]) -> Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(sql)?;
        for id in ids {
            statement.execute([id.0])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// The boxes that start in `range`; `boxes` is sorted by start.
fn boxes_within(boxes: &[TextBox], range: CharRange) -> &[TextBox] {
    let first = boxes.partition_point(|b| b.range.start < range.start);
    let end = boxes.partition_point(|b| b.range.start < range.end);
    &boxes[first..end.max(first)]
}

/// Blocks, and behind them the anchors and the columns, which documents that were read before
/// there were any do not have.
fn pack_blocks(extraction: &Extraction) -> Result<Vec<u8>> {
    let mut bytes = pack(&extraction.blocks)?;
    bytes.extend(pack(&extraction.anchors)?);
    bytes.extend(pack(&extraction.columns)?);
    Ok(bytes)
}

fn unpack_blocks(bytes: &[u8]) -> Result<(Vec<Block>, Vec<Anchor>, Vec<ColumnAnchor>)> {
    let (blocks, rest) = unpack_first(bytes)?;
    let (anchors, rest) = unpack_first(rest)?;
    let (columns, _) = unpack_first(rest)?;
    Ok((blocks, anchors, columns))
}

/// The list that `bytes` begin with, and what is behind it; where there is nothing, an empty one.
fn unpack_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(Vec<T>, &[u8])> {
    if bytes.is_empty() {
        return Ok((Vec::new(), bytes));
    }
    postcard::take_from_bytes(bytes).map_err(|error| CatalogError::Corrupt(error.to_string()))
}

fn pack<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| CatalogError::Corrupt(error.to_string()))
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| CatalogError::Corrupt(error.to_string()))
}

pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| CatalogError::Corrupt(error.to_string()))
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| CatalogError::Corrupt(error.to_string()))
}
