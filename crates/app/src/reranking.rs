//! The order of the best few that a search finds: by a cross-encoder where one is installed.

use lectern_answer::rerank::Proximity;
use lectern_domain::{Chunk, ErrorCode, ModelError, Reranker};
use tokio::task::spawn_blocking;

use crate::search::is_mostly_latin;
use crate::{App, Reranking, Result, locked};

/// The setting that holds the cross-encoder that a person has chosen.
pub(crate) const RERANKER_SETTING: &str = "reranker";

/// What a cross-encoder's relevance of 1 adds to a passage's score, in the units of
/// [`lectern_answer::fusion::Fused::score`]. A leg gives its best passage one or two, so this is more than
/// the best twenty of a search differ by: the cross-encoder orders them, and what it finds equal keeps
/// the order of the search. It was not measured with real weights, since none could be had.
const CROSS_ENCODER: f32 = 4.0;

impl App {
    /// The cross-encoder that orders what is found, of those that are installed: the one that a person
    /// has chosen, or else the first.
    pub(crate) fn reranking(&self) -> Result<Option<Reranking>> {
        let chosen = self.catalog().setting(RERANKER_SETTING)?;
        let found = (self.inner.parts.reranking)(chosen.as_deref());
        let mut known = locked(&self.inner.reranking);
        let id =
            |reranking: &Option<Reranking>| reranking.as_ref().map(|found| found.reranker.id());
        // What is loaded stays while it is wanted.
        if id(&known) != id(&found) {
            *known = found;
        }
        Ok(known.clone())
    }

    /// What each of the best passages gains for a query: by the cross-encoder where there is one that
    /// knows the query's script, and otherwise, or where it fails, by how close together they have the
    /// query's words, which count so much.
    pub(crate) async fn gains(
        &self,
        query: &str,
        best: &[&Chunk],
        words_weight: f32,
    ) -> Result<Vec<f32>> {
        if best.is_empty() {
            return Ok(Vec::new());
        }
        let knows = |found: &Reranking| found.is_multilingual || is_mostly_latin(query);
        if let Some(reranking) = self.reranking()?.filter(knows) {
            match relevance(&reranking, query, best).await {
                Ok(scores) => {
                    return Ok(scores.iter().map(|score| score * CROSS_ENCODER).collect());
                }
                Err(error) => tracing::warn!("reranking by words only: {error}"),
            }
        }
        let gains = Proximity.rerank(query, best)?;
        Ok(gains.iter().map(|gain| gain * words_weight).collect())
    }
}

async fn relevance(
    reranking: &Reranking,
    query: &str,
    passages: &[&Chunk],
) -> std::result::Result<Vec<f32>, ModelError> {
    let failed = |reason: String| ModelError::new(ErrorCode::ModelFailed, reason, "");
    let reranker = reranking.reranker.get().await?;
    let query = query.to_owned();
    let passages: Vec<Chunk> = passages.iter().map(|&passage| passage.clone()).collect();
    let count = passages.len();
    let rerank = move || reranker.rerank(&query, &passages.iter().collect::<Vec<_>>());
    let scores =
        spawn_blocking(rerank).await.unwrap_or_else(|panic| Err(failed(panic.to_string())))?;
    if scores.len() != count || scores.iter().any(|score| !score.is_finite()) {
        return Err(failed("it did not score each passage".into()));
    }
    Ok(scores)
}
