use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Place;

/// What one question found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The rank of the first relevant document or page, from 1. Several passages
    /// of one place count as one hit, at the best rank.
    pub first: Option<usize>,
    /// Normalised discounted cumulative gain of the first ten, with a gain of 1
    /// for every relevant place (Järvelin and Kekäläinen 2002).
    pub ndcg: f64,
    /// The share of relevant places among the first ten.
    pub recall_10: f64,
    /// The share of relevant places among all that were found.
    pub recall: f64,
    /// Whether one of the gold answers stands in the first five passages; `None` where the set has none.
    pub answered_5: Option<bool>,
    /// The time of the search.
    pub milliseconds: f64,
}

/// Whether one of `answers` stands in one of `texts`, whatever its case and spaces; `None` where there is no
/// answer.
pub(crate) fn is_answered<'a>(
    texts: impl Iterator<Item = &'a str>,
    answers: &[String],
) -> Option<bool> {
    let normal = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let answers: Vec<String> =
        answers.iter().map(|answer| normal(answer)).filter(|answer| !answer.is_empty()).collect();
    let mut texts = texts.map(normal);
    (!answers.is_empty())
        .then(|| texts.any(|text| answers.iter().any(|answer| text.contains(answer.as_str()))))
}

impl Outcome {
    /// Judges the places that were found, best first.
    pub fn new(
        found: impl IntoIterator<Item = (String, Option<u32>)>,
        relevant: &[Place],
        milliseconds: f64,
    ) -> Self {
        // Where the set names no pages, a document is the place.
        let by_page = relevant.iter().any(|place| place.page.is_some());
        let wanted: HashSet<(&str, Option<u32>)> =
            relevant.iter().map(|place| (place.file.as_str(), place.page)).collect();
        let mut seen = HashSet::new();
        let mut ranks = Vec::new();
        for (file, page) in found {
            let place = (file, page.filter(|_| by_page));
            if !seen.insert(place.clone()) {
                continue;
            }
            if wanted.contains(&(place.0.as_str(), place.1)) {
                ranks.push(seen.len());
            }
        }
        let gain = |rank: usize| 1. / ((rank + 1) as f64).log2();
        let ideal: f64 = (1..=wanted.len().min(10)).map(gain).sum();
        let reached: f64 = ranks.iter().filter(|rank| **rank <= 10).map(|rank| gain(*rank)).sum();
        let share = |count: usize| count as f64 / wanted.len().max(1) as f64;
        Self {
            first: ranks.first().copied(),
            ndcg: if ideal > 0. { reached / ideal } else { 0. },
            recall_10: share(ranks.iter().filter(|rank| **rank <= 10).count()),
            recall: share(ranks.len()),
            answered_5: None,
            milliseconds,
        }
    }
}

/// Means over questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// How many questions.
    pub questions: usize,
    /// Mean nDCG of the first ten.
    pub ndcg_10: f64,
    /// Mean recall of the first ten.
    pub recall_10: f64,
    /// Mean recall of the first hundred.
    pub recall_100: f64,
    /// The share of questions whose first hit is relevant.
    pub top_1: f64,
    /// Mean reciprocal rank of the first relevant hit.
    pub mrr: f64,
    /// The share of questions with a gold answer that stands in the first five passages; `None` where the
    /// set has no answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_5: Option<f64>,
    /// Median time of a search, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of the time of a search, in milliseconds.
    pub p95_ms: f64,
}

impl Measures {
    /// The means over these outcomes.
    pub fn over<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        let outcomes: Vec<&Outcome> = outcomes.collect();
        let count = outcomes.len().max(1) as f64;
        let mean = |value: &dyn Fn(&Outcome) -> f64| {
            outcomes.iter().map(|outcome| value(outcome)).sum::<f64>() / count
        };
        let answered: Vec<bool> =
            outcomes.iter().filter_map(|outcome| outcome.answered_5).collect();
        let right = answered.iter().filter(|answered| **answered).count() as f64;
        let mut times: Vec<f64> = outcomes.iter().map(|outcome| outcome.milliseconds).collect();
        times.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let last = times.len().saturating_sub(1) as f64;
            times.get((last * share).round() as usize).copied().unwrap_or(0.)
        };
        Self {
            questions: outcomes.len(),
            ndcg_10: mean(&|outcome| outcome.ndcg),
            recall_10: mean(&|outcome| outcome.recall_10),
            recall_100: mean(&|outcome| outcome.recall),
            top_1: mean(&|outcome| f64::from(u8::from(outcome.first == Some(1)))),
            mrr: mean(&|outcome| outcome.first.map_or(0., |rank| 1. / rank as f64)),
            answered_5: (!answered.is_empty()).then(|| right / answered.len() as f64),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str, page: Option<u32>) -> Place {
        Place { file: file.into(), page }
    }

    fn outcome(found: &[(&str, u32)], relevant: &[Place]) -> Outcome {
        Outcome::new(found.iter().map(|(file, page)| ((*file).into(), Some(*page))), relevant, 1.)
    }

    #[test]
    fn judges_by_document_or_by_page_as_the_set_does() {
        let found = [("a", 1), ("a", 2), ("b", 7)];
        let cases = [
            (vec![place("a", None)], Some(1), 1.0),
            // Two passages of one document are one place, so b is second.
            (vec![place("b", None)], Some(2), 1. / 3f64.log2()),
            (vec![place("b", Some(7))], Some(3), 0.5),
            (vec![place("b", Some(8))], None, 0.),
            (vec![place("a", None), place("b", None)], Some(1), 1.0),
            (vec![], None, 0.),
        ];
        for (relevant, first, ndcg) in cases {
            let outcome = outcome(&found, &relevant);
            assert_eq!(outcome.first, first, "{relevant:?}");
            assert!((outcome.ndcg - ndcg).abs() < 1e-9, "{relevant:?}: {}", outcome.ndcg);
        }
    }

    #[test]
    fn a_passage_answers_where_it_holds_a_gold_answer() {
        let answers = |answers: &[&str]| answers.iter().map(|&a| a.to_owned()).collect::<Vec<_>>();
        let texts = ["The rent is\n900  Euros.", "Whales"];
        for (gold, expected) in [
            (&["900 euros"][..], Some(true)),
            (&["800 euros", "whale"], Some(true)),
            (&["800 euros"], Some(false)),
            (&[" "], None),
            (&[], None),
        ] {
            assert_eq!(is_answered(texts.into_iter(), &answers(gold)), expected, "{gold:?}");
        }
    }

    #[test]
    fn measures_are_means_over_the_questions() {
        let found = outcome(&[("a", 1)], &[place("a", None)]);
        let missed = outcome(&[("b", 1)], &[place("a", None)]);
        let measures = Measures::over([&found, &missed].into_iter());
        assert_eq!((measures.questions, measures.top_1, measures.recall_10), (2, 0.5, 0.5));
        assert_eq!(Measures::over(std::iter::empty()).questions, 0);
    }
}
