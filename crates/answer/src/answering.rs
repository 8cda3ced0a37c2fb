//! Which sentence of a passage is likeliest to answer a question: found at once and without a
//! model, so that it can be shown before one speaks, and kept where a passage is too long.

use std::collections::{HashMap, HashSet};

use lectern_domain::{CharRange, char_slice, sentences};

use crate::Passage;
use crate::terms::{Term, TermKind, Terms, found};

/// What the question's words tell of the answer's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A number, a date, an amount.
    Number,
    /// A name of somebody or of a place.
    Name,
    /// They do not tell.
    Anything,
}

impl Wanted {
    fn of(question: &str) -> Self {
        const NUMBERS: &[&str] = &[
            " when ",
            " how many ",
            " how much ",
            " how long ",
            " how old ",
            " how far ",
            " how tall ",
            " how high ",
            " how large ",
            " how big ",
            " how often ",
            " what year ",
            " which year ",
            " what date ",
            " what day ",
            " what time ",
            " what age ",
            " what percent",
            " what number ",
        ];
        const NAMES: &[&str] = &[" who ", " whom ", " whose ", " where "];
        const CHINESE_NUMBERS: &[&str] = &[
            "多少",
            "几",
            "何时",
            "什么时候",
            "什么时间",
            "哪年",
            "哪一年",
            "何年",
            "多久",
            "多长",
            "多大",
            "多高",
            "哪天",
            "年份",
            "日期",
        ];
        let words: Vec<String> = question
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .map(str::to_owned)
            .filter(|word| !word.is_empty())
            .collect();
        let text = format!(" {} ", words.join(" "));
        let has = |list: &[&str]| list.iter().any(|words| text.contains(words));
        if has(NUMBERS) || CHINESE_NUMBERS.iter().any(|words| question.contains(words)) {
            Self::Number
        } else if has(NAMES) {
            Self::Name
        } else {
            Self::Anything
        }
    }

    fn is(self, kind: TermKind) -> bool {
        match self {
            Self::Number => matches!(kind, TermKind::Number | TermKind::Count),
            Self::Name => kind == TermKind::Name,
            Self::Anything => false,
        }
    }
}

/// How much a sentence gains by having what the question asks for.
const OF_THE_KIND: f32 = 0.25;
/// How much of what the sentence before says counts: "It was built in 1891."
const BEFORE: f32 = 0.4;
/// Below this a sentence has too little of the question to be shown as its answer.
const LEAST: f32 = 0.3;

/// A question that sentences are compared with.
pub(crate) struct Question {
    terms: Vec<(Term, f32)>,
    keys: HashSet<String>,
    wanted: Wanted,
}

impl Question {
    /// A word says less the more of `texts`, which were found for the question, have it.
    pub(crate) fn new<'a>(question: &str, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut frequency: HashMap<String, usize> = HashMap::new();
        let mut count = 0;
        for text in texts {
            for range in sentences(text) {
                count += 1;
                for key in Terms::of(char_slice(text, range)).keys {
                    *frequency.entry(key).or_default() += 1;
                }
            }
        }
        let terms = Terms::of(question);
        let weight = |term: &Term| {
            let found = frequency.get(&term.key).copied().unwrap_or(0) as f32;
            (1.0 + (count as f32 + 1.0) / (found + 1.0)).ln()
        };
        Self {
            terms: terms.terms.iter().map(|term| (term.clone(), weight(term))).collect(),
            keys: terms.keys,
            wanted: Wanted::of(question),
        }
    }

    /// How likely each of these neighbouring sentences is to answer, about 0 to 1.
    pub(crate) fn scores(&self, text: &str, ranges: &[CharRange]) -> Vec<f32> {
        let total: f32 = self.terms.iter().map(|(_, weight)| weight).sum();
        let mut before = vec![0.0; self.terms.len()];
        let mut scores = Vec::with_capacity(ranges.len());
        for range in ranges {
            let said = Terms::of(char_slice(text, *range));
            let here: Vec<f32> =
                self.terms.iter().map(|(term, _)| found(&term.key, &said.keys)).collect();
            let shared = self.terms.iter().zip(here.iter().zip(&before));
            let shared: f32 = shared
                .map(|((_, weight), (here, before))| weight * here.max(BEFORE * before))
                .sum();
            let is_of_the_kind = said
                .terms
                .iter()
                .any(|term| self.wanted.is(term.kind) && !self.keys.contains(&term.key));
            let share = if total > 0.0 { shared / total } else { 0.0 };
            scores.push(
                share + if is_of_the_kind { OF_THE_KIND * share.min(0.5) * 2.0 } else { 0.0 },
            );
            before = here;
        }
        scores
    }
}

/// The sentence of each passage that is likeliest to answer the question, in the characters of
/// its document; `None` where none has enough of the question.
pub fn answering(question: &str, passages: &[Passage]) -> Vec<Option<CharRange>> {
    let asked = Question::new(question, passages.iter().map(|passage| passage.text.as_str()));
    let best = |passage: &Passage| {
        let ranges = sentences(&passage.text);
        let scores = asked.scores(&passage.text, &ranges);
        // Of equals the first.
        let (range, score) =
            ranges.into_iter().zip(scores).rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let at = passage.range.start;
        (score >= LEAST).then(|| CharRange::new(at + range.start, at + range.end))
    };
    passages.iter().map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::passage;

    #[test]
    fn finds_the_sentence_that_answers() {
        let museum = "The museum opened in Vienna in 1891. It was built by Gottfried Semper. \
            It holds four thousand paintings, and admission costs 12 euros. Dogs stay outside.";
        let lease = "本合同自2024年3月1日起生效。承租人每月付租金1250元。承租人不得饲养动物。";
        let cases = [
            (museum, "When did the museum open?", "The museum opened in Vienna in 1891."),
            (museum, "Who built the museum?", "It was built by Gottfried Semper."),
            (
                museum,
                "How much is the admission?",
                "It holds four thousand paintings, and admission costs 12 euros.",
            ),
            (museum, "May dogs come in?", "Dogs stay outside."),
            (museum, "What is the capital of Peru?", ""),
            (lease, "租金是多少？", "承租人每月付租金1250元。"),
            (lease, "合同什么时候生效？", "本合同自2024年3月1日起生效。"),
        ];
        for (text, question, expected) in cases {
            let found = answering(question, &[passage(text, 500)])[0];
            let found = found.map_or("", |range| {
                char_slice(text, CharRange::new(range.start - 500, range.end - 500))
            });
            assert_eq!(found, expected, "{question}");
        }
    }
}
