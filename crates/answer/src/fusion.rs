//! One order out of several searches whose scores cannot be compared as they are.
//!
//! Each score is measured in a unit of its search and the sums are compared, a convex combination in
//! the terms of S. Bruch, S. Gai, A. Ingber: *An Analysis of Fusion Functions for Hybrid Retrieval*,
//! ACM TOIS 2023. BM25 is not normalised by query: a question whose words hardly occur, as one in
//! another language than the documents, has low scores in that search and is decided by the other. (With
//! reciprocal ranks the best of a bad list counts as much as the best of a good one.) Names and numbers that
//! occur in a text of any language are found all the same, so words count less where those that were found share
//! few of them: [`words_weight`].

use std::collections::{HashMap, HashSet};

use lectern_domain::{ChunkId, ChunkMatch};

use crate::words::{is_unspaced, words};

/// Where the first share of the question's words occurs or less, words count nothing, and in full from the second
/// on. A text in the question's language has about half of them, of one in another up to a quarter, most of them names.
const SHARES: (f32, f32) = (0.15, 0.4);

/// The same for pairs of characters, which are shared less often, and with a text of another script hardly ever.
const SHARES_OF_PAIRS: (f32, f32) = (0.0, 0.3);

/// The share is that of so many texts, those with most.
const TEXTS: usize = 3;

/// Where the best texts have this share of their words in common or less, meaning counts in full, and with the second
/// or more it counts the least. Paragraphs about one subject share an eighth of their words, pages of one kind in the
/// reports of several years or firms a third.
const ALIKE: (f32, f32) = (0.18, 0.32);

/// What meaning counts at least.
const LEAST_OF_MEANING: f32 = 0.1;

/// So many of the best texts are looked at.
const ALIKE_TEXTS: usize = 5;

/// What one search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// The difference of scores that counts as much as a unit of the other legs; more than 0.
    pub unit: f32,
    /// How many chunks were asked for. Where as many came, others that match may have been left out.
    pub asked: usize,
    /// Its chunks, best first. Of a chunk that is named twice the first place counts.
    pub matches: Vec<ChunkMatch>,
    /// What its scores count, from 0 to 1.
    pub weight: f32,
    /// What a chunk scores that does not match at all; `None` where every chunk matches somehow.
    pub nothing: Option<f32>,
}

/// A chunk with its place among all that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The chunk.
    pub chunk: ChunkId,
    /// The sum over the legs of the score in units, counted from what a chunk scores that a leg does
    /// not list. It orders chunks within one search and says nothing about relevance by itself.
    pub score: f32,
    /// The chunk's place in each leg, in the order of the legs.
    pub places: Vec<Option<LegPlace>>,
}

/// A chunk's place in what one search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LegPlace {
    /// From 1.
    pub rank: u32,
    /// The search's own score.
    pub score: f32,
}

impl Leg {
    /// What a chunk scores that is not listed: at most as much as the last one that is.
    fn floor(&self) -> f32 {
        let last = self.matches.last().map(|last| last.score);
        match self.nothing {
            Some(nothing) if self.matches.len() < self.asked => nothing,
            nothing => last.or(nothing).unwrap_or(0.0),
        }
    }
}

/// What a search by words counts, from 0 to 1, that found `texts` for `query`: little where hardly any of its
/// words occur in the best of them, as where they are in another language.
pub fn words_weight<'a>(query: &str, texts: impl IntoIterator<Item = &'a str>) -> f32 {
    let (nothing, full) = if query.chars().any(is_unspaced) { SHARES_OF_PAIRS } else { SHARES };
    let query = query.to_lowercase();
    let query: HashSet<&str> = words(&query).into_iter().collect();
    if query.is_empty() {
        return 1.0;
    }
    let share = |text: &str| {
        let text = text.to_lowercase();
        let there: HashSet<&str> = words(&text).into_iter().collect();
        query.intersection(&there).count() as f32 / query.len() as f32
    };
    let mut shares: Vec<f32> = texts.into_iter().map(share).collect();
    shares.sort_unstable_by(|a, b| b.total_cmp(a));
    shares.truncate(TEXTS);
    let mean = shares.iter().sum::<f32>() / shares.len().max(1) as f32;
    ((mean - nothing) / (full - nothing)).clamp(0.0, 1.0)
}

/// What a search by meaning counts, up to 1, whose best `texts` these are: little where they are alike but for names
/// and numbers, as the yearly reports of a firm. Their vectors are nearly the same, and what tells them apart are words.
pub fn meaning_weight<'a>(texts: impl IntoIterator<Item = &'a str>) -> f32 {
    let texts: Vec<String> =
        texts.into_iter().take(ALIKE_TEXTS).map(|text| text.to_lowercase()).collect();
    let texts: Vec<HashSet<&str>> =
        texts.iter().map(|text| words(text).into_iter().collect()).collect();
    let mut shares = Vec::new();
    for (index, one) in texts.iter().enumerate() {
        for other in &texts[index + 1..] {
            let common = one.intersection(other).count();
            shares.push(common as f32 / (one.len() + other.len() - common).max(1) as f32);
        }
    }
    let mean = shares.iter().sum::<f32>() / shares.len().max(1) as f32;
    let (full, least) = ALIKE;
    1.0 - ((mean - full) / (least - full)).clamp(0.0, 1.0) * (1.0 - LEAST_OF_MEANING)
}

/// Fuses `legs` into one order, best first. Equal scores are ordered by the best rank in any leg, then
/// by the ranks of the legs in turn, then by id, so that the same searches always give the same order.
pub fn fuse(legs: &[Leg]) -> Vec<Fused> {
    let mut places: HashMap<ChunkId, Vec<Option<LegPlace>>> = HashMap::new();
    for (index, leg) in legs.iter().enumerate() {
        for (rank, found) in (1..).zip(&leg.matches) {
            let places = places.entry(found.chunk).or_insert_with(|| vec![None; legs.len()]);
            places[index].get_or_insert(LegPlace { rank, score: found.score });
        }
    }
    let mut fused: Vec<Fused> = places
        .into_iter()
        .map(|(chunk, places)| {
            let score = legs
                .iter()
                .zip(&places)
                .filter_map(|(leg, place)| {
                    Some((place.as_ref()?.score - leg.floor()) / leg.unit * leg.weight)
                })
                .sum();
            Fused { chunk, score, places }
        })
        .collect();
    let ranks = |fused: &Fused| -> Vec<u32> {
        fused.places.iter().map(|place| place.map_or(u32::MAX, |place| place.rank)).collect()
    };
    fused.sort_by_cached_key(|fused| {
        let ranks = ranks(fused);
        // Descending, in the order that `f32::total_cmp` gives.
        let bits = fused.score.to_bits() as i32;
        let score = !(bits ^ (((bits >> 31) as u32) >> 1) as i32);
        (score, ranks.iter().min().copied(), ranks, fused.chunk)
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(unit: f32, matches: &[(i64, f32)]) -> Leg {
        let matches = matches
            .iter()
            .map(|&(id, score)| ChunkMatch { chunk: ChunkId(id), score })
            .collect::<Vec<_>>();
        Leg { unit, asked: 100, matches, weight: 1.0, nothing: Some(0.0) }
    }

    fn order(legs: &[Leg]) -> Vec<i64> {
        fuse(legs).iter().map(|fused| fused.chunk.0).collect()
    }

    #[test]
    fn orders_by_the_sum_of_scores_in_units() {
        type Legs<'a> = &'a [(f32, &'a [(i64, f32)])];
        let cases: &[(Legs, &[i64])] = &[
            (&[], &[]),
            (&[(1.0, &[])], &[]),
            (&[(1.0, &[(7, 3.0), (3, 2.0), (5, 1.0)])], &[7, 3, 5]),
            // Found by both beats first in one, if by little.
            (&[(1.0, &[(1, 3.0), (2, 2.5)]), (1.0, &[(3, 3.0), (2, 2.5)])], &[2, 1, 3]),
            (&[(1.0, &[(1, 9.0), (2, 2.5)]), (1.0, &[(3, 3.0), (2, 2.5)])], &[1, 2, 3]),
            // The larger unit counts less.
            (&[(10.0, &[(9, 20.0)]), (0.1, &[(4, 0.3)])], &[4, 9]),
            // Equal: the earlier leg first.
            (&[(1.0, &[(9, 1.0)]), (1.0, &[(4, 1.0)])], &[9, 4]),
            (&[(1.0, &[(5, 2.0), (5, 1.0), (6, 1.5)])], &[5, 6]),
        ];
        for (legs, expected) in cases {
            let legs: Vec<Leg> = legs.iter().map(|(unit, matches)| leg(*unit, matches)).collect();
            assert_eq!(order(&legs), *expected, "{legs:?}");
        }
    }

    #[test]
    fn what_a_full_list_leaves_out_scores_like_its_last() {
        let mut cosines = leg(0.1, &[(1, 0.91), (2, 0.88)]);
        cosines.nothing = None;
        let words = leg(10.0, &[(3, 2.0), (2, 1.0)]);
        // By meaning 3 is at most where 2 is.
        let fused = fuse(&[words.clone(), cosines.clone()]);
        assert_eq!(order(&[words.clone(), cosines.clone()]), [1, 3, 2]);
        assert!((fused[0].score - 0.3).abs() < 1e-5, "{fused:?}");
        // A full list of words may have left out what is just below its last.
        let full = Leg { asked: 2, ..words };
        assert!((fuse(&[full, cosines])[1].score - 0.1).abs() < 1e-5);
    }

    #[test]
    fn a_leg_of_no_weight_decides_nothing() {
        let words = leg(1.0, &[(1, 9.0), (2, 1.0)]);
        let cosines = leg(0.1, &[(2, 0.9), (1, 0.8)]);
        assert_eq!(order(&[words.clone(), cosines.clone()]), [1, 2]);
        assert_eq!(order(&[Leg { weight: 0.0, ..words }, cosines]), [2, 1]);
    }

    #[test]
    fn words_count_where_a_good_share_of_them_occurs() {
        let german = "Die Panthers gaben nur 308 Punkte ab.";
        let cases: &[(&str, &[&str], f32)] = &[
            (
                "How many points did the Panthers give up?",
                &["The Panthers gave up 308 points"],
                1.0,
            ),
            // One of eight words, and that a name; then one of four.
            ("How many points did the Panthers give up?", &[german], 0.0),
            ("Panthers points were many", &[german], 0.4),
            ("How many points did the Panthers give up?", &["卡罗来纳黑豹队只丢了308分"], 0.0),
            ("黑豹队丢了多少分？", &["卡罗来纳黑豹队只丢了308分"], 1.0),
            // A name, a number or a code is itself in any language.
            ("Panthers 308", &[german], 1.0),
            ("TL-40", &["该泵TL-40的额定流量"], 1.0),
            // The best count.
            ("Panthers 308", &["nothing", german, "of it", "Panthers", "308"], 1.0),
            ("Panthers", &[], 0.0),
            ("?!", &["anything"], 1.0),
        ];
        for (query, texts, expected) in cases {
            let weight = words_weight(query, texts.iter().copied());
            assert!((weight - expected).abs() < 1e-5, "{query} in {texts:?}: {weight}");
        }
    }

    #[test]
    fn meaning_counts_little_where_texts_are_alike_but_for_names() {
        let report = |company: &str, year: &str| {
            format!(
                "{company} had {year} employees at the end of the year. We believe that our relations with them are good."
            )
        };
        let reports =
            [report("Marlowe", "428"), report("Quillon", "1,203"), report("Tessera", "77")];
        let others = [
            "Tide tables are computed from harmonic constants.",
            "The pump is rated for forty litres a minute.",
            "Marlowe had 428 employees.",
        ];
        let cases: [(&str, Vec<&str>, f32); 4] = [
            ("alike", reports.iter().map(String::as_str).collect(), LEAST_OF_MEANING),
            ("different", others.to_vec(), 1.0),
            ("one", vec!["Marlowe had 428 employees."], 1.0),
            ("none", vec![], 1.0),
        ];
        for (what, texts, expected) in cases {
            assert!((meaning_weight(texts) - expected).abs() < 1e-5, "{what}");
        }
    }

    #[test]
    fn keeps_the_places() {
        let fused = fuse(&[leg(1.0, &[(1, 3.0), (2, 2.0)]), leg(1.0, &[(1, 5.0), (3, 4.0)])]);
        let place = |rank, score| Some(LegPlace { rank, score });
        assert_eq!(fused[0].places, [place(1, 3.0), place(1, 5.0)]);
        assert_eq!(fused[2].places, [place(2, 2.0), None]);
    }
}
