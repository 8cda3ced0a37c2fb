//! The order of the best few, by how closely a passage has the query's words together.
//!
//! BM25 counts words wherever they stand, and a vector is of a whole passage. An answer mostly has the
//! words of its question in one sentence, and those that are neighbours in the question near each other
//! (the unordered windows of D. Metzler, W. B. Croft: *A Markov Random Field Model for Term
//! Dependencies*, SIGIR 2005). It is measured in `docs/benchmarks.md`.

use std::collections::{HashMap, HashSet};

use lectern_domain::{Chunk, ModelError, Reranker, char_slice, sentences};

use crate::words::words;

/// What the share of the query's words counts that the best sentence has.
const SENTENCE: f32 = 0.7;

/// What the share counts besides that only the headings have: of passages that are alike, they say which
/// is of the year or the company that is asked for.
const ABOVE: f32 = 1.5;

/// What the share of its neighbouring pairs counts that are near each other.
const PAIRS: f32 = 0.2;

/// How many times a number counts what a word does: the year or the paragraph that is asked for is exact.
const NUMBER: f32 = 2.5;

/// Two words are near each other with up to so many words' distance.
const NEAR: usize = 8;

/// Reranks by the query's words in the passages alone, without a model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proximity;

impl Reranker for Proximity {
    fn id(&self) -> &str {
        "proximity"
    }

    /// From 0 to 2.4, in the units of [`crate::fusion::Fused::score`]. A word counts the less, the more of
    /// the passages have it.
    fn rerank(&self, query: &str, passages: &[&Chunk]) -> Result<Vec<f32>, ModelError> {
        let query = query.to_lowercase();
        let asked = words(&query);
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let sequence: Vec<usize> = asked
            .into_iter()
            .map(|word| {
                let next = numbers.len();
                *numbers.entry(word).or_insert(next)
            })
            .collect();
        let found: Vec<Found> =
            passages.iter().map(|passage| Found::new(passage, &numbers)).collect();

        let count = passages.len() as f32;
        let mut weights = vec![0.0_f32; numbers.len()];
        for (word, &number) in &numbers {
            let with = found.iter().filter(|found| found.has(number)).count() as f32;
            let times = if word.starts_with(char::is_numeric) { NUMBER } else { 1.0 };
            weights[number] = times * (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
        }
        let pairs: Vec<[usize; 2]> = sequence.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        let all = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let weight_of = |pair: &[usize; 2]| weights[pair[0]] + weights[pair[1]];
        let all_pairs = pairs.iter().map(weight_of).sum::<f32>().max(f32::MIN_POSITIVE);
        Ok(found
            .iter()
            .map(|found| {
                let shares =
                    found.sentences.iter().map(|has| has.iter().map(|word| weights[*word]).sum());
                let near = pairs.iter().filter(|pair| found.are_near(**pair)).map(weight_of);
                let above: f32 = found.only_above().map(|word| weights[word]).sum();
                SENTENCE * shares.fold(0.0, f32::max) / all
                    + ABOVE * above / all
                    + PAIRS * near.sum::<f32>() / all_pairs
            })
            .collect())
    }
}

/// Where a passage has the query's words, which are numbered.
struct Found {
    /// Those of each sentence and the headings above it.
    sentences: Vec<HashSet<usize>>,
    /// Those of the headings.
    above: HashSet<usize>,
    /// The places of each among the passage's words, in order.
    places: Vec<Vec<usize>>,
}

impl Found {
    fn new(passage: &Chunk, numbers: &HashMap<&str, usize>) -> Self {
        let headings = passage.heading.join("\n").to_lowercase();
        let above: HashSet<usize> =
            words(&headings).iter().filter_map(|word| numbers.get(word).copied()).collect();
        let places = vec![Vec::new(); numbers.len()];
        let mut found = Self { sentences: Vec::new(), above, places };
        let mut place = 0;
        for range in sentences(&passage.text) {
            let mut has = found.above.clone();
            for word in words(&char_slice(&passage.text, range).to_lowercase()) {
                if let Some(number) = numbers.get(word) {
                    has.insert(*number);
                    found.places[*number].push(place);
                }
                place += 1;
            }
            found.sentences.push(has);
        }
        found
    }

    fn has(&self, word: usize) -> bool {
        self.sentences.iter().any(|has| has.contains(&word))
    }

    /// What the headings have and the text has not.
    fn only_above(&self) -> impl Iterator<Item = usize> {
        self.above.iter().copied().filter(|word| self.places[*word].is_empty())
    }

    fn are_near(&self, [first, second]: [usize; 2]) -> bool {
        let (first, second) = (&self.places[first], &self.places[second]);
        first.iter().any(|a| second.iter().any(|b| a.abs_diff(*b) <= NEAR))
    }
}

#[cfg(test)]
mod tests {
    use lectern_domain::CharRange;

    use super::*;

    /// The places of the texts, which may stand below a heading, by how close they are.
    fn order(query: &str, texts: &[&str]) -> Vec<usize> {
        let chunks: Vec<Chunk> = texts.iter().map(|text| chunk(text)).collect();
        let scores = Proximity.rerank(query, &chunks.iter().collect::<Vec<_>>()).unwrap();
        assert!(
            scores.iter().all(|score| (0.0..=SENTENCE + ABOVE + PAIRS + 1e-5).contains(score)),
            "{scores:?}"
        );
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order
    }

    fn chunk(text: &str) -> Chunk {
        let (heading, text) = text.split_once(": ").unwrap_or(("", text));
        let range = CharRange::new(0, text.chars().count() as u32);
        Chunk { range, page: None, heading: vec![heading.to_owned()], text: text.to_owned() }
    }

    #[test]
    fn what_has_the_words_together_comes_first() {
        let cases: &[(&str, &[&str], &[usize])] = &[
            (
                "Who repairs the roof?",
                &[
                    "The tenant repairs windows. A new roof is planned.",
                    "The landlord repairs the roof.",
                ],
                &[1, 0],
            ),
            // A word that all have says nothing.
            (
                "lease deposit",
                &[
                    "The lease begins in May.",
                    "Of this lease the deposit is due.",
                    "The lease ends.",
                ],
                &[1, 0, 2],
            ),
            ("Roof: the landlord", &["The landlord pays.", "Roof: The landlord pays."], &[1, 0]),
            // Of pages that are alike the heading decides, whatever is a little closer in the text.
            (
                "the dividend of Marlowe for 2017",
                &[
                    "Marlowe 2016: For the year the dividend was 45 cents.",
                    "Marlowe 2017: There was for each share a dividend of 87 cents.",
                    "Harlow 2018: For the year the dividend was 51 cents.",
                ],
                &[1, 0, 2],
            ),
            // A number is as it is asked for.
            (
                "staff Marlowe 2017",
                &["Marlowe has 428 staff.", "There were 77 staff in 2017."],
                &[1, 0],
            ),
            ("谁修理屋顶", &["承租人修理窗户。屋顶是新的。", "屋顶由房东修理。"], &[1, 0]),
            ("?!", &["one", "two"], &[0, 1]),
            ("anything", &[], &[]),
            ("", &["one"], &[0]),
        ];
        for (query, texts, expected) in cases {
            assert_eq!(order(query, texts), *expected, "{query}");
        }
    }

    #[test]
    fn neighbours_in_the_query_may_stand_apart_by_a_few_words() {
        let filler = "word ".repeat(NEAR + 1);
        let far = format!("Northwind {filler} revenue.");
        let texts = [far.as_str(), "Northwind had in that year a revenue."];
        assert_eq!(order("Northwind revenue", &texts), [1, 0]);
    }
}
