//! Finding passages: both legs, fused.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use lectern_answer::{
    Passage,
    fusion::{Fused, Leg, LegPlace, fuse},
};
use lectern_catalog::{ChunkRecord, ScopeFilter};
use lectern_domain::{
    CharRange, ChunkId, ChunkIndex, ChunkMatch, DocumentId, ErrorCode, IndexError, ModelError,
    Rect as PageRect, Scope,
};
use lectern_extract::rects;
use tokio::task::spawn_blocking;

use crate::{
    App, AppError, Embedding, Filter, Hit, Ranking, Rect, Result, SearchMode, SearchReply,
    SearchRequest, filter, milliseconds_since, query::Query, source::Whereabouts,
};

/// Candidates of each leg for fusion, at least. More does not change the top of
/// the list.
const CANDIDATES: usize = 100;

/// The same where a passage must hold quoted words, which is looked at afterwards.
const QUOTED_CANDIDATES: usize = 1_000;

/// The difference in BM25 that counts as much as the embedder's whole spread of cosines. Measured; see
/// `docs/benchmarks.md`.
const LEXICAL_UNIT: f32 = 20.0;

/// Longer queries are cut: nothing a person types is longer.
const LONGEST_QUERY: usize = 4_000;

/// A passage that was found, and where each leg has it.
pub(crate) struct Found {
    pub(crate) passage: Passage,
    lexical: Option<LegPlace>,
    semantic: Option<LegPlace>,
}

impl App {
    /// The passages that fit a query best. Filters may be part of the query: `in:contracts`,
    /// `type:pdf`, `after:2023-05`, `before:2024`. Passages that hold the words in quotes come first; where
    /// all words are in quotes there are no others.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchReply> {
        let start = Instant::now();
        let _attention = self.attend();
        let found =
            self.find(&request.query, request.k as usize, request.mode, &request.filter).await?;
        let ranking = |place: LegPlace| Ranking { rank: place.rank, score: place.score };
        let hits = found
            .into_iter()
            .map(|Found { passage, lexical, semantic }| {
                let Whereabouts { label, place, .. } =
                    self.whereabouts(passage.document, passage.range.start)?;
                Ok(Hit {
                    rects: self.rects(passage.document, passage.range)?,
                    document: passage.path,
                    page: passage.page,
                    label,
                    place,
                    score: passage.score,
                    lexical: lexical.map(ranking),
                    semantic: semantic.map(ranking),
                    text: passage.text,
                    start: passage.range.start,
                    end: passage.range.end,
                    heading: passage.heading,
                })
            })
            .collect::<Result<_>>()?;
        Ok(SearchReply { hits, milliseconds: milliseconds_since(start) })
    }

    /// As [`App::search`], without the places on the pages.
    pub(crate) async fn find(
        &self,
        query: &str,
        k: usize,
        mode: SearchMode,
        filter: &Filter,
    ) -> Result<Vec<Found>> {
        let cut: String = query.chars().take(LONGEST_QUERY).collect();
        let query = Query::parse(&cut);
        if query.text.is_empty() {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                "the query is empty",
                "Type some words.",
            ));
        }
        let filter = scope(filter, &query)?;
        let embedding = self.embedding()?;
        let vector = if mode == SearchMode::Lexical {
            None
        } else {
            query_vector(&embedding, &query.text, mode).await?
        };
        let words = (mode != SearchMode::Semantic).then_some(query.text.as_str());
        let least = if query.phrases.is_empty() { CANDIDATES } else { QUOTED_CANDIDATES };
        let candidates = least.max(2 * k);
        let in_scope =
            || Ok::<_, AppError>(Scope::Documents(self.catalog().documents_in(&filter)?));
        let scope = if filter.is_empty() { Scope::All } else { in_scope()? };
        let mut fused =
            self.candidates(&embedding, words, vector.as_deref(), candidates, &scope).await?;
        let mut records = self.records(&fused, &filter)?;
        // What was forgotten may still be in the index and crowd out what is there.
        if records.len() < fused.len() && records.len() < k {
            fused = self
                .candidates(&embedding, words, vector.as_deref(), candidates, &in_scope()?)
                .await?;
            records = self.records(&fused, &filter)?;
        }
        let found = fused.into_iter().filter_map(|hit| {
            let [lexical, semantic] = *hit.places.as_slice() else { return None };
            let passage = passage(records.remove(&hit.chunk)?, hit.score);
            Some(Found { passage, lexical, semantic })
        });
        let (mut holding, others): (Vec<_>, Vec<_>) =
            found.partition(|found| query.is_in(&found.passage.text));
        if !query.is_quoted {
            holding.extend(others);
        }
        Ok(varied(holding.into_iter(), k))
    }

    /// The files that a question may be answered from.
    pub(crate) fn scope_of(&self, filter: &Filter, question: &str) -> Result<ScopeFilter> {
        scope(filter, &Query::parse(question))
    }

    /// The best chunks of both legs, fused; the places are those by words and by meaning.
    async fn candidates(
        &self,
        embedding: &Embedding,
        words: Option<&str>,
        vector: Option<&[f32]>,
        candidates: usize,
        scope: &Scope,
    ) -> Result<Vec<Fused>> {
        let id = embedding.embedder.id();
        let Some(index) = self.index(&id).await? else { return Ok(Vec::new()) };
        let (lexical, semantic) = match legs(&*index, words, vector, candidates, scope).await {
            Ok(found) => found,
            Err(error) => {
                // The one who writes may have made it anew or cleaned it meanwhile.
                tracing::warn!("the index is opened once more: {error}");
                self.forget_index();
                let Some(index) = self.index(&id).await? else { return Ok(Vec::new()) };
                legs(&*index, words, vector, candidates, scope).await?
            }
        };
        Ok(fuse(&[
            Leg { unit: LEXICAL_UNIT, asked: candidates, matches: lexical, nothing: Some(0.0) },
            Leg { unit: embedding.spread, asked: candidates, matches: semantic, nothing: None },
        ]))
    }

    /// What the catalogue knows of these chunks. What it has forgotten is left
    /// out, whatever the index still holds.
    fn records(
        &self,
        fused: &[Fused],
        filter: &ScopeFilter,
    ) -> Result<HashMap<ChunkId, ChunkRecord>> {
        let ids: Vec<ChunkId> = fused.iter().map(|hit| hit.chunk).collect();
        let records = self.catalog().chunks(&ids, filter)?;
        Ok(records.into_iter().map(|record| (record.id, record)).collect())
    }

    /// Where a part of a document stands on its pages.
    pub(crate) fn rects(&self, document: DocumentId, range: CharRange) -> Result<Vec<Rect>> {
        let boxes = self.catalog().boxes(document, range)?;
        Ok(rects(&boxes, range)
            .into_iter()
            .map(|PageRect { page, x0, y0, x1, y1 }| Rect { page, x0, y0, x1, y1 })
            .collect())
    }
}

/// A chunk as evidence.
pub(crate) fn passage(record: ChunkRecord, score: f32) -> Passage {
    let ChunkRecord { id, document, path, chunk, .. } = record;
    Passage {
        chunk: id,
        document,
        path,
        page: chunk.page,
        range: chunk.range,
        heading: chunk.heading,
        text: chunk.text,
        score,
    }
}

/// The files that the filter and what was typed leave.
fn scope(filter: &Filter, query: &Query) -> Result<ScopeFilter> {
    let typed = &query.filter;
    let kinds = if typed.kinds.is_empty() { &filter.kinds } else { &typed.kinds };
    let mut scope = filter::resolve(&Filter {
        within: filter.within.clone(),
        without: filter.without.clone(),
        kinds: kinds.clone(),
        since: typed.since.clone().or_else(|| filter.since.clone()),
        until: typed.until.clone().or_else(|| filter.until.clone()),
    })?;
    scope.named = query.named.clone();
    Ok(scope)
}

/// The first `k`, without those whose letters and digits are those of an earlier one, and with at
/// most three of five from one document, unless there are no others.
fn varied(found: impl Iterator<Item = Found>, k: usize) -> Vec<Found> {
    let most = (k * 3).div_ceil(5);
    let mut texts = HashSet::new();
    let mut of_document: HashMap<DocumentId, usize> = HashMap::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for found in found {
        if first.len() == k {
            break;
        }
        let letters = |c: &char| c.is_alphanumeric();
        let text: String = found.passage.text.chars().filter(letters).collect();
        if !texts.insert(text) {
            continue;
        }
        let count = of_document.entry(found.passage.document).or_default();
        *count += 1;
        if *count <= most { first.push(found) } else { later.push(found) }
    }
    let room = k - first.len();
    first.extend(later.into_iter().take(room));
    first
}

/// The query's vector. Without the embedder, or in a script it does not know,
/// the words still find what they find; noise beside them would bury it.
async fn query_vector(
    embedding: &Embedding,
    query: &str,
    mode: SearchMode,
) -> Result<Option<Vec<f32>>> {
    let known = embedding.is_multilingual || is_mostly_latin(query);
    if mode == SearchMode::Hybrid && !known {
        return Ok(None);
    }
    match embed_query(embedding, query).await {
        Ok(vector) => Ok(Some(vector)),
        Err(error) if mode == SearchMode::Hybrid => {
            tracing::warn!("searching by words only: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn embed_query(
    embedding: &Embedding,
    query: &str,
) -> std::result::Result<Vec<f32>, ModelError> {
    let embedder = embedding.embedder.get().await?;
    let query = query.to_owned();
    spawn_blocking(move || embedder.embed_query(&query))
        .await
        .unwrap_or_else(|panic| Err(ModelError::new(ErrorCode::ModelFailed, panic.to_string(), "")))
}

/// What the index finds by words and by meaning.
async fn legs(
    index: &dyn ChunkIndex,
    words: Option<&str>,
    vector: Option<&[f32]>,
    candidates: usize,
    scope: &Scope,
) -> std::result::Result<(Vec<ChunkMatch>, Vec<ChunkMatch>), IndexError> {
    let lexical = async {
        match words {
            Some(words) => index.lexical(words, candidates, scope).await,
            None => Ok(Vec::new()),
        }
    };
    let semantic = async {
        match vector {
            Some(vector) => index.semantic(vector, candidates, scope).await,
            None => Ok(Vec::new()),
        }
    };
    tokio::try_join!(lexical, semantic)
}

/// Whether most letters of `text` are Latin ones.
fn is_mostly_latin(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    // Latin with all its extensions ends at U+024F, and continues at U+1E00.
    let latin = |c: &char| *c <= '\u{24F}' || ('\u{1E00}'..='\u{1EFF}').contains(c);
    let (known, all) =
        letters.fold((0, 0), |(known, all), c| (known + usize::from(latin(&c)), all + 1));
    known * 2 >= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_varied() {
        let found = |document: i64, text: &str| Found {
            passage: Passage {
                chunk: ChunkId(0),
                document: DocumentId(document),
                path: String::new(),
                page: None,
                range: CharRange::new(0, 1),
                heading: Vec::new(),
                text: text.to_owned(),
                score: 0.,
            },
            lexical: None,
            semantic: None,
        };
        type Case<'a> = (&'a [(i64, &'a str)], usize, &'a [&'a str]);
        let cases: &[Case] = &[
            (&[(1, "a"), (2, "b"), (3, "c")], 2, &["a", "b"]),
            // The same words are said once, other numbers are other words.
            (
                &[(1, "Rent: 5"), (2, "rent 5."), (3, "Rent 5"), (4, "Rent 6")],
                5,
                &["Rent: 5", "rent 5.", "Rent 6"],
            ),
            // Three of five from one document, if others have something.
            (
                &[(1, "a"), (1, "b"), (1, "c"), (1, "d"), (1, "e"), (2, "f"), (3, "g")],
                5,
                &["a", "b", "c", "f", "g"],
            ),
            (&[(1, "a"), (1, "b"), (1, "c"), (1, "d")], 3, &["a", "b", "c"]),
            (&[(1, "a")], 0, &[]),
        ];
        for (given, k, expected) in cases {
            let given = given.iter().map(|(document, text)| found(*document, text));
            let texts: Vec<String> =
                varied(given, *k).into_iter().map(|found| found.passage.text).collect();
            assert_eq!(texts, *expected, "{k}");
        }
    }

    #[test]
    fn tells_scripts_apart() {
        let cases = [
            ("Who pays the rent?", true),
            ("Wie hoch ist die Gebühr für die Straße?", true),
            ("Ai trả tiền thuê nhà?", true),
            ("ISO-9001 第三章", true),
            ("2024", true),
            ("谁支付租金？", false),
            ("TL-40的额定流量是多少", false),
            ("Кто платит аренду?", false),
            ("من يدفع الإيجار؟", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_mostly_latin(text), expected, "{text}");
        }
    }
}
