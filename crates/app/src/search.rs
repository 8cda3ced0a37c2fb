//! Finding passages: both legs, fused.

use std::{collections::HashMap, time::Instant};

use lectern_answer::{
    Passage,
    fusion::{DEFAULT_K, Fused, Leg, fuse},
};
use lectern_catalog::{ChunkRecord, ScopeFilter};
use lectern_domain::{
    CharRange, ChunkId, DocumentId, ErrorCode, ModelError, Rect as PageRect, Scope,
};
use lectern_extract::rects;
use tokio::task::spawn_blocking;

use crate::{
    App, AppError, Filter, Hit, Rect, Result, SearchMode, SearchReply, SearchRequest, filter,
    milliseconds_since, source::Whereabouts,
};

/// Candidates of each leg for fusion, at least. More does not change the top of
/// the list.
const CANDIDATES: usize = 100;

/// What a rank of the semantic leg counts beside one of the lexical leg. Measured on
/// English paragraphs with the small default embedder; see `docs/benchmarks.md`.
const SEMANTIC_WEIGHT: f32 = 0.5;

/// Longer queries are cut: nothing a person types is longer.
const LONGEST_QUERY: usize = 4_000;

impl App {
    /// The passages that fit a query best.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchReply> {
        let start = Instant::now();
        let found =
            self.find(&request.query, request.k as usize, request.mode, &request.filter).await?;
        let hits = found
            .into_iter()
            .map(|passage| {
                let Whereabouts { label, place, .. } =
                    self.whereabouts(passage.document, passage.range.start)?;
                Ok(Hit {
                    rects: self.rects(passage.document, passage.range)?,
                    document: passage.path,
                    page: passage.page,
                    label,
                    place,
                    score: passage.score,
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
    ) -> Result<Vec<Passage>> {
        let query = query.trim();
        if query.is_empty() {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                "the query is empty",
                "Type some words.",
            ));
        }
        let query: String = query.chars().take(LONGEST_QUERY).collect();
        let filter = filter::resolve(filter)?;
        let vector = if mode == SearchMode::Lexical {
            None
        } else {
            self.query_vector(&query, mode).await?
        };
        let words = (mode != SearchMode::Semantic).then_some(query.as_str());
        let candidates = CANDIDATES.max(2 * k);
        let in_scope =
            || Ok::<_, AppError>(Scope::Documents(self.catalog().documents_in(&filter)?));
        let scope = if filter.is_empty() { Scope::All } else { in_scope()? };
        let mut fused = self.candidates(words, vector.as_deref(), candidates, &scope).await?;
        let mut records = self.records(&fused, &filter)?;
        // What was forgotten may still be in the index and crowd out what is there.
        if records.len() < fused.len() && records.len() < k {
            fused = self.candidates(words, vector.as_deref(), candidates, &in_scope()?).await?;
            records = self.records(&fused, &filter)?;
        }
        Ok(fused
            .into_iter()
            .filter_map(|hit| {
                let ChunkRecord { document, path, chunk, .. } = records.remove(&hit.chunk)?;
                Some(Passage {
                    chunk: hit.chunk,
                    document,
                    path,
                    page: chunk.page,
                    range: chunk.range,
                    heading: chunk.heading,
                    text: chunk.text,
                    score: hit.score,
                })
            })
            .take(k)
            .collect())
    }

    /// The best chunks of both legs, fused.
    async fn candidates(
        &self,
        words: Option<&str>,
        vector: Option<&[f32]>,
        candidates: usize,
        scope: &Scope,
    ) -> Result<Vec<Fused>> {
        let index = self.inner.parts.index.get().await?;
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
        let (lexical, semantic) = tokio::try_join!(lexical, semantic)?;
        let legs = [
            Leg { weight: 1., matches: lexical },
            Leg { weight: SEMANTIC_WEIGHT, matches: semantic },
        ];
        Ok(fuse(&legs, DEFAULT_K))
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

    /// The query's vector. Without the embedder, or in a script it does not know,
    /// the words still find what they find; noise beside them would bury it.
    async fn query_vector(&self, query: &str, mode: SearchMode) -> Result<Option<Vec<f32>>> {
        let known = self.inner.parts.embedder_is_multilingual || is_mostly_latin(query);
        if mode == SearchMode::Hybrid && !known {
            return Ok(None);
        }
        match self.embed_query(query).await {
            Ok(vector) => Ok(Some(vector)),
            Err(error) if mode == SearchMode::Hybrid => {
                tracing::warn!("searching by words only: {error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn embed_query(&self, query: &str) -> std::result::Result<Vec<f32>, ModelError> {
        let embedder = self.inner.parts.embedder.get().await?;
        let query = query.to_owned();
        spawn_blocking(move || embedder.embed_query(&query)).await.unwrap_or_else(|panic| {
            Err(ModelError::new(ErrorCode::ModelFailed, panic.to_string(), ""))
        })
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
    use super::is_mostly_latin;

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
