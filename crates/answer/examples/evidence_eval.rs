//! What gaps between a question and a passage tell of whether the passage answers it (see
//! `lectern_answer::evidence`), and how well the model's odds tell that with them and without.
//!
//! `cargo run -p lectern-answer --example evidence_eval -- SET EVERY [REPORT…]`
//!
//! SET is a question set of one paragraph a file; each question is compared with its paragraph, or
//! with the one that only seems to answer it, and every EVERYth of each kind is kept apart. A report
//! is what `lectern --json eval SET --answers` prints: of its questions the odds are taken.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use lectern_answer::Passage;
use lectern_answer::evidence::Gaps;
use lectern_domain::{CharRange, ChunkId, DocumentId};
use serde_json::Value;

const NAMES: [&str; 3] = ["names", "numbers", "negation"];
/// Added to each share, so that none is 0.
const SMALL: f64 = 0.003;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [set, every, reports @ ..] = arguments.as_slice() else {
        panic!("usage: evidence_eval SET EVERY [REPORT…]")
    };
    let every: usize = every.parse().expect("a number");
    gaps(Path::new(set), every);
    if !reports.is_empty() {
        odds(reports);
    }
}

/// How often each gap is seen, with an answer and without.
fn gaps(set: &Path, every: usize) {
    let queries = std::fs::read_to_string(set.join("queries.jsonl")).expect("queries.jsonl");
    let mut counts = [0; 2];
    let mut seen = [[0; NAMES.len()]; 2];
    let mut numbers = [0; 2];
    for line in queries.lines() {
        let query: Value = serde_json::from_str(line).unwrap();
        let kind = usize::from(query["answerable"].as_bool().unwrap());
        numbers[kind] += 1;
        if (numbers[kind] - 1) % every == 0 {
            continue;
        }
        let place = if kind == 1 { &query["relevant"] } else { &query["near"] };
        let Some(file) = place[0]["file"].as_str() else { continue };
        let text = std::fs::read_to_string(set.join("corpus").join(file)).unwrap();
        let found = Gaps::between(query["question"].as_str().unwrap(), &[&passage(file, text)]);
        counts[kind] += 1;
        for (count, gap) in seen[kind].iter_mut().zip(found.all()) {
            *count += usize::from(gap > 0.0);
        }
    }
    println!("{} questions with an answer, {} without", counts[1], counts[0]);
    for (at, name) in NAMES.iter().enumerate() {
        let [without, with] = [0, 1].map(|kind| seen[kind][at] as f64 / counts[kind] as f64);
        let ratio = ((without + SMALL) / (with + SMALL)).ln();
        println!("{name:9} {with:.3} {without:.3}, logarithm of the ratio {ratio:.2}");
    }
}

/// How well the odds tell one kind from the other, and what limits would refuse.
fn odds(reports: &[String]) {
    let mut with = Vec::new();
    let mut without = Vec::new();
    for path in reports {
        let content = std::fs::read_to_string(path).expect("a report");
        // Events of the import may stand before it.
        let report: Value = serde_json::from_str(content.lines().last().unwrap()).expect("JSON");
        for question in report["questions"].as_array().expect("questions") {
            let answerable = question["answerable"].as_bool().unwrap();
            let asked = question["question"].as_str().unwrap();
            let of_passages = question["passages"].as_array().unwrap().iter().filter_map(|shown| {
                let likelihood = shown["evidence"].as_f64()?.clamp(1e-6, 1. - 1e-6);
                let (file, text) = (shown["document"].as_str()?, shown["text"].as_str()?);
                let gaps = Gaps::between(asked, &[&passage(file, text.to_owned())]);
                let weighed = (likelihood / (1. - likelihood)).ln();
                Some((weighed, weighed + f64::from(gaps.cost())))
            });
            let of_passages: Vec<(f64, f64)> = of_passages.collect();
            if of_passages.is_empty() {
                continue;
            }
            let most = |values: Vec<f64>| values.into_iter().fold(f64::MIN, f64::max);
            with.push((most(of_passages.iter().map(|it| it.0).collect()), answerable));
            without.push((most(of_passages.iter().map(|it| it.1).collect()), answerable));
        }
    }
    for (name, scored) in [("odds alone", &without), ("with gaps", &with)] {
        println!("{name}: AUROC {:.3}", auroc(scored));
        for limit in [0.3, 0.35, 0.4, 0.43, 0.47, 0.5, 0.6] {
            let share = |answerable: bool| {
                let of: Vec<f64> =
                    scored.iter().filter(|it| it.1 == answerable).map(|it| it.0).collect();
                let below = of.iter().filter(|odds| 1. / (1. + (-**odds).exp()) < limit).count();
                below as f64 / of.len() as f64
            };
            println!(
                "  below {limit:.2}: {:.2} with an answer, {:.2} without",
                share(true),
                share(false)
            );
        }
    }
}

fn passage(file: &str, text: String) -> Passage {
    Passage {
        chunk: ChunkId(0),
        document: DocumentId(0),
        path: file.to_owned(),
        page: None,
        range: CharRange::new(0, text.chars().count() as u32),
        heading: Vec::new(),
        opening: Vec::new(),
        text,
        score: 0.0,
    }
}

/// The chance that a random question with an answer scores above one without.
fn auroc(scored: &[(f64, bool)]) -> f64 {
    let (mut above, mut pairs) = (0., 0.);
    for (right, _) in scored.iter().filter(|it| it.1) {
        for (wrong, _) in scored.iter().filter(|it| !it.1) {
            pairs += 1.;
            above += if right > wrong {
                1.
            } else if right == wrong {
                0.5
            } else {
                0.
            };
        }
    }
    above / pairs
}
