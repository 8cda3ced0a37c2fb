//! Checking a sentence of an answer against the sources, and finding the words of
//! the source that bear it out.
//!
//! The measure is lexical: how much of what the sentence says (its content words,
//! names, numbers) stands in one or two neighbouring sentences of a source, each
//! term weighted by how rare it is among the sources. Numbers and names that stand
//! nowhere, and a negation on one side only, limit the score however many words
//! agree. It sees what is not in the source; it cannot see that words which are
//! all there were put together wrongly. An embedder can be added to lift
//! paraphrases; it never lifts a sentence over one of those limits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lectern_domain::{CharRange, Embedder, ModelError, char_slice};
use serde::{Deserialize, Serialize};

use crate::Passage;
use crate::abstain::is_abstention;
use crate::sentences::AnswerSentence;
use crate::terms::{TermKind, Terms, found};

/// From this score on a sentence is [`Support::Supported`].
pub const SUPPORTED: f32 = 0.65;
/// From this score on a sentence is [`Support::Partial`].
pub const PARTIAL: f32 = 0.45;
/// Another source must be better by so much to replace a cited one.
pub const CLEARLY_BETTER: f32 = 0.2;
/// The most a sentence can score with a number that is in no cited source.
pub const NUMBER_LIMIT: f32 = 0.3;
/// The most it can score with a number that is in the source, but elsewhere.
pub const DISTANT_NUMBER_LIMIT: f32 = 0.6;
/// The most it can score with a name, or a small number in words, that is in no
/// cited source.
pub const NAME_LIMIT: f32 = 0.6;
/// What a score is multiplied by when only one side negates.
pub const NEGATION_FACTOR: f32 = 0.4;

/// How much a term counts that is in the passage or its headings, not in the quote.
const CONTEXT: f32 = 0.5;
/// From this recall on a claim has the words of its source.
const SAME_WORDS: f32 = 0.9;
const NAME_WEIGHT: f32 = 1.8;
const NUMBER_WEIGHT: f32 = 2.0;
/// How much a second sentence, or a further source, must add to be quoted.
const WORTH_ADDING: f32 = 0.1;

/// What the sources say about a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// They say it.
    Supported,
    /// They say a part of it.
    Partial,
    /// They do not say it, or they say otherwise.
    Unsupported,
    /// It claims nothing.
    None,
}

impl Support {
    fn of(score: f32) -> Self {
        if score >= SUPPORTED {
            Self::Supported
        } else if score >= PARTIAL {
            Self::Partial
        } else {
            Self::Unsupported
        }
    }
}

/// The words of a source that bear a sentence out best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The source's number.
    pub n: usize,
    /// Its characters in the document's canonical text.
    pub range: CharRange,
    /// The text of `range`, to the letter.
    pub quote: String,
    /// How well it alone supports the sentence, in 0..=1.
    pub score: f32,
}

/// A sentence with what the sources say about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckedSentence {
    /// Its characters in the answer, with its markers.
    pub range: CharRange,
    /// What it says, without markers.
    pub text: String,
    /// The sources that bear it out: those it cites, corrected.
    pub citations: Vec<usize>,
    /// What they say about it.
    pub support: Support,
    /// How well they support it together, in 0..=1; 0 for [`Support::None`].
    pub score: f32,
    /// The best quote of each of `citations`, in their order.
    pub quotes: Vec<Quote>,
}

/// Checks sentences against one set of sources.
pub struct Checker {
    sources: Vec<Source>,
    /// In how many sentences of the sources each key stands.
    frequency: HashMap<String, usize>,
    sentences: usize,
    /// All keys of the question.
    asked: HashSet<String>,
    embedder: Option<Arc<dyn Embedder>>,
}

struct Source {
    text: String,
    start: u32,
    sentences: Vec<SourceSentence>,
    /// All keys of the text.
    keys: HashSet<String>,
    /// Those of its headings and its file's name, which say what it is about.
    subject: HashSet<String>,
}

struct SourceSentence {
    range: CharRange,
    terms: Terms,
}

/// How well one source supports a claim.
#[derive(Debug, Clone, Default)]
struct Match {
    score: f32,
    /// How much of each term is found, in 0..=1.
    coverage: Vec<f32>,
    contradicted: bool,
    /// The quoted sentences of the source.
    first: usize,
    last: usize,
}

struct Claim {
    terms: Terms,
    weights: Vec<f32>,
}

impl Checker {
    /// A checker for sources that are numbered from 1 in this order.
    pub fn new<'a>(passages: impl IntoIterator<Item = &'a Passage>) -> Self {
        let mut frequency: HashMap<String, usize> = HashMap::new();
        let sources: Vec<Source> = passages.into_iter().map(Source::new).collect();
        for sentence in sources.iter().flat_map(|source| &source.sentences) {
            for key in &sentence.terms.keys {
                *frequency.entry(key.clone()).or_default() += 1;
            }
        }
        let sentences = sources.iter().map(|source| source.sentences.len()).sum();
        Self { sources, frequency, sentences, asked: HashSet::new(), embedder: None }
    }

    /// Lets words that only the question has count nothing. An answer repeats them,
    /// and a source often leaves them out: a handbook does not say whose it is in
    /// every sentence. A name or a number among them still limits the score.
    pub fn about(mut self, question: &str) -> Self {
        self.asked = Terms::of(question).keys;
        self
    }

    /// Lets the embedder lift sentences that say the same in other words. Then
    /// [`Self::check`] runs a model and blocks.
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Whether checking runs a model.
    pub fn is_slow(&self) -> bool {
        self.embedder.is_some()
    }

    /// Checks one sentence. Numbers among its citations that no source has are dropped.
    pub fn check(&self, sentence: &AnswerSentence) -> Result<CheckedSentence, ModelError> {
        let mut checked = CheckedSentence {
            range: sentence.range,
            text: sentence.text.clone(),
            citations: Vec::new(),
            support: Support::None,
            score: 0.0,
            quotes: Vec::new(),
        };
        let terms = Terms::of(&sentence.text);
        if !claims_something(&sentence.text, &terms) {
            return Ok(checked);
        }
        let claim =
            Claim { weights: terms.terms.iter().map(|term| self.weight(term)).collect(), terms };
        let mut matches: Vec<Match> =
            self.sources.iter().map(|source| source.find(&claim)).collect();
        if let Some(embedder) = &self.embedder {
            self.lift(embedder.as_ref(), &sentence.text, &claim, &mut matches)?;
        }
        let mut cited: Vec<usize> = sentence
            .citations
            .iter()
            .copied()
            .filter(|n| (1..=matches.len()).contains(n))
            .collect();
        self.correct(&claim, &matches, &mut cited);
        checked.score = match cited.is_empty() {
            true => matches.iter().map(|found| found.score).fold(0.0, f32::max),
            false => self.together(&claim, &matches, &cited),
        };
        checked.support = Support::of(checked.score);
        checked.quotes =
            cited.iter().map(|&n| self.sources[n - 1].quote(n, &matches[n - 1])).collect();
        checked.citations = cited;
        Ok(checked)
    }

    /// Rarer terms say more; names and numbers say more than words.
    fn weight(&self, term: &crate::terms::Term) -> f32 {
        let found = self.frequency.get(&term.key).copied().unwrap_or(0) as f32;
        let idf = (1.0 + (self.sentences as f32 - found + 0.5) / (found + 0.5)).ln();
        // It frames the question, and the answer does not claim it.
        if found == 0.0 && self.asked.contains(&term.key) {
            return 0.0;
        }
        idf * match term.kind {
            TermKind::Word => 1.0,
            TermKind::Name => NAME_WEIGHT,
            TermKind::Number => NUMBER_WEIGHT,
            TermKind::Count => 1.0,
        }
    }

    /// Adds a citation where there is none, replaces one that another source beats
    /// clearly, and drops those that add nothing.
    fn correct(&self, claim: &Claim, matches: &[Match], cited: &mut Vec<usize>) {
        let Some(best) = (1..=matches.len())
            .rev()
            .max_by(|&a, &b| matches[a - 1].score.total_cmp(&matches[b - 1].score))
        else {
            return;
        };
        let best_score = matches[best - 1].score;
        let cited_score = self.together(claim, matches, cited);
        if cited.is_empty() {
            if best_score >= PARTIAL {
                cited.push(best);
            }
            return;
        }
        if best_score >= SUPPORTED && best_score >= cited_score + CLEARLY_BETTER {
            *cited = vec![best];
            return;
        }
        let mut index = cited.len();
        while index > 0 && cited.len() > 1 {
            index -= 1;
            let mut rest = cited.clone();
            let n = rest.remove(index);
            let adds = self.together(claim, matches, cited) - self.together(claim, matches, &rest);
            if matches[n - 1].score < PARTIAL && adds < WORTH_ADDING {
                *cited = rest;
            }
        }
    }

    /// How well these sources support the claim together: each term counts where
    /// it is found best.
    fn together(&self, claim: &Claim, matches: &[Match], cited: &[usize]) -> f32 {
        let alone = cited.iter().map(|&n| matches[n - 1].score).fold(0.0, f32::max);
        if cited.len() < 2 {
            return alone;
        }
        let mut coverage = vec![0.0_f32; claim.weights.len()];
        for &n in cited {
            for (all, one) in coverage.iter_mut().zip(&matches[n - 1].coverage) {
                *all = all.max(*one);
            }
        }
        let contradicted = cited.iter().any(|&n| matches[n - 1].contradicted);
        claim.score(&coverage, contradicted).max(alone)
    }

    fn lift(
        &self,
        embedder: &dyn Embedder,
        text: &str,
        claim: &Claim,
        matches: &mut [Match],
    ) -> Result<(), ModelError> {
        let doubtful: Vec<usize> = (0..matches.len())
            .filter(|&i| matches[i].score < SUPPORTED && !self.sources[i].sentences.is_empty())
            .collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        let quotes: Vec<String> =
            doubtful.iter().map(|&i| self.sources[i].quote(i + 1, &matches[i]).quote).collect();
        let mut texts: Vec<&str> = vec![text];
        texts.extend(quotes.iter().map(String::as_str));
        let vectors = embedder.embed_passages(&texts)?;
        let Some((own, others)) = vectors.split_first() else { return Ok(()) };
        for (&i, other) in doubtful.iter().zip(others) {
            let cosine: f32 = own.iter().zip(other).map(|(a, b)| a * b).sum();
            let found = &mut matches[i];
            // Embedders give unrelated sentences 0.5 and more; only what is far
            // above that tells a paraphrase.
            let semantic = ((cosine - 0.6) / 0.35).clamp(0.0, 1.0);
            let limited = semantic.min(claim.limit(&found.coverage));
            let lifted = if found.contradicted { limited * NEGATION_FACTOR } else { limited };
            found.score = found.score.max(lifted);
        }
        Ok(())
    }
}

impl Claim {
    fn recall(&self, coverage: &[f32]) -> f32 {
        let total: f32 = self.weights.iter().sum();
        let found: f32 =
            self.weights.iter().zip(coverage).map(|(weight, found)| weight * found).sum();
        if total > 0.0 { found / total } else { 0.0 }
    }

    fn score(&self, coverage: &[f32], contradicted: bool) -> f32 {
        let recall = self.recall(coverage);
        let score = if contradicted { recall * NEGATION_FACTOR } else { recall };
        score.min(self.limit(coverage))
    }

    /// The most the claim can score with what is found of its numbers and names.
    fn limit(&self, coverage: &[f32]) -> f32 {
        let limits = self.terms.terms.iter().zip(coverage).map(|(term, &found)| match term.kind {
            TermKind::Number if found == 0.0 => NUMBER_LIMIT,
            TermKind::Number if found < 1.0 => DISTANT_NUMBER_LIMIT,
            TermKind::Name | TermKind::Count if found == 0.0 => NAME_LIMIT,
            _ => 1.0,
        });
        limits.fold(1.0, f32::min)
    }
}

impl Source {
    fn new(passage: &Passage) -> Self {
        let sentences: Vec<SourceSentence> = lectern_domain::sentences(&passage.text)
            .into_iter()
            .map(|range| SourceSentence {
                range,
                terms: Terms::of(char_slice(&passage.text, range)),
            })
            .collect();
        let stem =
            passage.file_name().rsplit_once('.').map_or(passage.file_name(), |(stem, _)| stem);
        let words: Vec<&str> = stem.split(['_', '-', ' ']).collect();
        let mut subject = Terms::of(&words.join(" ")).keys;
        // "tl-40-manual" is about the TL-40.
        subject.extend(words.windows(2).flat_map(|pair| Terms::of(&pair.join("-")).keys));
        let above = passage.opening.iter().chain(&passage.heading);
        subject.extend(above.flat_map(|line| Terms::of(line).keys));
        let keys = sentences.iter().flat_map(|sentence| sentence.terms.keys.iter().cloned());
        Self {
            text: passage.text.clone(),
            start: passage.range.start,
            keys: keys.collect(),
            sentences,
            subject,
        }
    }

    /// The one or two neighbouring sentences that support the claim best.
    fn find(&self, claim: &Claim) -> Match {
        let keys: Vec<&str> = claim.terms.terms.iter().map(|term| term.key.as_str()).collect();
        let context = |key: &&str| {
            if self.subject.contains(*key) {
                return 1.0;
            }
            CONTEXT * found(key, &self.keys).max(found(key, &self.subject))
        };
        let in_context: Vec<f32> = keys.iter().map(context).collect();
        let in_sentence: Vec<Vec<f32>> = self
            .sentences
            .iter()
            .map(|sentence| {
                let one = |(key, context): (&&str, &f32)| {
                    if *context > 0.0 { found(key, &sentence.terms.keys) } else { 0.0 }
                };
                keys.iter().zip(&in_context).map(one).collect()
            })
            .collect();
        let mut best = Match::default();
        let mut best_rank = f32::MIN;
        for first in 0..self.sentences.len() {
            for last in first..(first + 2).min(self.sentences.len()) {
                let best_of = |term: usize| {
                    in_sentence[first..=last].iter().map(|row| row[term]).fold(0.0, f32::max)
                };
                let coverage: Vec<f32> = in_context
                    .iter()
                    .enumerate()
                    .map(|(term, context)| context.max(best_of(term)))
                    .collect();
                let recall = claim.recall(&coverage);
                // A second sentence must be worth reading.
                let rank = recall - WORTH_ADDING * (last - first) as f32;
                if rank > best_rank {
                    best_rank = rank;
                    best = Match { coverage, first, last, ..Match::default() };
                }
            }
        }
        // Only now: a contradiction must not be escaped by quoting another sentence.
        if !best.coverage.is_empty() {
            best.contradicted =
                self.contradicts(claim, claim.recall(&best.coverage), best.first, best.last);
            best.score = claim.score(&best.coverage, best.contradicted);
        }
        best
    }

    /// Whether only one of the claim and these sentences denies what the other says.
    fn contradicts(&self, claim: &Claim, recall: f32, first: usize, last: usize) -> bool {
        let window = || self.sentences[first..=last].iter().map(|sentence| &sentence.terms);
        let claim = &claim.terms;
        let said = window().map(|terms| terms.terms.len()).sum::<usize>();
        let negations = window().map(|terms| terms.negations).sum::<usize>();
        // Of two sentences that are the same but for a negation one is wrong.
        let same_length = said.abs_diff(claim.terms.len()) * 10 <= said;
        if same_length && recall >= SAME_WORDS && negations.abs_diff(claim.negations) == 1 {
            return true;
        }
        let denies =
            window().any(|terms| terms.denials.iter().any(|word| !claim.keys.contains(word)));
        if claim.negations > 0 {
            // A negation of something else in the source is none of this.
            let agrees = window()
                .any(|terms| claim.negated.iter().any(|key| terms.negated_clauses.contains(key)));
            return !denies && !agrees;
        }
        claim.denials.is_empty()
            && window().any(|terms| {
                let shared = terms.negated.iter().filter(|key| claim.keys.contains(*key)).count();
                terms.negations > 0 && shared > 0 && shared * 2 >= terms.negated.len()
            })
    }

    fn quote(&self, n: usize, found: &Match) -> Quote {
        let range = match (self.sentences.get(found.first), self.sentences.get(found.last)) {
            (Some(first), Some(last)) => CharRange::new(first.range.start, last.range.end),
            _ => CharRange::new(0, 0),
        };
        Quote {
            n,
            range: CharRange::new(self.start + range.start, self.start + range.end),
            quote: char_slice(&self.text, range).to_owned(),
            score: found.score,
        }
    }
}

/// Whether a sentence says something that could be true or false of the sources.
fn claims_something(text: &str, terms: &Terms) -> bool {
    let bare = text.trim().trim_end_matches(['*', '_']);
    let leads_in = bare.ends_with([':', '：']) || bare.starts_with('#');
    let asks = bare.ends_with(['?', '？']);
    let assents = matches!(
        bare.trim_end_matches(['。', '！', '，']),
        "是" | "是的" | "对" | "不" | "不是" | "否" | "没有" | "可以" | "不可以"
    );
    !terms.terms.is_empty() && !leads_in && !asks && !assents && !is_abstention(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sentences::split;
    use crate::testing::passage;

    fn check(passages: &[Passage], answer: &str) -> CheckedSentence {
        let sentence = split(answer).into_iter().next().unwrap();
        Checker::new(passages).check(&sentence).unwrap()
    }

    #[test]
    fn tells_what_the_source_says_from_what_it_does_not() {
        let lease = "The lease begins on 1 March 2024 and runs for 24 months. The monthly rent is 1,250 euros, \
            payable to Brandt Estates by the third day of each month. The tenant may not keep dogs. \
            Either party may end the lease with three months' notice.";
        let contract = "本合同自2024年3月1日起生效，有效期为二十四个月。合同金额为人民币3.5万元。承租人不得将房屋转租给第三方。\
            乙方应于每月五日前支付租金。";
        let lamp = "A flashing lamp means that the pump has run for more than five minutes without a pause: \
            look for a leak.";
        use Support::{None, Partial, Supported, Unsupported};
        let cases = [
            (lease, "The monthly rent is 1,250 euros.", Supported),
            (lease, "The rent is 1250 euros per month.", Supported),
            (lease, "The rent is 1,350 euros per month.", Unsupported),
            (lease, "The lease started on 1 March 2024.", Supported),
            (lease, "The lease started on 1 March 2023.", Unsupported),
            (lease, "Tenants may not keep dogs.", Supported),
            (lease, "Tenants may keep dogs.", Unsupported),
            (lease, "The rent must not be paid to Brandt Estates.", Unsupported),
            (lease, "The rent is payable to Brandt Estates.", Supported),
            (
                lease,
                "The monthly rent is payable to Wagner Estates by the third day of the month.",
                Partial,
            ),
            (lease, "Either party can end it with 3 months' notice.", Supported),
            (lease, "The building has a swimming pool and a sauna.", Unsupported),
            // What one clause denies says nothing of the next.
            (lamp, "Look for a leak.", Supported),
            (lease, "Yes.", None),
            (lease, "Here is what the lease says:", None),
            (lease, "## Rent", None),
            (lease, "The documents do not contain the answer to this question.", None),
            (contract, "合同金额为35000元。", Supported),
            (contract, "合同金额为3.8万元。", Unsupported),
            (contract, "合同有效期为24个月。", Supported),
            (contract, "承租人不得转租房屋。", Supported),
            (contract, "承租人可以将房屋转租给第三方。", Unsupported),
            (contract, "公司总部位于上海浦东新区。", Unsupported),
            (contract, "是的。", None),
        ];
        for (source, sentence, expected) in cases {
            let checked = check(&[passage(source, 0)], sentence);
            assert_eq!(checked.support, expected, "{sentence} scored {}", checked.score);
        }
    }

    #[test]
    fn what_the_question_says_need_not_stand_in_the_source() {
        let source =
            [passage("Everybody has 27 days of holiday in addition to public holidays.", 0)];
        let question = "How many days of holiday do employees of Thorne & Lindqvist have?";
        let cases = [
            ("Employees of Thorne & Lindqvist have 27 days of holiday.", Support::Partial),
            ("Employees of Thorne & Lindqvist have 30 days of holiday.", Support::Unsupported),
            ("They can choose when to take them with their group's consent.", Support::Unsupported),
        ];
        for (answer, expected) in cases {
            let sentence = split(answer).into_iter().next().unwrap();
            let checked = Checker::new(&source).about(question).check(&sentence).unwrap();
            assert_eq!(checked.support, expected, "{answer} scored {}", checked.score);
        }
    }

    #[test]
    fn a_file_s_name_says_what_its_text_is_about() {
        let mut source =
            passage("A flashing lamp means that the pump has run for five minutes.", 0);
        let claim = "A flashing lamp on the TL-40 means that the pump has run for five minutes.";
        assert_ne!(check(std::slice::from_ref(&source), claim).support, Support::Supported);
        source.path = "/manuals/tl-40-service-manual.pdf".to_owned();
        assert_eq!(check(&[source], claim).support, Support::Supported);
    }

    #[test]
    fn adds_and_corrects_and_drops_citations() {
        let passages = [
            passage("The museum opened in Vienna in 1891. It was built by Gottfried Semper.", 0),
            passage("The library holds four thousand maps. Visitors need a card.", 100),
            passage("The garden closes at dusk in winter.", 200),
        ];
        let cases: &[(&str, &[usize])] = &[
            ("The library holds 4,000 maps.", &[2]),
            ("The library holds 4,000 maps. [2]", &[2]),
            ("The library holds 4,000 maps. [1]", &[2]),
            ("The library holds 4,000 maps. [1][2][3]", &[2]),
            ("The museum opened in 1891 and the garden closes at dusk. [1][3]", &[1, 3]),
            ("Penguins swim.", &[]),
            ("Penguins swim. [3]", &[3]),
            ("The library holds maps. [7]", &[2]),
        ];
        for (answer, expected) in cases {
            let checked = check(&passages, answer);
            assert_eq!(checked.citations, *expected, "{answer} {:?}", checked.score);
        }
    }

    #[test]
    fn quotes_the_sentences_that_bear_the_claim_out() {
        let text = "Intro here. The museum opened in Vienna. 它于1891年建成。 It was built by Gottfried Semper. The end.";
        let cases = [
            ("The museum opened in Vienna.", "The museum opened in Vienna."),
            ("Gottfried Semper built it.", "It was built by Gottfried Semper."),
            ("建成于1891年。", "它于1891年建成。"),
        ];
        for (sentence, expected) in cases {
            let checked = check(&[passage(text, 500)], sentence);
            let quote = &checked.quotes[0];
            assert_eq!(quote.quote, expected);
            let offset = CharRange::new(quote.range.start - 500, quote.range.end - 500);
            assert_eq!(char_slice(text, offset), expected);
        }
    }

    /// Counts a text's letters: alike texts have alike vectors.
    struct LetterEmbedder;

    impl Embedder for LetterEmbedder {
        fn id(&self) -> &str {
            "letters"
        }
        fn dimensions(&self) -> usize {
            2
        }
        fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
            let has = |text: &&str| {
                let wage = ["salary", "wages"].iter().any(|word| text.contains(word));
                if wage { vec![1.0, 0.0] } else { vec![0.0, 1.0] }
            };
            Ok(passages.iter().map(has).collect())
        }
        fn embed_query(&self, _: &str) -> Result<Vec<f32>, ModelError> {
            Ok(vec![1.0, 0.0])
        }
    }

    #[test]
    fn an_embedder_lifts_paraphrases_but_not_wrong_numbers() {
        let source = [passage("Staff receive their salary on day 25.", 0)];
        let checker = Checker::new(&source).with_embedder(Arc::new(LetterEmbedder));
        let of = |text: &str| checker.check(&split(text)[0]).unwrap().support;
        assert_eq!(of("Employees get wages monthly."), Support::Supported);
        assert_eq!(of("Employees get wages on day 28."), Support::Unsupported);
        assert_eq!(check(&source, "Employees get wages monthly.").support, Support::Unsupported);
    }
}
