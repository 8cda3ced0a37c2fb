//! Finding passages: both legs, fused.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Instant,
};

use lectern_answer::{
    Passage,
    fusion::{Fused, Leg, LegPlace, fuse, meaning_weight, words_weight},
};
use lectern_catalog::{ChunkRecord, ScopeFilter};
use lectern_domain::{
    CharRange, ChunkId, ChunkIndex, ChunkMatch, DocumentId, ErrorCode, IndexError, ModelError,
    Rect as PageRect, Scope,
};
use lectern_extract::rects;
use lectern_ingest::is_gone;
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

/// So many of the best of a search tell what it counts.
const WEIGHED: usize = 10;

/// So many of the best are reranked.
const RERANKED: usize = 20;

/// Neighbours have nothing but a line break, or a few, between them.
const LARGEST_GAP: u32 = 4;

/// Neighbours are joined up to so many characters: more is a page, and not a passage.
const LONGEST_JOINED: u32 = 2_000;

/// Longer queries are cut: nothing a person types is longer.
const LONGEST_QUERY: usize = 4_000;

/// The steps of a search. All of them are taken, but in measurements of what each brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchPlan {
    /// Words count by how many of the question's occur, meaning by how different the texts are.
    pub weighs_legs: bool,
    /// What a cross-encoder finds to answer moves up, or what has the query's words close together.
    pub reranks: bool,
    /// Neighbours become one passage.
    pub joins_neighbours: bool,
    /// A text is listed once, and one document does not fill the list.
    pub varies: bool,
}

impl Default for SearchPlan {
    fn default() -> Self {
        Self { weighs_legs: true, reranks: true, joins_neighbours: true, varies: true }
    }
}

/// A passage that was found, and where each leg has it.
pub(crate) struct Found {
    pub(crate) passage: Passage,
    pub(crate) lexical: Option<LegPlace>,
    pub(crate) semantic: Option<LegPlace>,
    /// What of its score is from reranking.
    pub(crate) reranked: Option<f32>,
    /// Its range has grown by a neighbour's.
    is_joined: bool,
}

impl Found {
    /// Whether the other is the neighbour before or after it, and the two together are not too long to
    /// be read as one passage.
    fn is_beside(&self, other: &Self) -> bool {
        let (a, b) = (&self.passage, &other.passage);
        let gap = a.range.start.max(b.range.start).saturating_sub(a.range.end.min(b.range.end));
        let length = a.range.end.max(b.range.end) - a.range.start.min(b.range.start);
        a.document == b.document
            && a.page == b.page
            && a.heading == b.heading
            && gap <= LARGEST_GAP
            && length <= LONGEST_JOINED
    }

    fn join(&mut self, other: &Self) {
        let (range, other) = (&mut self.passage.range, other.passage.range);
        *range = CharRange::new(range.start.min(other.start), range.end.max(other.end));
        self.is_joined = true;
    }
}

/// The best chunks of both legs.
struct Candidates {
    /// Fused; the places are those by words and by meaning.
    fused: Vec<Fused>,
    /// What the catalogue knows of them; what it has forgotten is left out, whatever the index still
    /// holds.
    records: HashMap<ChunkId, ChunkRecord>,
    /// What words count, from 0 to 1.
    words_weight: f32,
}

impl Candidates {
    /// The first of them, which are reranked. What is asked for by meaning alone stays as it is.
    fn best(&self, asked: &Asked) -> Vec<&ChunkRecord> {
        let count = if asked.by_words && asked.plan.reranks { RERANKED } else { 0 };
        self.fused.iter().filter_map(|hit| self.records.get(&hit.chunk)).take(count).collect()
    }

    /// Best first, with what the first of them gain by reranking.
    fn reranked(mut self, gains: Vec<f32>) -> Vec<Found> {
        let mut gains = gains.into_iter();
        let found = self.fused.into_iter().filter_map(|hit| {
            let record = self.records.remove(&hit.chunk)?;
            let [lexical, semantic] = *hit.places.as_slice() else { return None };
            let reranked = gains.next();
            let passage = passage(record, hit.score + reranked.unwrap_or_default());
            Some(Found { passage, lexical, semantic, reranked, is_joined: false })
        });
        let mut found: Vec<Found> = found.collect();
        found.sort_by(|a, b| b.passage.score.total_cmp(&a.passage.score));
        found
    }
}

/// A query, ready to be searched for.
pub(crate) struct Asked {
    pub(crate) query: Query,
    pub(crate) filter: ScopeFilter,
    pub(crate) embedding: Embedding,
    /// `None` where meaning is not asked for, or there is no embedder.
    pub(crate) vector: Option<Vec<f32>>,
    pub(crate) by_words: bool,
    pub(crate) plan: SearchPlan,
}

impl App {
    /// The passages that fit a query best. Filters may be part of the query: `in:contracts`,
    /// `type:pdf`, `lang:de`, `tag:tax`, `after:2023-05`, `before:2024`. Passages that hold the words in quotes come first; where
    /// all words are in quotes there are no others.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchReply> {
        self.search_by(request, SearchPlan::default()).await
    }

    /// As [`App::search`], with some steps left out.
    pub async fn search_by(
        &self,
        request: &SearchRequest,
        plan: SearchPlan,
    ) -> Result<SearchReply> {
        let start = Instant::now();
        let _attention = self.attend();
        let asked = self.asked(&request.query, request.mode, &request.filter).await?;
        let found = self.list(&Asked { plan, ..asked }, request.k as usize).await?;
        let hits = found
            .into_iter()
            .map(|Found { passage, lexical, semantic, reranked, .. }| {
                let Whereabouts { label, place, .. } =
                    self.whereabouts(passage.document, passage.range.start)?;
                Ok(Hit {
                    rects: self.rects(passage.document, passage.range)?,
                    document: passage.path,
                    page: passage.page,
                    label,
                    place,
                    score: passage.score,
                    lexical: lexical.map(Ranking::from),
                    semantic: semantic.map(Ranking::from),
                    reranked,
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
        self.list(&self.asked(query, mode, filter).await?, k).await
    }

    async fn list(&self, asked: &Asked, k: usize) -> Result<Vec<Found>> {
        let found = self.ordered(asked, k).await?;
        // What was deleted a moment ago is not found, before anybody has looked at the disk.
        let folders = self.catalog().folders()?;
        let is_there = |found: &Found| {
            !is_gone(self.catalog(), &folders, Path::new(&found.passage.path)).unwrap_or(false)
        };
        self.read_anew(varied(found.into_iter().filter(is_there), k, asked.plan))
    }

    /// What is searched for, and where.
    pub(crate) async fn asked(
        &self,
        query: &str,
        mode: SearchMode,
        filter: &Filter,
    ) -> Result<Asked> {
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
        let vector = match mode {
            SearchMode::Lexical => None,
            mode => query_vector(&embedding, &query.text, mode).await?,
        };
        let plan = SearchPlan::default();
        Ok(Asked { by_words: mode != SearchMode::Semantic, query, filter, embedding, vector, plan })
    }

    /// All candidates that are left, best first; enough for a list of `k`.
    pub(crate) async fn ordered(&self, asked: &Asked, k: usize) -> Result<Vec<Found>> {
        let Asked { query, filter, .. } = asked;
        let least = if query.phrases.is_empty() { CANDIDATES } else { QUOTED_CANDIDATES };
        let candidates = least.max(2 * k);
        let in_scope =
            || Ok::<_, AppError>(Arc::new(Scope::Documents(self.catalog().documents_in(filter)?)));
        let scope = if filter.is_empty() { Arc::default() } else { in_scope()? };
        let mut found = self.candidates(asked, candidates, &scope).await?;
        // What was forgotten may still be in the index and crowd out what is there.
        if found.records.len() < found.fused.len() && found.records.len() < k {
            found = self.candidates(asked, candidates, &in_scope()?).await?;
        }
        let gains = self.gains(&query.text, &found.best(asked), found.words_weight).await?;
        let (mut holding, others): (Vec<_>, Vec<_>) =
            found.reranked(gains).into_iter().partition(|found| query.is_in(&found.passage.text));
        if !query.is_quoted {
            holding.extend(others);
        }
        Ok(holding)
    }

    /// The files that a question may be answered from.
    pub(crate) fn scope_of(&self, filter: &Filter, question: &str) -> Result<ScopeFilter> {
        scope(filter, &Query::parse(question))
    }

    /// The best chunks of both legs.
    async fn candidates(
        &self,
        asked: &Asked,
        candidates: usize,
        scope: &Arc<Scope>,
    ) -> Result<Candidates> {
        let (lexical, semantic) = self.legs(asked, candidates, scope).await?;
        let ids: HashSet<ChunkId> =
            lexical.iter().chain(&semantic).map(|found| found.chunk).collect();
        let records = self.catalog().chunks(&Vec::from_iter(ids), &asked.filter)?;
        let records: HashMap<ChunkId, ChunkRecord> =
            records.into_iter().map(|record| (record.id, record)).collect();
        // The text alone: names of files are often in another language than what is in them.
        let texts = |leg: &[ChunkMatch]| -> Vec<&str> {
            let records = leg.iter().filter_map(|found| records.get(&found.chunk));
            records.take(WEIGHED).map(|record| record.chunk.text.as_str()).collect()
        };
        let (words_weight, meaning_weight) = if asked.vector.is_some() && asked.plan.weighs_legs {
            (words_weight(&asked.query.text, texts(&lexical)), meaning_weight(texts(&semantic)))
        } else {
            (1.0, 1.0)
        };
        let fused = fuse(&[
            Leg {
                unit: LEXICAL_UNIT,
                asked: candidates,
                matches: lexical,
                weight: words_weight,
                nothing: Some(0.0),
            },
            Leg {
                unit: asked.embedding.spread,
                asked: candidates,
                matches: semantic,
                weight: meaning_weight,
                nothing: None,
            },
        ]);
        Ok(Candidates { fused, records, words_weight })
    }

    /// What the index finds by words and by meaning.
    pub(crate) async fn legs(
        &self,
        asked: &Asked,
        candidates: usize,
        scope: &Arc<Scope>,
    ) -> Result<(Vec<ChunkMatch>, Vec<ChunkMatch>)> {
        let id = asked.embedding.embedder.id();
        let Some(index) = self.index(&id).await? else { return Ok(Default::default()) };
        match legs(index, asked, candidates, scope).await {
            Ok(found) => Ok(found),
            Err(error) => {
                // The one who writes may have made it anew or cleaned it meanwhile.
                tracing::warn!("the index is opened once more: {error}");
                self.forget_index();
                let Some(index) = self.index(&id).await? else { return Ok(Default::default()) };
                Ok(legs(index, asked, candidates, scope).await?)
            }
        }
    }

    /// Gives passages that neighbours were joined to their whole text.
    fn read_anew(&self, mut found: Vec<Found>) -> Result<Vec<Found>> {
        for Found { passage, .. } in found.iter_mut().filter(|found| found.is_joined) {
            if let Some(text) = self.catalog().text_slice(passage.document, passage.range)? {
                passage.text = text;
            }
        }
        Ok(found)
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
        opening: Vec::new(),
        text: chunk.text,
        score,
    }
}

impl From<LegPlace> for Ranking {
    fn from(LegPlace { rank, score }: LegPlace) -> Self {
        Self { rank, score }
    }
}

/// The files that the filter and what was typed leave.
fn scope(filter: &Filter, query: &Query) -> Result<ScopeFilter> {
    let typed = &query.filter;
    let kinds = if typed.kinds.is_empty() { &filter.kinds } else { &typed.kinds };
    let languages = if typed.languages.is_empty() { &filter.languages } else { &typed.languages };
    let mut scope = filter::resolve(&Filter {
        within: filter.within.clone(),
        without: filter.without.clone(),
        kinds: kinds.clone(),
        languages: languages.clone(),
        tags: [filter.tags.clone(), typed.tags.clone()].concat(),
        since: typed.since.clone().or_else(|| filter.since.clone()),
        until: typed.until.clone().or_else(|| filter.until.clone()),
    })?;
    scope.named = query.named.clone();
    Ok(scope)
}

/// The first `k`, without those whose letters and digits are those of an earlier one, with neighbours in
/// one section and on one page as one in the place of the better, and with at most three of five from one
/// document, unless there are no others.
pub(crate) fn varied(found: impl Iterator<Item = Found>, k: usize, plan: SearchPlan) -> Vec<Found> {
    let most = if plan.varies { (k * 3).div_ceil(5) } else { k };
    let mut texts = HashSet::new();
    let mut of_document: HashMap<DocumentId, usize> = HashMap::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for found in found {
        if first.len() == k {
            break;
        }
        let letters = |c: &char| c.is_alphanumeric();
        let text: String = found.passage.text.chars().filter(letters).collect();
        if plan.varies && !texts.insert(text) {
            continue;
        }
        let mut beside = first.iter_mut().filter(|_| plan.joins_neighbours);
        if let Some(neighbour) = beside.find(|other: &&mut Found| other.is_beside(&found)) {
            neighbour.join(&found);
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

/// What the index finds by words and by meaning, both at the same time.
async fn legs(
    index: Arc<dyn ChunkIndex>,
    asked: &Asked,
    candidates: usize,
    scope: &Arc<Scope>,
) -> std::result::Result<(Vec<ChunkMatch>, Vec<ChunkMatch>), IndexError> {
    let lexical = asked.by_words.then(|| {
        let (index, words, scope) = (index.clone(), asked.query.text.clone(), scope.clone());
        // On another thread: much of a search is computing, and would hold the other one up.
        tokio::spawn(async move { index.lexical(&words, candidates, &scope).await })
    });
    let semantic = match &asked.vector {
        Some(vector) => index.semantic(vector, candidates, scope).await?,
        None => Vec::new(),
    };
    let lexical = match lexical {
        Some(lexical) => {
            lexical.await.unwrap_or_else(|panic| Err(IndexError::Store(panic.to_string())))?
        }
        None => Vec::new(),
    };
    Ok((lexical, semantic))
}

/// Whether most letters of `text` are Latin ones.
pub(crate) fn is_mostly_latin(text: &str) -> bool {
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
                opening: Vec::new(),
                text: text.to_owned(),
                score: 0.,
            },
            lexical: None,
            semantic: None,
            reranked: None,
            is_joined: false,
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
            let given = (0..).zip(*given).map(|(at, (document, text))| {
                let mut found = found(*document, text);
                found.passage.range = CharRange::new(at * 100, at * 100 + 10);
                found
            });
            let texts: Vec<String> = varied(given, *k, SearchPlan::default())
                .into_iter()
                .map(|found| found.passage.text)
                .collect();
            assert_eq!(texts, *expected, "{k}");
        }
    }

    #[test]
    fn neighbours_are_one_passage() {
        let passage = |document: i64, page: u32, heading: &str, start: u32, end: u32| Found {
            passage: Passage {
                chunk: ChunkId(i64::from(start)),
                document: DocumentId(document),
                path: String::new(),
                page: Some(page),
                range: CharRange::new(start, end),
                heading: vec![heading.to_owned()],
                opening: Vec::new(),
                text: format!("{document} {start} {end}"),
                score: 0.,
            },
            lexical: None,
            semantic: None,
            reranked: None,
            is_joined: false,
        };
        type Place<'a> = (i64, u32, &'a str, u32, u32);
        let cases: &[(&str, &[Place], &[(u32, u32)])] = &[
            ("after it", &[(1, 1, "a", 0, 500), (1, 1, "a", 502, 900)], &[(0, 900)]),
            ("before it", &[(1, 1, "a", 502, 900), (1, 1, "a", 0, 500)], &[(0, 900)]),
            (
                "on both sides, with others between",
                &[
                    (1, 1, "a", 500, 900),
                    (2, 1, "a", 0, 500),
                    (1, 1, "a", 0, 499),
                    (1, 1, "a", 901, 1_000),
                ],
                &[(0, 1_000), (0, 500)],
            ),
            (
                "of another document",
                &[(1, 1, "a", 0, 500), (2, 1, "a", 501, 900)],
                &[(0, 500), (501, 900)],
            ),
            (
                "on another page",
                &[(1, 1, "a", 0, 500), (1, 2, "a", 501, 900)],
                &[(0, 500), (501, 900)],
            ),
            (
                "of another section",
                &[(1, 1, "a", 0, 500), (1, 1, "b", 501, 900)],
                &[(0, 500), (501, 900)],
            ),
            (
                "not next to it",
                &[(1, 1, "a", 0, 500), (1, 1, "a", 510, 900)],
                &[(0, 500), (510, 900)],
            ),
            (
                "too long together",
                &[(1, 1, "a", 0, 1_500), (1, 1, "a", 1_501, 2_900)],
                &[(0, 1_500), (1_501, 2_900)],
            ),
        ];
        for (what, given, expected) in cases {
            let given = given
                .iter()
                .map(|(d, page, heading, start, end)| passage(*d, *page, heading, *start, *end));
            let ranges: Vec<(u32, u32)> = varied(given, 10, SearchPlan::default())
                .into_iter()
                .map(|found| (found.passage.range.start, found.passage.range.end))
                .collect();
            assert_eq!(ranges, *expected, "{what}");
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
