//! Measures retrieval and answers on question sets.
//!
//! A set is a folder with `corpus/`, the documents as a person has them, and
//! `queries.jsonl`, a [`Query`] a line.

mod answers;
mod measures;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

pub use answers::{AnswerOutcome, AnswerReport, Sample, evaluate_answers};
use lectern_app::{
    App, AppError, ErrorCode, Filter, Result, SearchMode, SearchReply, SearchRequest,
};
pub use measures::{Measures, Outcome};
use serde::{Deserialize, Serialize};

/// Hits asked for: the deepest cut that is measured.
const DEPTH: u32 = 100;

/// A question and the places that answer it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// Its name in reports.
    pub id: String,
    /// The question.
    pub question: String,
    /// Its language, where the set has several.
    pub lang: Option<String>,
    /// What a right answer may say.
    #[serde(default)]
    pub answers: Vec<String>,
    /// Where the answer stands.
    #[serde(default)]
    pub relevant: Vec<Place>,
    /// Whether the corpus holds an answer.
    #[serde(default = "yes")]
    pub answerable: bool,
}

/// A document, or one page of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Place {
    /// Path within `corpus/`.
    pub file: String,
    /// From 1.
    pub page: Option<u32>,
}

fn yes() -> bool {
    true
}

/// What a set measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// All answerable questions.
    pub all: Measures,
    /// The same by language, for sets that name it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, Measures>,
    /// The questions whose answer is not among the first ten hits.
    pub missed: Vec<String>,
}

/// Reads a set's questions.
pub fn queries(set: &Path) -> Result<Vec<Query>> {
    let path = set.join("queries.jsonl");
    let content = std::fs::read_to_string(&path).map_err(|error| invalid(&path, &error))?;
    content
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).map_err(|error| invalid(&path, &error)))
        .collect()
}

/// The folder of a set's documents.
pub fn corpus(set: &Path) -> Result<PathBuf> {
    let corpus = set.join("corpus");
    corpus.canonicalize().map_err(|error| invalid(&corpus, &error))
}

/// Searches for every answerable question in a library that holds the set's
/// corpus, and measures what was found.
pub async fn evaluate(app: &App, set: &Path, mode: SearchMode) -> Result<Report> {
    let corpus = corpus(set)?;
    let mut outcomes = Vec::new();
    let mut missed = Vec::new();
    for query in queries(set)?.into_iter().filter(|query| query.answerable) {
        let request = SearchRequest {
            query: query.question,
            k: DEPTH,
            mode,
            filter: Filter {
                within: vec![corpus.to_string_lossy().into_owned()],
                ..Filter::default()
            },
        };
        let reply = match app.search(&request).await {
            Ok(reply) => reply,
            // A question that cannot be searched for finds nothing.
            Err(error) if error.code == ErrorCode::InvalidInput => {
                SearchReply { hits: Vec::new(), milliseconds: 0. }
            }
            Err(error) => return Err(error),
        };
        let found = reply.hits.iter().map(|hit| {
            let file = Path::new(&hit.document).strip_prefix(&corpus).unwrap_or(Path::new(""));
            (file.to_string_lossy().into_owned(), hit.page)
        });
        let outcome = Outcome::new(found, &query.relevant, reply.milliseconds);
        if outcome.first.is_none_or(|first| first > 10) {
            missed.push(query.id);
        }
        outcomes.push((query.lang, outcome));
    }
    let languages: HashSet<&String> =
        outcomes.iter().filter_map(|(lang, _)| lang.as_ref()).collect();
    let languages = languages
        .into_iter()
        .map(|lang| {
            let of_it = outcomes.iter().filter(|(of, _)| of.as_ref() == Some(lang));
            (lang.clone(), Measures::over(of_it.map(|(_, outcome)| outcome)))
        })
        .collect();
    Ok(Report {
        all: Measures::over(outcomes.iter().map(|(_, outcome)| outcome)),
        languages,
        missed,
    })
}

fn invalid(path: &Path, error: &dyn std::fmt::Display) -> AppError {
    AppError::new(
        ErrorCode::InvalidInput,
        format!("{}: {error}", path.display()),
        "A question set is a folder with `corpus/` and `queries.jsonl`.",
    )
}
