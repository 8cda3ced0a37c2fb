//! Reciprocal rank fusion: one order out of several searches whose scores cannot
//! be compared.
//!
//! G. V. Cormack, C. L. A. Clarke, S. Büttcher: *Reciprocal Rank Fusion
//! outperforms Condorcet and individual Rank Learning Methods*, SIGIR 2009.

use std::collections::HashMap;

use lectern_domain::{ChunkId, ChunkMatch};

/// The constant of the paper. Larger values make the first ranks weigh less.
pub const DEFAULT_K: f32 = 60.0;

/// What one search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// How much this search counts; 0 or less counts nothing.
    pub weight: f32,
    /// Its chunks, best first. Only the order is used. Of a chunk that is named
    /// twice the first place counts.
    pub matches: Vec<ChunkMatch>,
}

/// A chunk with its place among all that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The chunk.
    pub chunk: ChunkId,
    /// In 0..=1: the sum of `weight / (k + rank)` over the legs, divided by the
    /// most that sum can be. 1 is a chunk that every leg puts first. It orders
    /// chunks within one search and says nothing about relevance by itself.
    pub score: f32,
    /// The chunk's rank in each leg, from 1, in the order of the legs.
    pub ranks: Vec<Option<u32>>,
}

/// Fuses `legs` into one order, best first. Equal scores are ordered by the best
/// rank in any leg, then by the ranks of the legs in turn, then by id, so that
/// the same searches always give the same order.
pub fn fuse(legs: &[Leg], k: f32) -> Vec<Fused> {
    let most: f32 = legs.iter().map(|leg| leg.weight.max(0.0) / (k + 1.0)).sum();
    let mut ranks: HashMap<ChunkId, Vec<Option<u32>>> = HashMap::new();
    for (index, leg) in legs.iter().enumerate() {
        for (rank, found) in (1..).zip(&leg.matches) {
            let places = ranks.entry(found.chunk).or_insert_with(|| vec![None; legs.len()]);
            places[index].get_or_insert(rank);
        }
    }
    let mut fused: Vec<Fused> = ranks
        .into_iter()
        .map(|(chunk, ranks)| {
            let sum: f32 = legs
                .iter()
                .zip(&ranks)
                .filter_map(|(leg, rank)| rank.map(|rank| leg.weight.max(0.0) / (k + rank as f32)))
                .sum();
            Fused { chunk, score: if most > 0.0 { sum / most } else { 0.0 }, ranks }
        })
        .collect();
    let in_turn =
        |f: &Fused| -> Vec<u32> { f.ranks.iter().map(|r| r.unwrap_or(u32::MAX)).collect() };
    fused.sort_by(|a, b| {
        let (ranks_a, ranks_b) = (in_turn(a), in_turn(b));
        b.score
            .total_cmp(&a.score)
            .then_with(|| ranks_a.iter().min().cmp(&ranks_b.iter().min()))
            .then_with(|| ranks_a.cmp(&ranks_b))
            .then_with(|| a.chunk.cmp(&b.chunk))
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(weight: f32, ids: &[i64]) -> Leg {
        let matches = ids.iter().map(|&id| ChunkMatch { chunk: ChunkId(id), score: 0.0 }).collect();
        Leg { weight, matches }
    }

    #[test]
    fn orders_by_the_sum_of_reciprocal_ranks() {
        type Legs<'a> = &'a [(f32, &'a [i64])];
        let cases: &[(Legs, &[i64])] = &[
            (&[], &[]),
            (&[(1.0, &[])], &[]),
            (&[(1.0, &[7, 3, 5])], &[7, 3, 5]),
            // Found by both beats first in one.
            (&[(1.0, &[1, 2]), (1.0, &[3, 2])], &[2, 1, 3]),
            // Equal: the earlier leg first.
            (&[(1.0, &[9]), (1.0, &[4])], &[9, 4]),
            (&[(1.0, &[9]), (2.0, &[4])], &[4, 9]),
            // A leg without weight adds its chunks at the end.
            (&[(1.0, &[1, 2]), (0.0, &[3])], &[1, 2, 3]),
            (&[(1.0, &[5, 5, 6])], &[5, 6]),
        ];
        for (legs, expected) in cases {
            let legs: Vec<Leg> = legs.iter().map(|(weight, ids)| leg(*weight, ids)).collect();
            let order: Vec<i64> = fuse(&legs, DEFAULT_K).iter().map(|f| f.chunk.0).collect();
            assert_eq!(order, *expected, "{legs:?}");
        }
    }

    #[test]
    fn keeps_ranks_and_scores_between_nought_and_one() {
        let fused = fuse(&[leg(1.0, &[1, 2]), leg(1.0, &[1, 3])], DEFAULT_K);
        assert_eq!(fused[0].score, 1.0);
        assert_eq!(fused[0].ranks, [Some(1), Some(1)]);
        assert_eq!(fused[1].ranks, [Some(2), None]);
        assert!((fused[1].score - 61.0 / 124.0).abs() < 1e-6);
    }
}
