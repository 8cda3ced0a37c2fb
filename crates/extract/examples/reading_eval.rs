//! Measures how much of what a document says is read: the share of the words of an expected
//! text that the extraction has, as the mean per kind of document.
//!
//! `cargo run --example reading_eval -- FOLDER [PART]`: the folder has a `manifest.jsonl` whose lines name a
//! `file`, the file with the `expected` Markdown, and the `kind`. With PART, the files whose
//! names contain it are printed with what they lack.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;

/// Words in lower case with how often they occur; CJK characters are words of their own.
fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        let ideograph =
            ('\u{3040}'..='\u{9FFF}').contains(&c) || ('\u{AC00}'..='\u{D7AF}').contains(&c);
        if c.is_alphanumeric() && !ideograph {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            *words.entry(std::mem::take(&mut word)).or_default() += 1;
        }
        if ideograph {
            *words.entry(c.to_string()).or_default() += 1;
        }
    }
    words
}

/// The expected text without what Markdown adds to it: the targets of links and comments.
fn without_markup(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let mut text = String::new();
    let mut rest = out.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        text.push(' ');
        let end = after.find([')', ' ', '\n']).unwrap_or(0);
        rest = &after[end..];
    }
    text.push_str(rest);
    text.replace('\\', "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: reading_eval FOLDER [PART]")?;
    let folder = Path::new(&folder);
    let part = arguments.next();
    let (mut chunks, mut tokens) = (0usize, 0usize);
    let mut results: BTreeMap<&str, Vec<(f64, String)>> = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("manifest.jsonl"))?.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let file = field("file");
        let Ok(kind) = lectern_extract::detect(&folder.join(&file)) else { continue };
        let expected =
            words(&without_markup(&std::fs::read_to_string(folder.join(field("expected")))?));
        let read = lectern_extract::read(&folder.join(&file), kind);
        let (text, note) = match &read {
            Ok(extraction) => (extraction.text.as_str(), extraction.warnings.join("; ")),
            Err(error) => ("", error.to_string()),
        };
        if let Ok(extraction) = &read {
            let cut = lectern_extract::chunk(extraction);
            chunks += cut.len();
            tokens += cut.iter().map(|c| lectern_extract::estimate_tokens(&c.text)).sum::<usize>();
            let chunked: String = cut.into_iter().map(|c| c.text).collect();
            let solid =
                |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            if solid(&chunked) != solid(text) {
                println!("the chunks of {file} are not its text");
            }
        }
        let found = words(text);
        let all: usize = expected.values().sum();
        let hits: usize =
            expected.iter().map(|(word, n)| (*n).min(found.get(word).copied().unwrap_or(0))).sum();
        let share = if all == 0 { 1.0 } else { hits as f64 / all as f64 };
        if part.as_ref().is_some_and(|part| file.contains(part)) {
            let lacking: Vec<_> = expected
                .iter()
                .filter(|(word, n)| **n > found.get(*word).copied().unwrap_or(0))
                .map(|(word, n)| format!("{word}×{}", n - found.get(word).copied().unwrap_or(0)))
                .collect();
            println!("== {file} {share:.3}");
            for block in read.iter().flat_map(|extraction| &extraction.blocks) {
                println!("{:?}: {}", block.kind, lectern_domain::char_slice(text, block.range));
            }
            println!("-- lacks: {}", lacking.join(" "));
        }
        results.entry(kind.as_str()).or_default().push((share, format!("{file} {note}")));
    }
    for (kind, mut shares) in results {
        let mean = shares.iter().map(|(share, _)| share).sum::<f64>() / shares.len() as f64;
        println!("{kind}: {mean:.3} of the words, in {} files", shares.len());
        shares.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (share, file) in shares.iter().filter(|(share, _)| *share < 0.97).take(12) {
            println!("    {share:.3} {file}");
        }
    }
    println!("{chunks} chunks of {} estimated tokens in the mean", tokens / chunks.max(1));
    Ok(())
}
