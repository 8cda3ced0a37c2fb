//! How well the support score tells claims that a source bears out from claims it
//! does not: the area under the ROC curve over a question set with a folder
//! `corpus` of text files and a file `queries.jsonl`.
//!
//! `cargo run -p lectern-answer --example support_eval -- FOLDER [FIRST [PAIRS]]`
//!
//! FIRST (default 0) is the first paragraph that is taken; then every nth is. The
//! limits of the score were chosen on the default, so other values are unseen. Into the file
//! PAIRS goes a JSON line for each claim, with the quote that it was compared with, for what
//! else may judge them (`measure vectors`, `measure odds`). How long a check takes is said last.
//!
//! Claims are made from the set by fixed rules and checked against their paragraph
//! among four others of the same article:
//! - *verbatim*: sentences of 200 paragraphs; and the same with a number, a name or
//!   the negation changed;
//! - *other article*, *same article*: sentences of paragraphs that are not among the
//!   sources;
//! - *answered*: a question with its answer (words rather unlike the source's), and
//!   the same question with the answer of another question on the paragraph.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use lectern_answer::Passage;
use lectern_answer::sentences::AnswerSentence;
use lectern_answer::support::{Checker, PARTIAL, SUPPORTED};
use lectern_domain::{CharRange, ChunkId, DocumentId, char_slice, sentences};

const PARAGRAPHS: usize = 200;

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of a question set");
    let folder = Path::new(&folder);
    let first: usize = std::env::args().nth(2).map_or(0, |first| first.parse().expect("a number"));
    let mut names: Vec<String> = std::fs::read_dir(folder.join("corpus"))
        .expect("a folder named corpus")
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let texts: Vec<String> = names
        .iter()
        .map(|name| std::fs::read_to_string(folder.join("corpus").join(name)).unwrap())
        .collect();
    let article = |name: &str| name.rsplit_once("__").map_or(name, |(title, _)| title).to_owned();

    let mut scores: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let mut judged = Judged {
        pairs: std::env::args().nth(3).map(|path| std::fs::File::create(path).expect("PAIRS")),
        milliseconds: Vec::new(),
    };
    let step = (texts.len() / PARAGRAPHS).max(1);
    let all_sentences: Vec<Vec<&str>> = texts.iter().map(|t| split(t)).collect();
    let pool: Vec<&str> = texts.iter().flat_map(|t| capitalised(t)).collect();
    for index in (first..texts.len()).step_by(step).take(PARAGRAPHS) {
        let sources = around(&names, index, &article);
        let checker = Checker::new(&passages(&names, &texts, &sources));
        let mut score = |kind: &str, claim: &str| judged.score(&checker, kind, claim);
        let same = (0..names.len())
            .find(|i| !sources.contains(i) && article(&names[*i]) == article(&names[index]));
        let other = (index + texts.len() / 2) % texts.len();
        for (at, sentence) in
            all_sentences[index].iter().enumerate().filter(|(_, s)| s.chars().count() > 24)
        {
            scores.entry("verbatim").or_default().push(score("verbatim", sentence));
            if let Some(changed) = change_number(sentence) {
                scores.entry("number").or_default().push(score("number", &changed));
            }
            let stranger = pool[(index * 7919 + at * 104_729) % pool.len()];
            if let Some(changed) = change_name(sentence, stranger) {
                scores.entry("name").or_default().push(score("name", &changed));
            }
            if let Some(changed) = change_negation(sentence) {
                scores.entry("negation").or_default().push(score("negation", &changed));
            }
            let foreign = &all_sentences[other];
            let foreign = foreign[at % foreign.len()];
            scores.entry("other article").or_default().push(score("other article", foreign));
            if let Some(same) = same {
                let foreign = &all_sentences[same];
                let foreign = foreign[at % foreign.len()];
                scores.entry("same article").or_default().push(score("same article", foreign));
            }
        }
    }

    let queries = std::fs::read_to_string(folder.join("queries.jsonl")).expect("queries.jsonl");
    let mut by_file: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in queries.lines() {
        let query: serde_json::Value = serde_json::from_str(line).unwrap();
        if let (Some(question), Some(answer), Some(file)) = (
            query["question"].as_str(),
            query["answers"][0].as_str(),
            query["relevant"][0]["file"].as_str(),
        ) {
            by_file
                .entry(file.to_owned())
                .or_default()
                .push((question.to_owned(), answer.to_owned()));
        }
    }
    for (file, asked) in &by_file {
        let Some(index) = names.iter().position(|name| name == file) else { continue };
        let checker = Checker::new(&passages(&names, &texts, &around(&names, index, &article)));
        let mut score = |kind: &str, question: &str, answer: &str| {
            judged.score(&checker, kind, &declare(question, answer))
        };
        for (at, (question, answer)) in asked.iter().enumerate() {
            scores.entry("answered").or_default().push(score("answered", question, answer));
            let stranger = pool[(index * 7919 + at * 104_729) % pool.len()];
            let kind = "wrong answer";
            scores.entry(kind).or_default().push(score(kind, question, stranger));
            if let Some((_, wrong)) =
                asked.iter().find(|(other, wrong)| other != question && wrong != answer)
            {
                let kind = "neighbour's answer";
                scores.entry(kind).or_default().push(score(kind, question, wrong));
            }
        }
    }

    println!("{:<20} {:>6} {:>6} {:>10} {:>8}", "claims", "count", "mean", "supported", "partial");
    for (name, scores) in &scores {
        let share = |low: f32, high: f32| {
            scores.iter().filter(|s| **s >= low && **s < high).count() as f32 / scores.len() as f32
        };
        let mean = scores.iter().sum::<f32>() / scores.len() as f32;
        println!(
            "{name:<20} {:>6} {mean:>6.3} {:>10.3} {:>8.3}",
            scores.len(),
            share(SUPPORTED, f32::MAX),
            share(PARTIAL, SUPPORTED)
        );
    }
    println!();
    for (positive, negatives) in [
        ("verbatim", &["number", "name", "negation", "other article", "same article"][..]),
        ("answered", &["wrong answer", "neighbour's answer", "other article", "same article"][..]),
    ] {
        let mut all = Vec::new();
        for negative in negatives {
            let Some(values) = scores.get(negative) else { continue };
            println!("AUROC {positive} / {negative}: {:.4}", auroc(&scores[positive], values));
            all.extend_from_slice(values);
        }
        println!("AUROC {positive} / all: {:.4}", auroc(&scores[positive], &all));
    }
    let times = &mut judged.milliseconds;
    times.sort_by(f64::total_cmp);
    println!(
        "milliseconds for a sentence: {:.2} in the median, {:.2} in the 95th percentile",
        times[times.len() / 2],
        times[times.len() * 95 / 100]
    );
}

/// What checks claims, and keeps what it saw.
struct Judged {
    pairs: Option<std::fs::File>,
    milliseconds: Vec<f64>,
}

impl Judged {
    fn score(&mut self, checker: &Checker, kind: &str, claim: &str) -> f32 {
        let start = Instant::now();
        let checked = checker.check(&claim_of(claim)).unwrap();
        self.milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        if let Some(pairs) = &mut self.pairs {
            let quote = checked.quotes.first().map(|quote| &quote.quote);
            let pair = serde_json::json!({
                "kind": kind, "claim": claim, "quote": quote, "score": checked.score,
            });
            writeln!(pairs, "{pair}").unwrap();
        }
        checked.score
    }
}

fn split(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|range| char_slice(text, range)).collect()
}

/// The paragraph and up to four that follow it in its article.
fn around(names: &[String], index: usize, article: &dyn Fn(&str) -> String) -> Vec<usize> {
    (index..(index + 5).min(names.len()))
        .filter(|&i| article(&names[i]) == article(&names[index]))
        .collect()
}

fn passages(names: &[String], texts: &[String], sources: &[usize]) -> Vec<Passage> {
    sources
        .iter()
        .map(|&i| Passage {
            chunk: ChunkId(i as i64),
            document: DocumentId(i as i64),
            path: format!("/{}", names[i]),
            page: None,
            range: CharRange::new(0, texts[i].chars().count() as u32),
            heading: Vec::new(),
            opening: Vec::new(),
            text: texts[i].clone(),
            score: 0.0,
        })
        .collect()
}

fn claim_of(text: &str) -> AnswerSentence {
    AnswerSentence {
        range: CharRange::new(0, text.chars().count() as u32),
        text: text.to_owned(),
        citations: vec![1],
    }
}

fn declare(question: &str, answer: &str) -> String {
    format!("{} {answer}.", question.trim_end_matches(['?', ' ']))
}

fn capitalised(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| !pair[0].ends_with(['.', '!', '?', '"']))
        .map(|pair| pair[1].trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.len() > 3 && word.starts_with(char::is_uppercase))
        .collect()
}

fn change_number(sentence: &str) -> Option<String> {
    let at = sentence.find(|c: char| c.is_ascii_digit())?;
    let digits = sentence[at..].bytes().take_while(u8::is_ascii_digit).count();
    let value: u64 = sentence[at..at + digits].parse().ok()?;
    Some(format!("{}{}{}", &sentence[..at], value + 3, &sentence[at + digits..]))
}

fn change_name(sentence: &str, stranger: &str) -> Option<String> {
    let name = capitalised(sentence).into_iter().last().filter(|name| *name != stranger)?;
    let at = sentence.rfind(name)?;
    Some(format!("{}{stranger}{}", &sentence[..at], &sentence[at + name.len()..]))
}

fn change_negation(sentence: &str) -> Option<String> {
    if let Some(at) = sentence.find(" not ") {
        return Some(format!("{}{}", &sentence[..at], &sentence[at + 4..]));
    }
    let verb = [" is ", " was ", " are ", " were ", " can ", " has been "]
        .into_iter()
        .find(|verb| sentence.contains(verb))?;
    Some(sentence.replacen(verb, &format!("{verb}not "), 1))
}

/// The chance that a random claim of the first list scores above one of the second.
fn auroc(positives: &[f32], negatives: &[f32]) -> f64 {
    let mut sorted = negatives.to_vec();
    sorted.sort_by(f32::total_cmp);
    let above: f64 = positives
        .iter()
        .map(|score| {
            let below = sorted.partition_point(|other| other < score);
            let up_to = sorted.partition_point(|other| other <= score);
            (below as f64 + up_to as f64) / 2.0
        })
        .sum();
    above / (positives.len() as f64 * negatives.len() as f64)
}
