//! Whether a passage holds the answer to a question, before one is asked for: what the model
//! says of it, weighed with what can be seen without a model.
//!
//! A small model is told by a text that is *about* the question that it *answers* it. What it
//! overlooks are the details that unanswerable questions are made of: a name, a number, or a
//! negation that the text does not have. Each of them takes something from the logarithm of the
//! model's odds: half the logarithm of how much more often it is seen where there is no answer
//! (`cargo run -p lectern-answer --example evidence_eval`, see `docs/benchmarks.md`), since the model
//! sees a part of it itself. All together never take more than [`MOST`], so that a model that is
//! sure is believed.

use lectern_domain::ChunkId;
use serde::{Deserialize, Serialize};

use crate::Passage;
use crate::terms::{TermKind, Terms, found};

/// What a question has and a passage has not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Gaps {
    /// The share of the question's names that are missing.
    pub names: f32,
    /// The share of its numbers.
    pub numbers: f32,
    /// 1 where the question denies something and the passage does not.
    pub negation: f32,
}

/// What each of the gaps takes from the logarithm of the odds where it is 1.
const WEIGHTS: Gaps = Gaps { names: 0.3, numbers: 0.7, negation: 1.2 };
/// The most that all of them take.
pub const MOST: f32 = 1.5;

impl Gaps {
    /// What `question` has and neither the text of `passages` nor what stands above them has.
    pub fn between(question: &str, passages: &[&Passage]) -> Self {
        let asked = Terms::of(question);
        let mut there = Terms::default();
        for passage in passages {
            for text in [passage.text.as_str(), &passage.subject()] {
                let terms = Terms::of(text);
                there.keys.extend(terms.keys);
                there.negations += terms.negations;
                there.denials.extend(terms.denials);
            }
        }
        let share = |is: fn(TermKind) -> bool| {
            let of_kind: Vec<_> = asked.terms.iter().filter(|term| is(term.kind)).collect();
            let there = of_kind.iter().map(|term| found(&term.key, &there.keys)).sum::<f32>();
            if of_kind.is_empty() { 0.0 } else { 1.0 - there / of_kind.len() as f32 }
        };
        let is_denied = asked.negations > 0 && there.negations == 0 && there.denials.is_empty();
        Self {
            names: share(|kind| kind == TermKind::Name),
            numbers: share(|kind| matches!(kind, TermKind::Number | TermKind::Count)),
            negation: f32::from(is_denied),
        }
    }

    /// What they take from the logarithm of the odds.
    pub fn cost(&self) -> f32 {
        let costs = self.all().into_iter().zip(WEIGHTS.all());
        costs.map(|(gap, weight)| gap * weight).sum::<f32>().min(MOST)
    }

    /// Names, numbers and negation, in this order.
    pub fn all(&self) -> [f32; 3] {
        [self.names, self.numbers, self.negation]
    }

    /// How likely it is, in 0..=1, that the passages hold the answer where the model finds a yes
    /// as likely as `yes`.
    pub fn weigh(&self, yes: f32) -> f32 {
        let cost = self.cost();
        if cost == 0.0 {
            return yes;
        }
        let yes = yes.clamp(1e-6, 1.0 - 1e-6);
        let logit = (yes / (1.0 - yes)).ln() - cost;
        1.0 / (1.0 + (-logit).exp())
    }
}

/// What was found of one passage, or of several that were looked at together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The (first) passage.
    pub chunk: ChunkId,
    /// How likely the model is to say yes, in 0..=1.
    pub yes: f32,
    /// The same weighed, in 0..=1.
    pub likelihood: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::passage;

    #[test]
    fn sees_what_the_passage_does_not_have() {
        let text =
            "The lighthouse on Brannock Point was finished in 1874 by Ida Moss. It never closed.";
        let lease = "承租人每月付租金1250元。";
        let cases: &[(&str, &str, [bool; 3])] = &[
            // Missing: names, numbers, and a negation.
            (text, "When did Ida Moss finish the lighthouse?", [false; 3]),
            (text, "Was the Brannock Point lighthouse finished in 1874?", [false; 3]),
            (text, "When did Karl Moss finish the lighthouse?", [true, false, false]),
            (text, "Who finished the lighthouse in 1931?", [false, true, false]),
            (text, "Who painted the lighthouse?", [false; 3]),
            (text, "When did the lighthouse not close?", [false; 3]),
            (lease, "租金是多少？", [false; 3]),
            (lease, "2024年租金是多少？", [false, true, false]),
            (lease, "租金什么时候不用付？", [false, false, true]),
            // The name of the file says what it is about.
            (text, "When was the lighthouse of the Lease finished?", [false; 3]),
        ];
        for (text, question, expected) in cases {
            let gaps = Gaps::between(question, &[&passage(text, 0)]);
            assert_eq!(gaps.all().map(|gap| gap > 0.0), *expected, "{question} {gaps:?}");
        }
    }

    #[test]
    fn a_model_that_is_sure_is_believed() {
        let all = Gaps { names: 1.0, numbers: 1.0, negation: 1.0 };
        assert!(all.cost() <= MOST);
        for yes in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let weighed = all.weigh(yes);
            assert!(weighed <= yes.max(1e-5) && (0.0..=1.0).contains(&weighed), "{yes} {weighed}");
            assert!((Gaps::default().weigh(yes) - yes).abs() < 1e-4, "{yes}");
        }
        assert!(all.weigh(0.95) > 0.5);
    }
}
