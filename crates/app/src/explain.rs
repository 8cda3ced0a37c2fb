//! Why a file is not among the hits.

use std::{collections::HashSet, path::Path, sync::Arc};

use lectern_catalog::{FileState as Stored, ScopeFilter};
use lectern_domain::{ChunkId, ChunkMatch, Scope};

use crate::{
    App, Explanation, FileState, Ranking, Result, SearchRequest, WhyNot, filter::absolute,
    search::varied,
};

/// So deep a file is looked for in each leg.
const DEPTH: usize = 1_000;

impl App {
    /// Where the file at `path` stands in a search, and why it is not among the hits, where it is not.
    pub async fn explain(&self, request: &SearchRequest, path: &Path) -> Result<Explanation> {
        let name = absolute(path)?.to_string_lossy().into_owned();
        let mut explanation = Explanation {
            document: name.clone(),
            reason: WhyNot::NotInLibrary,
            state: None,
            detail: None,
            fused: None,
            lexical: None,
            semantic: None,
            depth: DEPTH as u32,
        };
        let file = self.catalog().files(Some(&name))?.into_iter().find(|file| file.path == name);
        let Some(file) = file else { return Ok(explanation) };
        explanation.state = Some(file.state.into());
        explanation.detail = file.reason;
        let Some(document) = self.catalog().document_at(&name)?.map(|document| document.id) else {
            explanation.reason = WhyNot::NotRead;
            return Ok(explanation);
        };
        let asked = self.asked(&request.query, request.mode, &request.filter).await?;
        let documents = self.catalog().documents_in(&asked.filter)?;
        if !documents.contains(&document) {
            explanation.reason = WhyNot::FilteredOut;
            return Ok(explanation);
        }

        let scope = if asked.filter.is_empty() { Scope::All } else { Scope::Documents(documents) };
        let (lexical, semantic) = self.legs(&asked, DEPTH, &Arc::new(scope)).await?;
        let own = |matches: &[ChunkMatch]| -> Result<Option<Ranking>> {
            let ids: Vec<ChunkId> = matches.iter().map(|found| found.chunk).collect();
            let records = self.catalog().chunks(&ids, &ScopeFilter::default())?;
            let own = records.into_iter().filter(|record| record.document == document);
            let own: HashSet<ChunkId> = own.map(|record| record.id).collect();
            let mut places = (1..).zip(matches);
            let best = places.find(|(_, found)| own.contains(&found.chunk));
            Ok(best.map(|(rank, found)| Ranking { rank, score: found.score }))
        };
        (explanation.lexical, explanation.semantic) = (own(&lexical)?, own(&semantic)?);

        let k = request.k as usize;
        let ordered = self.ordered(&asked, k).await?;
        let place = (1..).zip(&ordered).find(|(_, found)| found.passage.document == document);
        let rank = place.map(|(rank, _)| rank);
        explanation.fused = place.map(|(rank, found)| Ranking { rank, score: found.passage.score });
        let is_listed = varied(ordered.into_iter(), k, asked.plan)
            .iter()
            .any(|found| found.passage.document == document);
        let was_candidate = |ranking: &Option<Ranking>| ranking.is_some();
        explanation.reason = match rank {
            _ if is_listed => WhyNot::Listed,
            Some(rank) if rank as usize <= k => WhyNot::Folded,
            Some(_) => WhyNot::Outranked,
            None if asked.query.is_quoted
                && (was_candidate(&explanation.lexical)
                    || was_candidate(&explanation.semantic)) =>
            {
                WhyNot::NotQuoted
            }
            None => WhyNot::NotFound,
        };
        Ok(explanation)
    }
}

impl From<Stored> for FileState {
    fn from(state: Stored) -> Self {
        match state {
            Stored::Pending => Self::Pending,
            Stored::Reading => Self::Reading,
            Stored::Ready => Self::Ready,
            Stored::Skipped => Self::Skipped,
            Stored::Failed => Self::Failed,
        }
    }
}
