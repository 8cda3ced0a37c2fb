//! Choosing what of the passages goes into the prompt.

use lectern_domain::{CharRange, ChunkId, char_slice, is_cjk, sentences};

use crate::Passage;
use crate::answering::Question;

/// How much may go into a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PackOptions {
    /// At most so many tokens of passages.
    pub max_tokens: usize,
    /// At most so many passages.
    pub max_passages: usize,
    /// A passage that does not fit whole is cut if at least so many tokens are left.
    pub min_tokens: usize,
    /// Passages after the first one take at most so many tokens each: a longer one is cut to its
    /// best sentences.
    pub further_tokens: usize,
    /// Passages after the first one are left out where their score is less than so much of the best
    /// score: a small model takes an answer from wherever the question's words occur.
    pub least_share: f32,
}

impl Default for PackOptions {
    /// Reading a prompt is what takes the time on a computer without a GPU.
    fn default() -> Self {
        Self {
            max_tokens: 1000,
            max_passages: 5,
            min_tokens: 60,
            further_tokens: usize::MAX,
            least_share: 0.0,
        }
    }
}

/// A passage with its number in the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its number, from 1.
    pub n: usize,
    /// The whole passage, which answers are checked against.
    pub passage: Passage,
    /// What of it the model reads: all of it, or its best sentences.
    pub shown: String,
}

/// What goes into the prompt, and what does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packed {
    /// The sources, numbered in this order.
    pub sources: Vec<Source>,
    /// How many tokens they take.
    pub tokens: usize,
    /// The passages that found no room, in their order.
    pub left_out: Vec<ChunkId>,
}

/// Packs `passages`, best first, into the budget. `count` tells how many tokens a
/// text takes. A passage within another one that is already packed is left out.
pub fn pack(
    passages: &[Passage],
    question: &str,
    options: &PackOptions,
    count: impl Fn(&str) -> usize,
) -> Packed {
    let mut packed = Packed::default();
    let best = passages.iter().map(|passage| passage.score).fold(0.0, f32::max);
    let least = if best > 0.0 { options.least_share * best } else { f32::MIN };
    for passage in passages {
        let repeats = packed.sources.iter().any(|source| {
            let other = &source.passage;
            other.document == passage.document
                && other.range.start <= passage.range.start
                && passage.range.end <= other.range.end
        });
        let most = if packed.sources.is_empty() { usize::MAX } else { options.further_tokens };
        let left = options.max_tokens.saturating_sub(packed.tokens).min(most);
        let full = packed.sources.len() >= options.max_passages;
        let is_far = !packed.sources.is_empty() && passage.score < least;
        let shown = if repeats || full || is_far || passage.text.trim().is_empty() {
            None
        } else if count(&passage.text) <= left {
            Some(passage.text.clone())
        } else if left >= options.min_tokens.min(most) {
            cut(&passage.text, question, left, &count)
        } else {
            None
        };
        match shown {
            Some(shown) => {
                packed.tokens += count(&shown);
                packed.sources.push(Source {
                    n: packed.sources.len() + 1,
                    passage: passage.clone(),
                    shown,
                });
            }
            None => packed.left_out.push(passage.chunk),
        }
    }
    packed
}

/// The sentences of `text` that are likeliest to answer, each with its
/// neighbours, as many as fit, in their order. "…" stands for what is left out.
fn cut(
    text: &str,
    question: &str,
    max_tokens: usize,
    count: &impl Fn(&str) -> usize,
) -> Option<String> {
    let ranges = sentences(text);
    let scores = Question::new(question, std::iter::once(text)).scores(text, &ranges);
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut chosen = vec![false; ranges.len()];
    let mut best = None;
    for center in order {
        // What stands after a sentence explains it more often than what stands before.
        for candidate in
            [Some(center), center.checked_add(1), center.checked_sub(1)].into_iter().flatten()
        {
            if candidate >= chosen.len() || chosen[candidate] {
                continue;
            }
            chosen[candidate] = true;
            let joined = join(text, &ranges, &chosen);
            if count(&joined) <= max_tokens {
                best = Some(joined);
            } else {
                chosen[candidate] = false;
            }
        }
    }
    best
}

fn join(text: &str, ranges: &[CharRange], chosen: &[bool]) -> String {
    let mut joined = String::new();
    let mut previous: Option<usize> = None;
    for (index, range) in ranges.iter().enumerate().filter(|(index, _)| chosen[*index]) {
        match previous {
            None if index > 0 => joined.push_str("… "),
            Some(before) if before + 1 == index => {
                joined.push_str(char_slice(text, CharRange::new(ranges[before].end, range.start)));
            }
            Some(_) => joined.push_str(" … "),
            None => {}
        }
        joined.push_str(char_slice(text, *range));
        previous = Some(index);
    }
    if previous.is_some_and(|last| last + 1 < ranges.len()) {
        joined.push_str(" …");
    }
    joined
}

/// About how many tokens `text` is: four characters of an alphabet, or one and a
/// half of Chinese, make one in the vocabularies of current models.
pub fn estimate_tokens(text: &str) -> usize {
    let (cjk, other) = text.chars().fold((0_usize, 0_usize), |(cjk, other), c| {
        if is_cjk(c) { (cjk + 1, other) } else { (cjk, other + 1) }
    });
    (cjk * 2).div_ceil(3) + other.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::passage;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn long(topic: &str, start: u32) -> Passage {
        let filler = "Nothing of note happens in this sentence at all.";
        passage(
            &format!(
                "{filler} {filler} Our {topic} costs ten euros. It is paid yearly. {filler} {filler}"
            ),
            start,
        )
    }

    #[test]
    fn packs_whole_passages_while_they_fit() {
        let passages = [long("boat", 0), long("car", 1000), long("dog", 2000)];
        let options = PackOptions {
            max_tokens: 100,
            max_passages: 2,
            min_tokens: 10,
            ..PackOptions::default()
        };
        let packed = pack(&passages, "What does the dog cost?", &options, words);
        let numbers: Vec<usize> = packed.sources.iter().map(|source| source.n).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(packed.sources.iter().all(|source| source.shown == source.passage.text));
        assert_eq!(packed.left_out, [ChunkId(2000)]);
        assert_eq!(packed.tokens, 2 * words(&passages[0].text));
    }

    #[test]
    fn cuts_a_passage_to_its_best_sentences_with_neighbours() {
        let passages = [long("boat", 0), long("car", 1000), long("dog", 2000)];
        let options = PackOptions {
            max_tokens: 46 + 14,
            max_passages: 5,
            min_tokens: 10,
            ..PackOptions::default()
        };
        let packed = pack(&passages, "What does the car cost?", &options, words);
        assert_eq!(packed.sources[1].shown, "… Our car costs ten euros. It is paid yearly. …");
        assert_eq!(packed.left_out, [ChunkId(2000)]);
        assert!(packed.tokens <= options.max_tokens);
        assert_eq!(packed.sources[1].passage, passages[1]);
    }

    #[test]
    fn shows_of_further_passages_the_best_sentences_only() {
        let passages = [long("boat", 0), long("car", 1000), passage("A dog is free.", 2000)];
        let options = PackOptions { further_tokens: 14, ..PackOptions::default() };
        let packed = pack(&passages, "What does the car cost?", &options, words);
        let shown: Vec<&str> = packed.sources.iter().map(|source| source.shown.as_str()).collect();
        let expected = [
            passages[0].text.as_str(),
            "… Our car costs ten euros. It is paid yearly. …",
            "A dog is free.",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn leaves_out_what_scores_far_less_than_the_best_but_never_the_first() {
        let scored = |start, score| Passage { score, ..passage("It costs ten euros.", start) };
        let cases: &[(&[f32], &[i64])] = &[
            (&[2.0, 0.9, 0.7, 1.1], &[2]),
            // The likeliest is read first, whatever its score.
            (&[0.5, 2.0, 0.5], &[2]),
            (&[-1.0, -3.0], &[]),
            (&[], &[]),
        ];
        for (scores, left_out) in cases {
            let passages: Vec<Passage> =
                (0..).zip(*scores).map(|(at, score)| scored(at, *score)).collect();
            let options = PackOptions { least_share: 0.4, ..PackOptions::default() };
            let packed = pack(&passages, "What does it cost?", &options, words);
            let expected: Vec<ChunkId> = left_out.iter().copied().map(ChunkId).collect();
            assert_eq!(packed.left_out, expected, "{scores:?}");
        }
    }

    #[test]
    fn leaves_out_what_repeats_or_is_empty_or_does_not_fit() {
        let whole = passage("The rent is ten euros. The deposit is twenty.", 0);
        let inside = Passage {
            chunk: ChunkId(7),
            range: CharRange::new(23, 45),
            ..passage("The deposit is twenty.", 23)
        };
        let elsewhere = passage("The deposit is twenty.", 100);
        let passages = [whole, inside, passage("  ", 300), elsewhere];
        let packed = pack(&passages, "deposit", &PackOptions::default(), words);
        assert_eq!(packed.left_out, [ChunkId(7), ChunkId(300)]);
        let none = pack(
            &passages,
            "deposit",
            &PackOptions { max_tokens: 3, min_tokens: 1, ..PackOptions::default() },
            words,
        );
        assert!(none.sources.is_empty());
        assert_eq!(none.left_out.len(), 4);
    }

    #[test]
    fn estimates_tokens_by_script() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("four tokens here"), 4);
        assert_eq!(estimate_tokens("合同金额"), 3);
    }
}
