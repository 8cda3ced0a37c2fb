//! Fits what gaps between a question and a passage take from the model's odds of a yes (see
//! `lectern_answer::evidence`), and shows what would be refused.
//!
//! `cargo run -p lectern-answer --example evidence_fit -- REPORT…`
//!
//! A report is what `lectern --json eval SET --answers --min-evidence 1` prints, which asks the
//! model about two passages of each question and answers none. The weights are those of a logistic
//! regression on the passage found first, and none is below 0; shares and areas are of questions
//! that were kept apart, a tenth each time.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use lectern_answer::Passage;
use lectern_answer::evidence::Gaps;
use lectern_domain::{CharRange, ChunkId, DocumentId};
use serde_json::Value;

const PARTS: usize = 10;
const NAMES: [&str; 5] = ["odds", "names", "numbers", "words", "negation"];

/// The logarithm of the odds of each passage that was asked about, and its gaps, negative.
struct Asked {
    answerable: bool,
    passages: Vec<[f64; 5]>,
}

fn main() {
    let asked: Vec<Asked> = std::env::args()
        .skip(1)
        .flat_map(|path| {
            let content = std::fs::read_to_string(&path).expect("a report");
            // Events of the import may stand before it.
            let report = content.lines().last().expect("a line").to_owned();
            let report: Value = serde_json::from_str(&report).expect("JSON");
            report["questions"].as_array().expect("questions").iter().map(read).collect::<Vec<_>>()
        })
        .filter(|asked| !asked.passages.is_empty())
        .collect();
    let answerable = asked.iter().filter(|asked| asked.answerable).count();
    println!("{answerable} answerable, {} not", asked.len() - answerable);
    for name in 1..NAMES.len() {
        let mean = |answerable: bool| {
            let of = asked.iter().filter(|asked| asked.answerable == answerable);
            let values: Vec<f64> = of.map(|asked| -asked.passages[0][name]).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        println!("{:9} {:.3} {:.3}", NAMES[name], mean(true), mean(false));
    }
    let all: Vec<&Asked> = asked.iter().collect();
    let weights = fitted(&all, true);
    let relative: Vec<String> = (1..NAMES.len())
        .map(|at| format!("{} {:.2}", NAMES[at], weights[at] / weights[0]))
        .collect();
    println!("in units of the odds: {}", relative.join(", "));
    for (name, gaps) in [("odds alone", false), ("with gaps", true)] {
        let mut scored = Vec::new();
        for part in 0..PARTS {
            let is_kept = |at: &usize| at % PARTS == part;
            let others: Vec<&Asked> =
                (0..asked.len()).filter(|at| !is_kept(at)).map(|at| &asked[at]).collect();
            let weights = fitted(&others, gaps);
            for at in (0..asked.len()).filter(is_kept) {
                let score = |passage: &[f64; 5]| dot(&weights, passage) / weights[0];
                let best = asked[at].passages.iter().map(score).fold(f64::MIN, f64::max);
                scored.push((best, asked[at].answerable));
            }
        }
        println!("{name}: AUROC {:.3}", auroc(&scored));
        for refused in [0.05, 0.1, 0.15, 0.2, 0.25] {
            let mut right: Vec<f64> = scored.iter().filter(|s| s.1).map(|s| s.0).collect();
            right.sort_by(f64::total_cmp);
            let limit = right[(refused * right.len() as f64) as usize];
            let wrong: Vec<f64> = scored.iter().filter(|s| !s.1).map(|s| s.0).collect();
            let rightly = wrong.iter().filter(|score| **score < limit).count();
            println!(
                "  refused below {:.2}: answerable {refused:.2}, not answerable {:.2}",
                1. / (1. + (-limit).exp()),
                rightly as f64 / wrong.len() as f64
            );
        }
    }
}

fn read(question: &Value) -> Asked {
    let asked = question["question"].as_str().unwrap();
    let passages = question["passages"].as_array().unwrap().iter().filter_map(|shown| {
        let likelihood = shown["evidence"].as_f64()?.clamp(1e-6, 1. - 1e-6);
        let words = |list: &Value| {
            list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let passage = Passage {
            chunk: ChunkId(0),
            document: DocumentId(0),
            path: shown["document"].as_str().unwrap().to_owned(),
            page: None,
            range: CharRange::new(0, 0),
            heading: words(&shown["heading"]),
            text: shown["text"].as_str().unwrap().to_owned(),
            score: 0.0,
        };
        let gaps = Gaps::between(asked, &[&passage]);
        // As the model said it, before it was weighed.
        let odds = (likelihood / (1. - likelihood)).ln() + f64::from(gaps.cost());
        let [names, numbers, words, negation] = gaps.all().map(|gap| -f64::from(gap));
        Some([odds, names, numbers, words, negation])
    });
    Asked { answerable: question["answerable"].as_bool().unwrap(), passages: passages.collect() }
}

fn dot(weights: &[f64; 6], passage: &[f64; 5]) -> f64 {
    weights.iter().zip(passage).map(|(weight, value)| weight * value).sum()
}

/// The weights, and the constant; by steps against the gradient, with a small penalty.
fn fitted(asked: &[&Asked], gaps: bool) -> [f64; 6] {
    let mut weights = [1., 0., 0., 0., 0., 0.];
    for _ in 0..20_000 {
        let mut gradient = [0.; 6];
        for one in asked {
            let value = dot(&weights, &one.passages[0]) + weights[5];
            let error = 1. / (1. + (-value).exp()) - f64::from(u8::from(one.answerable));
            for (slope, value) in gradient.iter_mut().zip(one.passages[0].iter().chain([&1.])) {
                *slope += error * value / asked.len() as f64;
            }
        }
        for (at, (weight, slope)) in weights.iter_mut().zip(gradient).enumerate() {
            let penalty = if (1..5).contains(&at) { 0.005 * *weight } else { 0. };
            *weight -= 0.05 * (slope + penalty);
            if (1..5).contains(&at) {
                *weight = if gaps { weight.max(0.) } else { 0. };
            }
        }
    }
    weights
}

/// The chance that a random answerable question scores above one that is not.
fn auroc(scored: &[(f64, bool)]) -> f64 {
    let (mut above, mut pairs) = (0., 0.);
    for (right, _) in scored.iter().filter(|s| s.1) {
        for (wrong, _) in scored.iter().filter(|s| !s.1) {
            pairs += 1.;
            above += match right.total_cmp(wrong) {
                std::cmp::Ordering::Greater => 1.,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.,
            };
        }
    }
    above / pairs
}
