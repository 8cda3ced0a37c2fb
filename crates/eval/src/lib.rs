//! Measures retrieval and answers on question sets.
//!
//! A set is a folder with `corpus/`, the documents as a person has them, and
//! `queries.jsonl`, a [`Query`] a line.

mod answers;
mod measures;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

pub use answers::{AnswerOutcome, AnswerReport, Sample, evaluate_answers};
use lectern_app::{
    App, AppError, ErrorCode, Filter, Result, SearchMode, SearchPlan, SearchReply, SearchRequest,
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
    /// What it shares with the same question in other languages.
    pub parallel_id: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// All answerable questions.
    pub all: Measures,
    /// The same by language, for sets that name it; where languages were crossed, by both, as
    /// `de→en`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, Measures>,
    /// The questions whose answer is not among the first ten hits.
    pub missed: Vec<String>,
    /// Every question.
    #[serde(default)]
    pub questions: Vec<Asked>,
}

/// What became of one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub id: String,
    /// Its words.
    pub question: String,
    /// The rank of the first hit that answers it, from 1.
    pub first: Option<usize>,
    /// nDCG of the first ten.
    pub ndcg_10: f64,
    /// The time of the search.
    pub milliseconds: f64,
}

/// A report beside an earlier one on the same set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The measures before.
    pub before: Measures,
    /// Questions that both have.
    pub shared: usize,
    /// How many of them are answered better now.
    pub better: usize,
    /// Those that are answered worse, the greatest loss first.
    pub worse: Vec<Worse>,
}

/// A question that is answered worse than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worse {
    /// Its name.
    pub id: String,
    /// Its words.
    pub question: String,
    /// The rank of the first hit that answered it before.
    pub before: Option<usize>,
    /// The same now.
    pub now: Option<usize>,
    /// What nDCG of the first ten has lost.
    pub loss: f64,
}

impl Report {
    /// Reads a report that was saved.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not one.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || Ok(serde_json::from_slice(&std::fs::read(path)?)?);
        read().map_err(|error: std::io::Error| no_report(path, &error))
    }

    /// Saves it as JSON.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let save = || std::fs::write(path, serde_json::to_vec_pretty(self)?);
        save().map_err(|error| no_report(path, &error))
    }

    /// This report beside an earlier one.
    pub fn compared(&self, before: &Self) -> Comparison {
        let earlier: HashMap<&str, &Asked> =
            before.questions.iter().map(|asked| (asked.id.as_str(), asked)).collect();
        let shared: Vec<(&Asked, &Asked)> = self
            .questions
            .iter()
            .filter_map(|now| Some((now, *earlier.get(now.id.as_str())?)))
            .collect();
        // By rank where nDCG says nothing, beyond the first ten.
        let gain =
            |asked: &Asked| (asked.ndcg_10, asked.first.map_or(0.0, |rank| 1.0 / rank as f64));
        let is_less = |a: &Asked, b: &Asked| gain(a) < gain(b);
        let mut worse: Vec<Worse> = shared
            .iter()
            .filter(|(now, before)| is_less(now, before))
            .map(|(now, before)| Worse {
                id: now.id.clone(),
                question: now.question.clone(),
                before: before.first,
                now: now.first,
                loss: before.ndcg_10 - now.ndcg_10,
            })
            .collect();
        worse.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        Comparison {
            before: before.all.clone(),
            shared: shared.len(),
            better: shared.iter().filter(|(now, before)| is_less(before, now)).count(),
            worse,
        }
    }
}

fn no_report(path: &Path, error: &std::io::Error) -> AppError {
    AppError::new(
        ErrorCode::InvalidInput,
        format!("{}: {error}", path.display()),
        "A report is a file that `lectern eval SET --save FILE` wrote.",
    )
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

/// How a set is searched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Which legs.
    pub mode: SearchMode,
    /// What the search leaves out.
    pub plan: SearchPlan,
    /// Ask the questions of each language within the documents of each.
    pub across: bool,
}

/// What is asked, and what answers it.
struct Trial {
    id: String,
    question: String,
    answers: Vec<String>,
    relevant: Vec<Place>,
    /// Its language, or both.
    lang: Option<String>,
    /// The folder of the documents.
    within: PathBuf,
}

/// Searches for every answerable question in a library that holds the set's
/// corpus, and measures what was found.
///
/// # Errors
///
/// When the set cannot be read or searched, or languages are to be crossed that do not lie in folders of
/// their own.
pub async fn evaluate(app: &App, set: &Path, settings: Settings) -> Result<Report> {
    let corpus = corpus(set)?;
    let answerable: Vec<Query> =
        queries(set)?.into_iter().filter(|query| query.answerable).collect();
    let trials = if settings.across {
        crossed(&answerable, &corpus).map_err(|what| invalid(&set.join("queries.jsonl"), &what))?
    } else {
        answerable.into_iter().map(|query| Trial::of(query, &corpus)).collect()
    };
    let mut outcomes = Vec::new();
    let (mut missed, mut questions) = (Vec::new(), Vec::new());
    for trial in trials {
        let request = SearchRequest {
            query: trial.question.clone(),
            k: DEPTH,
            mode: settings.mode,
            filter: Filter {
                within: vec![trial.within.to_string_lossy().into_owned()],
                ..Filter::default()
            },
        };
        let reply = match app.search_by(&request, settings.plan).await {
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
        let texts = reply.hits.iter().map(|hit| hit.text.as_str());
        let outcome = Outcome {
            answered_5: measures::is_answered(texts.take(5), &trial.answers),
            ..Outcome::new(found, &trial.relevant, reply.milliseconds)
        };
        if outcome.first.is_none_or(|first| first > 10) {
            missed.push(trial.id.clone());
        }
        questions.push(Asked {
            id: trial.id,
            question: trial.question,
            first: outcome.first,
            ndcg_10: outcome.ndcg,
            milliseconds: outcome.milliseconds,
        });
        outcomes.push((trial.lang, outcome));
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
        questions,
    })
}

impl Trial {
    fn of(query: Query, corpus: &Path) -> Self {
        let Query { id, question, lang, answers, relevant, .. } = query;
        Self { id, question, answers, relevant, lang, within: corpus.to_owned() }
    }
}

/// Each question within the documents of each language, where what answers it is what answers the same
/// question in that language.
fn crossed(queries: &[Query], corpus: &Path) -> std::result::Result<Vec<Trial>, String> {
    let languages: BTreeSet<&str> =
        queries.iter().filter_map(|query| query.lang.as_deref()).collect();
    if languages.len() < 2 {
        return Err("the questions are not in several languages".to_owned());
    }
    let mut trials = Vec::new();
    for target in languages {
        let of_target = || queries.iter().filter(|query| query.lang.as_deref() == Some(target));
        let files =
            of_target().flat_map(|query| &query.relevant).map(|place| Path::new(&place.file));
        let folder = common_folder(files)
            .ok_or_else(|| format!("the documents in {target} have no folder of their own"))?;
        let same: HashMap<&str, &Query> =
            of_target().filter_map(|query| Some((query.parallel_id.as_deref()?, query))).collect();
        for query in queries {
            let (Some(lang), Some(parallel)) = (&query.lang, &query.parallel_id) else { continue };
            let Some(same) = same.get(parallel.as_str()) else { continue };
            trials.push(Trial {
                id: format!("{}→{target}", query.id),
                question: query.question.clone(),
                answers: same.answers.clone(),
                relevant: same.relevant.clone(),
                lang: Some(format!("{lang}→{target}")),
                within: corpus.join(&folder),
            });
        }
    }
    Ok(trials)
}

/// The deepest folder that holds all of them, if it is one below the corpus.
fn common_folder<'a>(files: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let folders = files.map(|file| file.parent().unwrap_or(Path::new("")).to_owned());
    let common = folders.reduce(|common, folder| {
        let both = common.components().zip(folder.components());
        both.take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
    });
    common.filter(|common| !common.as_os_str().is_empty())
}

fn invalid(path: &Path, error: &dyn std::fmt::Display) -> AppError {
    AppError::new(
        ErrorCode::InvalidInput,
        format!("{}: {error}", path.display()),
        "A question set is a folder with `corpus/` and `queries.jsonl`.",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn report(asked: &[(&str, Option<usize>, f64)]) -> Report {
        Report {
            all: Measures::over(std::iter::empty()),
            languages: BTreeMap::new(),
            missed: Vec::new(),
            questions: asked
                .iter()
                .map(|(id, first, ndcg)| Asked {
                    id: (*id).into(),
                    question: format!("{id}?"),
                    first: *first,
                    ndcg_10: *ndcg,
                    milliseconds: 1.0,
                })
                .collect(),
        }
    }

    #[test]
    fn a_report_says_what_became_worse_since_another() {
        let before = report(&[
            ("a", Some(1), 1.0),
            ("b", Some(2), 0.6),
            ("c", Some(20), 0.0),
            ("d", None, 0.0),
        ]);
        let now = report(&[
            ("a", Some(3), 0.5),
            ("b", Some(1), 1.0),
            ("c", Some(30), 0.0),
            ("d", None, 0.0),
            ("e", Some(1), 1.0),
        ]);
        let compared = now.compared(&before);
        assert_eq!((compared.shared, compared.better), (4, 1));
        let worse: Vec<_> = compared
            .worse
            .iter()
            .map(|worse| (worse.id.as_str(), worse.before, worse.now))
            .collect();
        assert_eq!(worse, [("a", Some(1), Some(3)), ("c", Some(20), Some(30))]);
    }

    #[test]
    fn languages_are_crossed_by_what_questions_share() {
        let query = |id: &str, lang: &str, parallel: Option<&str>, file: &str| Query {
            id: id.into(),
            question: format!("{id}?"),
            lang: Some(lang.into()),
            parallel_id: parallel.map(Into::into),
            answers: vec![format!("answer in {lang}")],
            relevant: vec![Place { file: file.into(), page: None }],
            answerable: true,
        };
        let queries = [
            query("en1", "en", Some("1"), "en/a/x.txt"),
            query("en2", "en", Some("2"), "en/b/y.txt"),
            query("de1", "de", Some("1"), "de/x.txt"),
            // Without a question in English beside it, and without any.
            query("de3", "de", Some("3"), "de/z.txt"),
            query("de4", "de", None, "de/z.txt"),
        ];
        let trials = crossed(&queries, Path::new("/corpus")).unwrap();
        let told: Vec<(&str, &str, &str, &str)> = trials
            .iter()
            .map(|trial| {
                let within = trial.within.to_str().unwrap();
                (&*trial.id, trial.lang.as_deref().unwrap(), within, &*trial.relevant[0].file)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("en1→de", "en→de", "/corpus/de", "de/x.txt"),
                ("de1→de", "de→de", "/corpus/de", "de/x.txt"),
                ("de3→de", "de→de", "/corpus/de", "de/z.txt"),
                ("en1→en", "en→en", "/corpus/en", "en/a/x.txt"),
                ("en2→en", "en→en", "/corpus/en", "en/b/y.txt"),
                ("de1→en", "de→en", "/corpus/en", "en/a/x.txt"),
            ]
        );
        assert_eq!(trials[0].answers, ["answer in de"]);
        for (queries, what) in [
            (&queries[..2], "several languages"),
            (&[query("a", "en", None, "x.txt"), query("b", "de", None, "de/x.txt")][..], "folder"),
        ] {
            let error = crossed(queries, Path::new("/corpus")).err().unwrap();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_saved_and_nothing_else_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let saved = report(&[("a", Some(1), 1.0)]);
        saved.save(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), saved);
        for (name, content) in [("other.json", Some("{}")), ("missing.json", None)] {
            let path = folder.path().join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            assert_eq!(Report::read(&path).unwrap_err().code, ErrorCode::InvalidInput, "{name}");
        }
    }
}
