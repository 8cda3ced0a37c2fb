//! The order of the best few that a search finds: by a cross-encoder where one is installed.

use std::path::Path;

use lectern_answer::rerank::Proximity;
use lectern_catalog::ChunkRecord;
use lectern_domain::{Chunk, DocumentId, ErrorCode, ModelError, Reranker};
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

/// A line of a title page, or of the head of a letter or a message, has at most so many bytes.
const SHORT_LINE: usize = 80;

/// So many of them are looked at.
const OPENING_LINES: usize = 8;

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
        best: &[&ChunkRecord],
        words_weight: f32,
    ) -> Result<Vec<f32>> {
        if best.is_empty() {
            return Ok(Vec::new());
        }
        let best = &self.below_their_documents(best)?;
        let knows = |found: &Reranking| found.is_multilingual || is_mostly_latin(query);
        if let Some(reranking) = self.reranking()?.filter(knows) {
            match relevance(&reranking, query, best).await {
                Ok(scores) => {
                    return Ok(scores.iter().map(|score| score * CROSS_ENCODER).collect());
                }
                Err(error) => tracing::warn!("reranking by words only: {error}"),
            }
        }
        let gains = Proximity.rerank(query, &best.iter().collect::<Vec<_>>())?;
        Ok(gains.iter().map(|gain| gain * words_weight).collect())
    }

    /// The passages with what their documents say of themselves among the headings: the file's name, and
    /// how the document opens. A page says seldom whose report it is of, and of which year.
    fn below_their_documents(&self, best: &[&ChunkRecord]) -> Result<Vec<Chunk>> {
        let passages = best.iter().map(|record| {
            let mut chunk = record.chunk.clone();
            let name = Path::new(&record.path).file_stem().unwrap_or_default().to_string_lossy();
            let headings = std::mem::take(&mut chunk.heading);
            chunk.heading = self.opening(record.document, &chunk.text)?;
            chunk.heading.push(name.into_owned());
            chunk.heading.extend(headings);
            Ok(chunk)
        });
        passages.collect()
    }

    /// The short lines that a document opens with; none for a `passage` that opens it and says so itself.
    pub(crate) fn opening(&self, document: DocumentId, passage: &str) -> Result<Vec<String>> {
        let first = self.catalog().first_text(document)?.unwrap_or_default();
        let is_other = !passage.starts_with(&first);
        Ok(short_lines(&first).filter(|_| is_other).map(str::to_owned).collect())
    }
}

/// The first lines of a text, as long as they are short.
fn short_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take_while(|line| line.len() <= SHORT_LINE).take(OPENING_LINES)
}

async fn relevance(
    reranking: &Reranking,
    query: &str,
    passages: &[Chunk],
) -> std::result::Result<Vec<f32>, ModelError> {
    let failed = |reason: String| ModelError::new(ErrorCode::ModelFailed, reason, "");
    let reranker = reranking.reranker.get().await?;
    let query = query.to_owned();
    let passages = passages.to_vec();
    let count = passages.len();
    let rerank = move || reranker.rerank(&query, &passages.iter().collect::<Vec<_>>());
    let scores =
        spawn_blocking(rerank).await.unwrap_or_else(|panic| Err(failed(panic.to_string())))?;
    if scores.len() != count || scores.iter().any(|score| !score.is_finite()) {
        return Err(failed("it did not score each passage".into()));
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_opens_with_its_short_lines() {
        let long =
            "This agreement is made between the parties on the date that is written below it, "
                .repeat(2);
        let cases: [(&str, String, &[&str]); 5] = [
            (
                "a title page",
                "Annual report\n\n  Marlowe Corporation\nFor the fiscal year 2017".into(),
                &["Annual report", "Marlowe Corporation", "For the fiscal year 2017"],
            ),
            ("a title above a paragraph", format!("Lease\n{long}\nRent"), &["Lease"]),
            ("a paragraph", long, &[]),
            ("nothing", String::new(), &[]),
            ("a list", "item\n".repeat(50), &["item"; OPENING_LINES]),
        ];
        for (what, text, expected) in cases {
            assert_eq!(short_lines(&text).collect::<Vec<_>>(), expected, "{what}");
        }
    }
}
