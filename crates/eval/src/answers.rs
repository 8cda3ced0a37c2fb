//! Answers, measured: is the gold answer in them, do they cite the gold passage, and are
//! questions refused that the corpus does not answer, and only those.

use std::path::Path;

use lectern_app::{Answer, AnswerPassage, App, AskRequest, Filter, Result, SupportLevel};
use lectern_domain::is_cjk;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Query, corpus, queries};

/// Which questions of a set are asked: of the answerable and of the unanswerable ones each
/// number `first`, `first + every`, `first + 2 * every`, … (from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The first number.
    pub first: usize,
    /// The step; 1 asks all.
    pub every: usize,
}

impl Sample {
    fn of(self, queries: Vec<Query>) -> Vec<Query> {
        let mut counts = [0; 2];
        let mut is_chosen = |query: &Query| {
            let count = &mut counts[usize::from(query.answerable)];
            let number = *count;
            *count += 1;
            number >= self.first && (number - self.first).is_multiple_of(self.every.max(1))
        };
        queries.into_iter().filter(|query| is_chosen(query)).collect()
    }
}

/// What became of one question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerOutcome {
    /// The question's name in the set.
    pub id: String,
    /// The question.
    pub question: String,
    /// What was answered.
    pub answer: String,
    /// Whether the corpus holds an answer.
    pub answerable: bool,
    /// Whether it was refused.
    pub refused: bool,
    /// How likely the model found it that the sources hold the answer.
    pub evidence: Option<f32>,
    /// The support of each sentence by what it cites, 0 to 1; `null` of one that claims nothing.
    pub support: Vec<Option<f32>>,
    /// The passages that were found.
    pub passages: Vec<AnswerPassage>,
    /// Whether one of the gold answers stands in the answer.
    pub gold: bool,
    /// Whether a citation is in a gold document, or on a gold page of it.
    pub cited: bool,
    /// Whether a gold document, or page, is among the passages that were found.
    pub found: bool,
    /// Markers in the text that have no citation.
    pub dangling: usize,
    /// Quotes that do not stand in their document to the letter.
    pub misquotes: usize,
    /// Milliseconds until the passages were there, each with the sentence that answers.
    pub passages_ms: f64,
    /// Milliseconds to the first text; `None` where no model was asked.
    pub first_token_ms: Option<f64>,
    /// Milliseconds in all.
    pub total_ms: f64,
}

/// What a set measured. Shares are `None` where they are of nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerReport {
    /// Answerable questions asked.
    pub answerable: usize,
    /// The share of them whose answer holds a gold answer.
    pub gold: Option<f64>,
    /// The share of the answers given to them that cite a gold document or page.
    pub cited: Option<f64>,
    /// The share of them that were refused.
    pub refused_falsely: Option<f64>,
    /// Unanswerable questions asked.
    pub unanswerable: usize,
    /// The share of them that were refused.
    pub refused_rightly: Option<f64>,
    /// Markers without a citation, in all answers.
    pub dangling: usize,
    /// Quotes that are not in their document, in all answers.
    pub misquotes: usize,
    /// Milliseconds until the passages were there, in the median and the 95th percentile.
    pub passages_ms: [Option<f64>; 2],
    /// Median milliseconds to the first text.
    pub first_token_ms: Option<f64>,
    /// Median milliseconds in all.
    pub total_ms: Option<f64>,
    /// Each question.
    pub questions: Vec<AnswerOutcome>,
}

/// Asks a sample of a set's questions in a library that holds its corpus. `each` hears of
/// every outcome at once. With `min_evidence` 0 the model answers whatever it finds. What was
/// answered by the time it is cancelled is measured.
pub async fn evaluate_answers(
    app: &App,
    set: &Path,
    sample: Sample,
    min_evidence: Option<f32>,
    cancel: &CancellationToken,
    mut each: impl FnMut(&AnswerOutcome) + Send,
) -> Result<AnswerReport> {
    let corpus = corpus(set)?;
    let filter =
        Filter { within: vec![corpus.to_string_lossy().into_owned()], ..Filter::default() };
    let mut outcomes = Vec::new();
    for query in sample.of(queries(set)?) {
        let request = AskRequest {
            question: query.question.clone(),
            filter: filter.clone(),
            min_evidence,
            ..AskRequest::default()
        };
        let answer = app.ask(&request, |_| {}, cancel).await?;
        if cancel.is_cancelled() {
            break;
        }
        if let Some(conversation) = answer.conversation {
            app.delete_conversation(conversation)?;
        }
        let outcome = judge(app, &corpus, query, &answer).await?;
        each(&outcome);
        outcomes.push(outcome);
    }
    Ok(report(outcomes))
}

async fn judge(app: &App, corpus: &Path, query: Query, answer: &Answer) -> Result<AnswerOutcome> {
    let is_gold = |document: &str, page: Option<u32>| {
        let file = Path::new(document).strip_prefix(corpus).unwrap_or(Path::new(""));
        query.relevant.iter().any(|place| {
            Path::new(&place.file) == file && (place.page.is_none() || place.page == page)
        })
    };
    let mut misquotes = 0;
    for citation in &answer.citations {
        let text = app.text(Path::new(&citation.document)).await?;
        let text: String = text.pages.iter().map(|page| page.text.as_str()).collect();
        let (start, length) = (citation.start as usize, (citation.end - citation.start) as usize);
        let said: String = text.chars().skip(start).take(length).collect();
        misquotes += usize::from(said != citation.quote || said.is_empty());
    }
    let markers = markers(&answer.answer);
    let has_citation = |n: &u32| answer.citations.iter().any(|citation| citation.n == *n);
    Ok(AnswerOutcome {
        gold: !answer.abstained && holds_one_of(&answer.answer, &query.answers),
        cited: answer.citations.iter().any(|citation| is_gold(&citation.document, citation.page)),
        found: answer.passages.iter().any(|passage| is_gold(&passage.document, passage.page)),
        dangling: markers.iter().filter(|n| !has_citation(n)).count(),
        misquotes,
        refused: answer.abstained,
        evidence: answer.evidence,
        answerable: query.answerable,
        support: answer
            .sentences
            .iter()
            .map(|said| (said.support != SupportLevel::None).then_some(said.score))
            .collect(),
        passages: answer.passages.clone(),
        answer: answer.answer.clone(),
        passages_ms: answer.milliseconds.retrieval,
        first_token_ms: answer.milliseconds.first_token,
        total_ms: answer.milliseconds.total,
        id: query.id,
        question: query.question,
    })
}

fn report(outcomes: Vec<AnswerOutcome>) -> AnswerReport {
    let (answerable, unanswerable): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.answerable);
    let answered: Vec<_> = answerable.iter().copied().filter(|o| !o.refused).collect();
    AnswerReport {
        gold: share(&answerable, |outcome| outcome.gold),
        cited: share(&answered, |outcome| outcome.cited),
        refused_falsely: share(&answerable, |outcome| outcome.refused),
        refused_rightly: share(&unanswerable, |outcome| outcome.refused),
        dangling: outcomes.iter().map(|outcome| outcome.dangling).sum(),
        misquotes: outcomes.iter().map(|outcome| outcome.misquotes).sum(),
        passages_ms: [50, 95].map(|share| {
            percentile(outcomes.iter().map(|outcome| outcome.passages_ms).collect(), share)
        }),
        first_token_ms: percentile(outcomes.iter().filter_map(|o| o.first_token_ms).collect(), 50),
        total_ms: percentile(outcomes.iter().map(|outcome| outcome.total_ms).collect(), 50),
        answerable: answerable.len(),
        unanswerable: unanswerable.len(),
        questions: outcomes,
    }
}

fn share(of: &[&AnswerOutcome], is: impl Fn(&AnswerOutcome) -> bool) -> Option<f64> {
    let count = of.iter().filter(|outcome| is(outcome)).count();
    (!of.is_empty()).then(|| count as f64 / of.len() as f64)
}

/// What so many of a hundred values are below.
fn percentile(mut values: Vec<f64>, share: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * share / 100).copied()
}

/// Whether one of the gold answers stands in `answer`, as SQuAD's evaluation compares them:
/// without case, punctuation and articles, in whole words. Each character of Chinese is a word.
fn holds_one_of(answer: &str, gold: &[String]) -> bool {
    let answer = normalised(answer);
    gold.iter().map(|gold| normalised(gold)).any(|gold| gold != " " && answer.contains(&gold))
}

/// Its words, a space before and after each.
fn normalised(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for c in strip_markers(text).to_lowercase().chars() {
        match c {
            c if is_cjk(c) => spaced.extend([' ', c, ' ']),
            c if c.is_alphanumeric() => spaced.push(c),
            _ => spaced.push(' '),
        }
    }
    let words = spaced.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the"));
    words.fold(" ".to_owned(), |text, word| text + word + " ")
}

/// The numbers of the markers `[n]`.
fn markers(text: &str) -> Vec<u32> {
    let numbers = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    numbers.filter_map(|(number, _)| number.parse().ok()).collect()
}

fn strip_markers(text: &str) -> String {
    let mut stripped = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        stripped.push_str(before);
        let digits = from[1..].bytes().take_while(u8::is_ascii_digit).count();
        let is_marker = digits > 0 && from[1 + digits..].starts_with(']');
        stripped.push(' ');
        rest = &from[if is_marker { digits + 2 } else { 1 }..];
    }
    stripped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gold_answers_are_found_in_whole_words() {
        let cases = [
            ("It was built in 1891 [1].", &["1891"][..], true),
            ("It was built in 18910.", &["1891"], false),
            ("The Roman Empire did. [2]", &["roman", "the Greeks"], true),
            ("Romania did.", &["Roman"], false),
            ("It has 12[1] parts", &["12 parts"], true),
            ("它于1891年建成。[1]", &["1891年"], true),
            ("位于 上海 浦东", &["上海浦东"], true),
            ("分子式为CHCONH，", &["CHCONH"], true),
            ("anything", &[""], false),
            ("anything", &[], false),
        ];
        for (answer, gold, expected) in cases {
            let gold: Vec<String> = gold.iter().map(|gold| (*gold).to_owned()).collect();
            assert_eq!(holds_one_of(answer, &gold), expected, "{answer} {gold:?}");
        }
    }

    #[test]
    fn samples_count_each_kind_by_itself() {
        let query = |id: usize| Query {
            id: id.to_string(),
            question: String::new(),
            lang: None,
            parallel_id: None,
            relevant: Vec::new(),
            answers: Vec::new(),
            answerable: id % 3 != 0,
        };
        let chosen: Vec<String> = Sample { first: 1, every: 2 }
            .of((0..12).map(query).collect())
            .into_iter()
            .map(|query| query.id)
            .collect();
        // Answerable: 1 2 4 5 7 8 10 11, unanswerable: 0 3 6 9.
        assert_eq!(chosen, ["2", "3", "5", "8", "9", "11"]);
    }

    #[test]
    fn shares_are_of_what_they_are_named_for() {
        let outcome = |answerable, refused, gold, cited| AnswerOutcome {
            id: String::new(),
            question: String::new(),
            answer: String::new(),
            answerable,
            refused,
            evidence: None,
            support: Vec::new(),
            passages: Vec::new(),
            gold,
            cited,
            found: true,
            dangling: 1,
            misquotes: 0,
            passages_ms: 1.,
            first_token_ms: None,
            total_ms: 3.,
        };
        let report = report(vec![
            outcome(true, false, true, true),
            outcome(true, false, false, false),
            outcome(true, true, false, false),
            outcome(true, true, false, false),
            outcome(false, true, false, false),
        ]);
        assert_eq!((report.answerable, report.unanswerable), (4, 1));
        assert_eq!(report.gold, Some(0.25));
        assert_eq!(report.cited, Some(0.5));
        assert_eq!(report.refused_falsely, Some(0.5));
        assert_eq!(report.refused_rightly, Some(1.));
        assert_eq!((report.dangling, report.misquotes), (5, 0));
        assert_eq!((report.first_token_ms, report.total_ms), (None, Some(3.)));
        assert_eq!(report.passages_ms, [Some(1.); 2]);
    }
}
