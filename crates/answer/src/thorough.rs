//! Reading everything in scope, document by document, where a search would only see the
//! passages that fit best: for lists, counts, comparisons and summaries.

use lectern_domain::{ChatModel, ErrorCode, ModelError, TokenUsage};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::abstain::AbstainOptions;
use crate::answer::{abstain_in, cite, rewrite};
use crate::citations::markers;
use crate::sentences::split;
use crate::support::{Checker, Support};
use crate::{Answer, AnswerInput, AnswerOptions, Passage, answer};

/// To be raised whenever what a document is asked, or what is kept of the reply, changes: findings that were kept
/// are then read anew.
pub const FINDINGS_VERSION: u32 = 1;

/// A document is left out where a yes is less likely: one alone seldom answers a question about all of
/// them, and what is not borne out is not kept anyway.
const MIN_EVIDENCE: f32 = 0.002;

/// What the documents say to the question, sentence by sentence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Each finding: what it says and the quotes that bear it out, as indices into `quotes`.
    pub said: Vec<(String, Vec<usize>)>,
    /// Literal parts of documents, each once; a passage's text is the quote.
    pub quotes: Vec<Passage>,
    /// What it cost.
    pub tokens: TokenUsage,
}

impl Findings {
    /// Reads one document, or a part of one, given as its passages in order, and keeps what
    /// it says to the question. What the check finds unsupported is not kept.
    ///
    /// # Errors
    ///
    /// What the model says. Cancelling is none: what was found by then is kept.
    pub async fn read(
        &mut self,
        model: &dyn ChatModel,
        question: &str,
        mut passages: Vec<Passage>,
        options: &AnswerOptions,
        cancel: &CancellationToken,
    ) -> Result<(), ModelError> {
        let asks_first = options.abstain.min_evidence.is_some();
        let min_evidence = if wants_summary(question) { 0.0 } else { MIN_EVIDENCE };
        let min_evidence = asks_first.then_some(min_evidence);
        while !passages.is_empty() && !cancel.is_cancelled() {
            let input = AnswerInput {
                question: question.to_owned(),
                passages: passages.clone(),
                // The words of the question need not stand in every batch.
                similarity: Some(1.0),
                options: AnswerOptions {
                    max_passages: usize::MAX,
                    // A passage is read whole, in this batch or the next.
                    min_passage_tokens: usize::MAX,
                    further_passage_tokens: usize::MAX,
                    least_passage_share: 0.0,
                    abstain: AbstainOptions {
                        min_evidence,
                        asked_together: usize::MAX,
                        ..options.abstain
                    },
                    ..options.clone()
                },
            };
            let read = match answer(model, input, |_| {}, cancel.clone()).await {
                // Longer than all that a prompt may be: it is cut to its best sentences.
                Err(error) if error.code == ErrorCode::InvalidInput => {
                    let one = AnswerInput {
                        question: question.to_owned(),
                        passages: passages[..1].to_vec(),
                        similarity: Some(1.0),
                        options: options.clone(),
                    };
                    answer(model, one, |_| {}, cancel.clone()).await?
                }
                other => other?,
            };
            let before = passages.len();
            let seen: Vec<_> = read.passages.iter().map(|passage| passage.chunk).collect();
            passages.retain(|passage| !seen.contains(&passage.chunk));
            self.keep(read);
            if passages.len() == before {
                // What repeats another passage or is empty is never shown.
                break;
            }
        }
        Ok(())
    }

    fn keep(&mut self, read: Answer) {
        self.tokens.prompt += read.tokens.prompt;
        self.tokens.completion += read.tokens.completion;
        let borne_out = read.sentences.into_iter().filter(|sentence| {
            matches!(sentence.support, Support::Supported | Support::Partial)
                && !sentence.quotes.is_empty()
        });
        for sentence in borne_out {
            let quotes = sentence.quotes.iter().filter_map(|quote| {
                let source = read.passages.get(quote.n.checked_sub(1)?)?;
                Some(Passage { range: quote.range, text: quote.quote.clone(), ..source.clone() })
            });
            let quotes: Vec<usize> = quotes.map(|quote| self.number(quote)).collect();
            let said = sentence.text.trim().to_owned();
            if !self.said.iter().any(|(other, _)| *other == said) {
                self.said.push((said, quotes));
            }
        }
    }

    /// Takes over what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.tokens.prompt += other.tokens.prompt;
        self.tokens.completion += other.tokens.completion;
        for (said, quotes) in other.said {
            let quotes =
                quotes.iter().filter_map(|at| other.quotes.get(*at).cloned()).collect::<Vec<_>>();
            let quotes: Vec<usize> = quotes.into_iter().map(|quote| self.number(quote)).collect();
            match self.said.iter_mut().find(|(other, _)| *other == said) {
                Some((_, known)) => known.extend(quotes),
                None => self.said.push((said, quotes)),
            }
        }
    }

    fn number(&mut self, quote: Passage) -> usize {
        let same = |other: &Passage| other.document == quote.document && other.range == quote.range;
        self.quotes.iter().position(same).unwrap_or_else(|| {
            self.quotes.push(quote);
            self.quotes.len() - 1
        })
    }

    /// The answer that the findings make: what they come to together, as the model sums up
    /// the quotes, and each of them. Every sentence is checked against the quotes.
    ///
    /// # Errors
    ///
    /// What the model says.
    pub async fn conclude(
        &self,
        model: &dyn ChatModel,
        question: &str,
        options: &AnswerOptions,
        cancel: &CancellationToken,
    ) -> Result<Answer, ModelError> {
        let mut result = Answer {
            model: model.id().to_owned(),
            tokens: self.tokens,
            passages: self.quotes.clone(),
            ..Answer::default()
        };
        if self.said.is_empty() {
            result.cancelled = cancel.is_cancelled();
            abstain_in(&mut result, question);
            return Ok(result);
        }
        let mut text = String::new();
        if self.said.len() > 1 && !cancel.is_cancelled() {
            let input = AnswerInput {
                question: question.to_owned(),
                passages: self.quotes.clone(),
                similarity: Some(1.0),
                options: AnswerOptions {
                    max_passages: usize::MAX,
                    abstain: AbstainOptions { min_evidence: Some(0.0), ..options.abstain },
                    ..options.clone()
                },
            };
            let summed_up = answer(model, input, |_| {}, cancel.clone()).await?;
            result.tokens.prompt += summed_up.tokens.prompt;
            result.tokens.completion += summed_up.tokens.completion;
            if !summed_up.abstained && !summed_up.cancelled {
                text = self.renumbered(&summed_up) + "\n\n";
            }
        }
        result.cancelled = cancel.is_cancelled();
        text.push_str(&self.list());
        let sentences = split(&text);
        let checker = Checker::new(&self.quotes).about(question);
        let checked = sentences.iter().map(|sentence| checker.check(sentence));
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        (result.text, result.sentences) = rewrite(&text, &sentences, checked);
        result.citations = cite(&result.sentences, &result.passages);
        Ok(result)
    }

    /// The text of an answer made from some of the quotes, with the numbers of all.
    fn renumbered(&self, made: &Answer) -> String {
        let number = |n: usize| {
            let quote = made.passages.get(n.checked_sub(1)?)?;
            let same =
                |other: &Passage| other.document == quote.document && other.range == quote.range;
            self.quotes.iter().position(same)
        };
        let mut text = String::new();
        let mut after = 0;
        for (range, n) in markers(&made.text) {
            text.push_str(&made.text[after..range.start]);
            if let Some(index) = number(n) {
                text.push_str(&format!("[{}]", index + 1));
            }
            after = range.end;
        }
        text + &made.text[after..]
    }

    /// The findings as a list, each with the markers of its quotes: number n is
    /// `quotes[n - 1]`.
    fn list(&self) -> String {
        let lines = self.said.iter().map(|(said, quotes)| {
            let markers: String = quotes.iter().map(|index| format!("[{}]", index + 1)).collect();
            format!("- {said} {markers}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a question is about all documents in scope and not about what one passage says:
/// it asks for a list, a count, a comparison or a summary.
pub fn wants_everything(question: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "list ",
        "how many of ",
        "how many documents",
        "how many files",
        "which documents",
        "which files",
        "which of the documents",
        "compare ",
        "what are all ",
        "name all ",
        "name every ",
        "find all ",
        "find every ",
        "give me all ",
        "show all ",
    ];
    const CHINESE: &[&str] = &[
        "列出",
        "列举",
        "哪些文件",
        "哪些文档",
        "多少份",
        "多少个文件",
        "比较",
        "对比",
        "所有的",
        "每一份",
        "每份",
    ];
    let lower = question.trim().to_lowercase();
    let asked = lower.strip_prefix("please ").unwrap_or(&lower);
    let everywhere =
        ["every document", "all documents", "all the documents", "every file", "all files"];
    BEGINNINGS.iter().any(|beginning| asked.starts_with(beginning))
        || everywhere.iter().any(|words| asked.contains(words))
        || CHINESE.iter().any(|words| question.contains(words))
        || wants_summary(question)
}

/// Whether a summary is asked for, to which every passage has something to say.
fn wants_summary(question: &str) -> bool {
    let lower = question.trim().to_lowercase();
    let asked = lower.strip_prefix("please ").unwrap_or(&lower);
    ["summarise", "summarize", "sum up", "give me a summary", "what is this folder about"]
        .iter()
        .any(|beginning| asked.starts_with(beginning))
        || ["总结", "概括", "摘要", "概述"].iter().any(|words| question.contains(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{ScriptedModel, passage};

    #[tokio::test]
    async fn reads_every_passage_and_keeps_what_is_borne_out() {
        let said = "The monthly rent is 900 euros. [1] Penguins pay 5,000 dollars in winter. [1]";
        let model = ScriptedModel::new(&[said]);
        let filler = "It says nothing of interest. ".repeat(40);
        let passages: Vec<Passage> = (0..6)
            .map(|i| passage(&format!("The monthly rent is 900 euros. {filler}"), i * 5_000))
            .collect();
        let options = AnswerOptions { prompt_tokens: 900, ..AnswerOptions::default() };
        let mut findings = Findings::default();
        let cancel = CancellationToken::new();
        findings
            .read(&model, "What is the rent?", passages.clone(), &options, &cancel)
            .await
            .unwrap();
        let shown: String =
            model.requests().iter().map(|request| request.messages[1].content.clone()).collect();
        assert_eq!(shown.matches("The monthly rent").count(), passages.len());
        assert!(model.requests().len() > 1, "several prompts are needed");
        assert_eq!(findings.said.len(), 1, "the same is said once: {:?}", findings.said);
        assert_eq!(findings.quotes[0].text, "The monthly rent is 900 euros.");
        assert_eq!(findings.quotes[0].range.len(), 30);
        assert_eq!(findings.tokens.prompt, 100 * model.requests().len());
        let answer =
            findings.conclude(&model, "What is the rent?", &options, &cancel).await.unwrap();
        assert_eq!(answer.text, "- The monthly rent is 900 euros. [1]");
        assert_eq!(answer.citations[0].quote, "The monthly rent is 900 euros.");
    }

    #[tokio::test]
    async fn sums_up_what_several_documents_say() {
        let two = [passage("Ada pays 900 euros.", 0), passage("Ben pays 700 euros.", 5_000)];
        let mut findings = Findings::default();
        let cancel = CancellationToken::new();
        let options = AnswerOptions::default();
        for (passage, said) in
            two.into_iter().zip(["Ada pays 900 euros. [1]", "Ben pays 700 euros. [1]"])
        {
            let model = ScriptedModel::new(&[said]);
            findings
                .read(&model, "List the rents", vec![passage], &options, &cancel)
                .await
                .unwrap();
        }
        let model = ScriptedModel::new(&["Ada pays 900 euros [1] and Ben pays 700 euros [2]."]);
        let answer = findings.conclude(&model, "List the rents", &options, &cancel).await.unwrap();
        assert_eq!(
            answer.text,
            "Ada pays 900 euros [1] and Ben pays 700 euros [2].\n\n\
             - Ada pays 900 euros. [1]\n- Ben pays 700 euros. [2]"
        );
        assert_eq!(answer.citations.len(), 2);
        assert_eq!(answer.sentences.len(), 3);
    }

    #[tokio::test]
    async fn keeps_nothing_of_documents_without_an_answer() {
        let model = ScriptedModel::new(&["The rent is 900 euros. [1]"]).verdicts(&[Some(0.001)]);
        let mut findings = Findings::default();
        let passages = vec![passage("The rent is 900 euros.", 0)];
        let cancel = CancellationToken::new();
        let mut options = AnswerOptions::default();
        options.abstain.min_evidence = Some(0.7);
        findings.read(&model, "Who sings?", passages.clone(), &options, &cancel).await.unwrap();
        assert_eq!(findings.said, []);
        cancel.cancel();
        findings.read(&model, "What is the rent?", passages, &options, &cancel).await.unwrap();
        assert_eq!(findings.said, []);
        assert!(model.requests().is_empty());
        let answer = findings.conclude(&model, "Who sings?", &options, &cancel).await.unwrap();
        assert!(answer.abstained && answer.cancelled);
    }

    #[test]
    fn tells_questions_about_everything_by_their_words() {
        let cases = [
            ("List every contract with its end date", true),
            ("How many of the invoices are unpaid?", true),
            ("Compare the two leases.", true),
            ("Please summarise this folder", true),
            ("Which documents mention Vienna?", true),
            ("What do all documents say about rent?", true),
            ("列出所有合同的到期日", true),
            ("总结这个文件夹", true),
            ("What is the rent?", false),
            ("How many days of holiday do employees have?", false),
            ("What does the list of parts contain?", false),
            ("租金是多少？", false),
        ];
        for (question, expected) in cases {
            assert_eq!(wants_everything(question), expected, "{question}");
        }
    }
}
