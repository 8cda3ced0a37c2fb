//! From passages to an answer whose every sentence has been checked.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use lectern_domain::{
    CharRange, ChatDelta, ChatModel, ChatRequest, ChatStream, ChunkId, DocumentId, Embedder,
    ErrorCode, ModelError, TokenUsage, char_slice, is_cjk,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::abstain::{self, AbstainOptions, abstention};
use crate::citations::{CitationStream, ends_in_code};
use crate::evidence::{Evidence, Gaps};
use crate::pack::{PackOptions, Packed, Source, estimate_tokens, pack};
use crate::prompt::{self, Manner, Wishes};
use crate::sentences::{AnswerSentence, split};
use crate::support::{CheckedSentence, Checker, Support};
use crate::{Passage, detect_language};

/// How tokens are spent and when to abstain.
#[derive(Clone)]
pub struct AnswerOptions {
    /// About how many tokens the whole prompt may take, as far as the model's
    /// context allows.
    pub prompt_tokens: usize,
    /// At most so many passages are shown to the model.
    pub max_passages: usize,
    /// A passage that does not fit is cut if at least so many tokens are left.
    pub min_passage_tokens: usize,
    /// Passages after the best one are cut to their best sentences, of at most so many tokens.
    pub further_passage_tokens: usize,
    /// Passages are left out whose score is less than so much of the best one's.
    pub least_passage_share: f32,
    /// At most so many tokens are generated.
    pub max_tokens: usize,
    /// 0 is deterministic.
    pub temperature: f32,
    /// What the person wants of every answer, in their words; empty for nothing.
    pub instructions: String,
    /// In which manner this answer is given; `None` for the usual.
    pub manner: Option<Manner>,
    /// Whether sentences that their sources do not bear out are dropped instead of marked.
    pub drop_unsupported: bool,
    /// When to abstain.
    pub abstain: AbstainOptions,
    /// Lets the check see paraphrases, for the price of a model's run per sentence.
    pub embedder: Option<Arc<dyn Embedder>>,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        let pack = PackOptions::default();
        Self {
            prompt_tokens: pack.max_tokens,
            max_passages: pack.max_passages,
            min_passage_tokens: pack.min_tokens,
            further_passage_tokens: pack.further_tokens,
            least_passage_share: pack.least_share,
            max_tokens: 256,
            temperature: 0.0,
            instructions: String::new(),
            manner: None,
            drop_unsupported: false,
            abstain: AbstainOptions::default(),
            embedder: None,
        }
    }
}

/// What is to be answered.
#[derive(Clone, Default)]
pub struct AnswerInput {
    /// The question, standing alone (see [`crate::condense`]).
    pub question: String,
    /// The passages that were found, best first.
    pub passages: Vec<Passage>,
    /// The cosine similarity of the question and the nearest passage, if known.
    pub similarity: Option<f32>,
    /// How to go about it.
    pub options: AnswerOptions,
}

/// What happens while an answer is made.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerEvent {
    /// The passages are chosen; passage `i` is source number `i + 1`.
    Started(Vec<Passage>),
    /// More text, in which all citation markers are valid.
    Text(String),
    /// A sentence of the text so far has been checked. Its range is in the text so
    /// far; in the [`Answer`] corrected markers may have moved it.
    Checked {
        /// Its place among the sentences, from 0.
        index: usize,
        /// The sentence.
        sentence: CheckedSentence,
    },
    /// All is said; the [`Answer`] has the last word.
    Finished,
}

/// A source that the answer cites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// Its number in the text, an index from 1 into [`Answer::passages`].
    pub n: usize,
    /// The chunk.
    pub chunk: ChunkId,
    /// The document.
    pub document: DocumentId,
    /// The absolute path of a file that holds it.
    pub path: String,
    /// The page on which the passage starts, from 1.
    pub page: Option<u32>,
    /// The quote's characters in the document's canonical text.
    pub range: CharRange,
    /// The text of `range`, to the letter: what bears out best the sentence that
    /// the source supports most. Each sentence has its own in
    /// [`CheckedSentence::quotes`].
    pub quote: String,
    /// The headings above the passage, outermost first.
    pub heading: Vec<String>,
}

/// An answer and what it rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text, with a marker `[n]` for each citation of a sentence outside of code.
    pub text: String,
    /// Whether the sources do not hold the answer; `text` says so then.
    pub abstained: bool,
    /// What the model said if it was withheld because no source supports it.
    pub withheld: Option<String>,
    /// Sentences that were dropped because no source supports them.
    pub dropped: Vec<String>,
    /// The sentences of `text`, checked.
    pub sentences: Vec<CheckedSentence>,
    /// The sources cited, in the order of their first marker, each once.
    pub citations: Vec<Citation>,
    /// The sources the model read: number `n` is `passages[n - 1]`.
    pub passages: Vec<Passage>,
    /// Passages that found no room in the prompt.
    pub left_out: Vec<ChunkId>,
    /// How likely it is that the sources hold the answer, in 0..=1, of the best of `asked`;
    /// `None` where the model was not asked or would say neither yes nor no.
    pub evidence: Option<f32>,
    /// The sources that the model was asked about, and what was found of each.
    pub asked: Vec<Evidence>,
    /// The model's identity; empty if none was asked.
    pub model: String,
    /// What it cost; estimated if the reply was stopped before its end.
    pub tokens: TokenUsage,
    /// From the call to the first text, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From the call to the end, in milliseconds.
    pub total_ms: u64,
    /// Whether it was cancelled and may break off in the middle.
    pub cancelled: bool,
}

/// Answers a question from passages. `sink` hears of every step at once.
///
/// Cancelling is no error: what there is by then is checked, marked as cancelled
/// and returned. Dropping the future stops the model as well.
pub async fn answer(
    model: &dyn ChatModel,
    input: AnswerInput,
    mut sink: impl FnMut(AnswerEvent) + Send,
    cancel: CancellationToken,
) -> Result<Answer, ModelError> {
    let began = Instant::now();
    let AnswerInput { question, passages, similarity, options } = input;
    let mut result = Answer::default();
    if abstain::before_generation(&question, &passages, similarity, &options.abstain) {
        sink(AnswerEvent::Started(Vec::new()));
        result.left_out = passages.iter().map(|passage| passage.chunk).collect();
        abstain_in(&mut result, &question);
        sink(AnswerEvent::Text(result.text.clone()));
        return Ok(finish(result, began, &mut sink));
    }

    model.id().clone_into(&mut result.model);
    let wishes = Wishes {
        manner: options.manner.as_ref(),
        instructions: &options.instructions,
        may_abstain: options.abstain.min_evidence.is_none(),
    };
    let mut passages = passages;
    let mut is_refused = false;
    if let Some(min_evidence) = options.abstain.min_evidence {
        // Judged whole, as far as they fit.
        let whole = AnswerOptions {
            further_passage_tokens: usize::MAX,
            least_passage_share: 0.0,
            ..options.clone()
        };
        let (judged, ..) = choose(model, &question, &passages, &whole, &wishes).await?;
        let asked = evidence(model, &question, &judged.sources, &options.abstain, min_evidence);
        let asked = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            asked = asked => Some(asked?),
        };
        result.cancelled = asked.is_none();
        result.asked = asked.unwrap_or_default();
        let best = result.asked.iter().max_by(|a, b| a.likelihood.total_cmp(&b.likelihood));
        if let Some(best) = best {
            result.evidence = Some(best.likelihood);
            is_refused = best.likelihood < min_evidence;
            if !is_refused && options.abstain.asked_together == 1 {
                // What is likeliest to hold the answer is read first, and whole.
                passages.sort_by_key(|passage| passage.chunk != best.chunk);
            }
        }
    }
    let (packed, prompt_tokens, scale) =
        choose(model, &question, &passages, &options, &wishes).await?;
    result.passages = packed.sources.iter().map(|source| source.passage.clone()).collect();
    result.left_out = packed.left_out;
    sink(AnswerEvent::Started(result.passages.clone()));
    if result.cancelled {
        return Ok(finish(result, began, &mut sink));
    }
    if is_refused {
        result.tokens.prompt = prompt_tokens;
        result.first_token_ms = Some(milliseconds(began));
        abstain_in(&mut result, &question);
        sink(AnswerEvent::Text(result.text.clone()));
        return Ok(finish(result, began, &mut sink));
    }

    let mut checker = Checker::new(&result.passages).about(&question);
    if let Some(embedder) = options.embedder.clone() {
        checker = checker.with_embedder(embedder);
    }
    let mut checking = Checking { checker: Arc::new(checker), done: Vec::new() };
    let request = ChatRequest {
        messages: prompt::messages(&question, &packed.sources, &wishes),
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        sources: Some(packed.sources.len()),
    };
    let mut clean = CitationStream::new(packed.sources.len());
    let mut usage = None;
    let mut kept = None;
    let mut stream: Option<ChatStream> = tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        stream = model.generate(request) => Some(stream?),
    };
    result.cancelled = stream.is_none();
    while let Some(running) = &mut stream {
        let delta = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                result.cancelled = true;
                break;
            }
            delta = running.next() => delta,
        };
        let text = match delta {
            Some(Ok(ChatDelta::Text(text))) => text,
            Some(Ok(ChatDelta::Done(cost))) => {
                usage = Some(cost);
                break;
            }
            Some(Err(error)) => return Err(error),
            None => break,
        };
        result.first_token_ms.get_or_insert_with(|| milliseconds(began));
        let more = clean.push(&text).to_owned();
        if more.is_empty() {
            continue;
        }
        sink(AnswerEvent::Text(more));
        kept = clean.repetition();
        let sentences = split(clean.text());
        let says_no = sentences.first().is_some_and(|first| abstain::is_fixed(&first.text));
        if kept.is_some() || says_no {
            break;
        }
        checking.check(&sentences[..certain(&sentences)], &mut sink).await?;
    }
    // The model stops at its next token, while the rest is checked.
    drop(stream);
    let rest = clean.finish().to_owned();
    if !rest.is_empty() && kept.is_none() {
        sink(AnswerEvent::Text(rest));
    }
    let text = clean.text();
    let text = text[..kept.unwrap_or(text.len())].trim_end();
    result.tokens = usage.unwrap_or_else(|| TokenUsage {
        prompt: prompt_tokens,
        completion: (estimate_tokens(text) as f32 * scale).ceil() as usize,
    });
    let sentences = split(text);
    checking.check(&sentences, &mut sink).await?;
    let checked: Vec<CheckedSentence> =
        checking.done.into_iter().map(|(_, checked)| checked).collect();
    if !result.cancelled && abstain::after_generation(&checked, &options.abstain) {
        let claims = checked.iter().any(|sentence| sentence.support != Support::None);
        result.withheld = claims.then(|| text.to_owned());
        abstain_in(&mut result, &question);
    } else {
        (result.text, result.sentences) = rewrite(text, &sentences, checked);
        if options.drop_unsupported {
            drop_unsupported(&mut result);
        }
        result.citations = cite(&result.sentences, &result.passages);
    }
    Ok(finish(result, began, &mut sink))
}

/// What the model finds of the best of the sources, one after the other, as long as none of them is
/// likely `enough` to hold the answer. What it says neither yes nor no of is not among it.
async fn evidence(
    model: &dyn ChatModel,
    question: &str,
    sources: &[Source],
    options: &AbstainOptions,
    enough: f32,
) -> Result<Vec<Evidence>, ModelError> {
    let mut found = Vec::new();
    for together in sources.chunks(options.asked_together.max(1)).take(ASKED) {
        let Some(yes) = model.yes_or_no(prompt::evidence(question, together)).await? else {
            continue;
        };
        let passages: Vec<&Passage> = together.iter().map(|source| &source.passage).collect();
        // What gaps tell was counted on single passages.
        let likelihood = match options.asked_together {
            1 => Gaps::between(question, &passages).weigh(yes),
            _ => yes,
        };
        found.push(Evidence { chunk: together[0].passage.chunk, yes, likelihood });
        if likelihood >= enough {
            break;
        }
    }
    Ok(found)
}

/// So many times the model is asked whether sources hold the answer: the right passage is hardly
/// ever further down, and each time takes about as long as reading the passage.
const ASKED: usize = 2;

/// Chooses the sources. Returns also about how many tokens the prompt takes, and
/// how many tokens of the model one estimated token is.
async fn choose(
    model: &dyn ChatModel,
    question: &str,
    passages: &[Passage],
    options: &AnswerOptions,
    wishes: &Wishes<'_>,
) -> Result<(Packed, usize, f32), ModelError> {
    let sample: String =
        passages.iter().take(options.max_passages).map(|passage| passage.text.as_str()).collect();
    let scale = model.count_tokens(&sample).await? as f32 / estimate_tokens(&sample).max(1) as f32;
    let count = |text: &str| (estimate_tokens(text) as f32 * scale).ceil() as usize;
    let frame: usize = prompt::messages(question, &[], wishes)
        .iter()
        .map(|message| count(&message.content) + TEMPLATE_TOKENS)
        .sum();
    let budget =
        options.prompt_tokens.min(model.context_tokens().saturating_sub(options.max_tokens));
    let pack_options = PackOptions {
        max_tokens: budget.saturating_sub(frame),
        max_passages: options.max_passages,
        min_tokens: options.min_passage_tokens,
        further_tokens: options.further_passage_tokens,
        least_share: options.least_passage_share,
    };
    let packed = pack(passages, question, &pack_options, |text| count(text) + TITLE_TOKENS);
    if packed.sources.is_empty() {
        return Err(ModelError::new(
            ErrorCode::InvalidInput,
            "The question leaves no room for a source.",
            "Ask in fewer words, or allow longer prompts.",
        ));
    }
    let tokens = frame + packed.tokens;
    Ok((packed, tokens, scale))
}

/// About what a chat template adds to a message.
const TEMPLATE_TOKENS: usize = 5;
/// About what the line above a source takes.
const TITLE_TOKENS: usize = 16;

/// The sentences that were checked so far.
struct Checking {
    checker: Arc<Checker>,
    done: Vec<(AnswerSentence, CheckedSentence)>,
}

impl Checking {
    /// Checks what is new or has changed among `sentences`, and forgets what is
    /// beyond them.
    async fn check(
        &mut self,
        sentences: &[AnswerSentence],
        sink: &mut impl FnMut(AnswerEvent),
    ) -> Result<(), ModelError> {
        for (index, sentence) in sentences.iter().enumerate() {
            if self.done.get(index).is_some_and(|(before, _)| before == sentence) {
                continue;
            }
            let checked = if self.checker.is_slow() {
                let (checker, sentence) = (self.checker.clone(), sentence.clone());
                let joined = tokio::task::spawn_blocking(move || checker.check(&sentence)).await;
                joined.map_err(|error| {
                    ModelError::new(
                        ErrorCode::Internal,
                        format!("The check of a sentence failed: {error}"),
                        "Ask again.",
                    )
                })??
            } else {
                self.checker.check(sentence)?
            };
            sink(AnswerEvent::Checked { index, sentence: checked.clone() });
            self.done.truncate(index);
            self.done.push((sentence.clone(), checked));
        }
        self.done.truncate(sentences.len());
        Ok(())
    }
}

/// How many of the sentences no further text can change: a citation may still
/// follow the last one, and a name may still come after what looks like a full stop.
fn certain(sentences: &[AnswerSentence]) -> usize {
    match sentences.last() {
        Some(last) if last.text.chars().count() >= 8 => sentences.len() - 1,
        _ => sentences.len().saturating_sub(2),
    }
}

pub(crate) fn abstain_in(result: &mut Answer, question: &str) {
    abstention(detect_language(question)).clone_into(&mut result.text);
    result.abstained = true;
    result.sentences = split(&result.text)
        .into_iter()
        .map(|sentence| CheckedSentence {
            range: sentence.range,
            text: sentence.text,
            citations: Vec::new(),
            support: Support::None,
            score: 0.0,
            quotes: Vec::new(),
        })
        .collect();
}

fn finish(mut result: Answer, began: Instant, sink: &mut impl FnMut(AnswerEvent)) -> Answer {
    result.total_ms = milliseconds(began);
    sink(AnswerEvent::Finished);
    result
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The text with the checked citations of each sentence, and the sentences with
/// their places in it. Sentences whose citations are as the model wrote them stay
/// to the letter; otherwise the markers follow the sentence, except in code, where
/// they would be read as code.
pub(crate) fn rewrite(
    text: &str,
    sentences: &[AnswerSentence],
    checked: Vec<CheckedSentence>,
) -> (String, Vec<CheckedSentence>) {
    let mut written = String::with_capacity(text.len());
    let mut characters = 0;
    let mut placed = Vec::with_capacity(checked.len());
    let mut after = 0;
    for (sentence, mut checked) in sentences.iter().zip(checked) {
        let between = char_slice(text, CharRange::new(after, sentence.range.start));
        written.push_str(between);
        let mut own = char_slice(text, sentence.range).to_owned();
        if sentence.citations != checked.citations {
            own.clone_from(&sentence.text);
            if !checked.citations.is_empty() && !ends_in_code(&format!("{written}{own}")) {
                if !own.ends_with(is_cjk) {
                    own.push(' ');
                }
                own.extend(checked.citations.iter().map(|n| format!("[{n}]")));
            }
        }
        after = sentence.range.end;
        let start = characters + between.chars().count() as u32;
        characters = start + own.chars().count() as u32;
        checked.range = CharRange::new(start, characters);
        written.push_str(&own);
        placed.push(checked);
    }
    (written, placed)
}

/// Takes the sentences out of an answer that their sources do not bear out.
fn drop_unsupported(answer: &mut Answer) {
    let mut kept = String::with_capacity(answer.text.len());
    let mut characters = 0;
    let mut after = 0;
    let mut sentences = Vec::with_capacity(answer.sentences.len());
    for mut sentence in std::mem::take(&mut answer.sentences) {
        // What stands between two sentences goes with the second.
        let piece = char_slice(&answer.text, CharRange::new(after, sentence.range.end));
        let before = sentence.range.start - after;
        after = sentence.range.end;
        if sentence.support == Support::Unsupported {
            answer.dropped.push(sentence.text);
            continue;
        }
        let start = characters + before;
        characters += piece.chars().count() as u32;
        sentence.range = CharRange::new(start, characters);
        kept.push_str(piece);
        sentences.push(sentence);
    }
    answer.text = kept;
    answer.sentences = sentences;
}

pub(crate) fn cite(sentences: &[CheckedSentence], passages: &[Passage]) -> Vec<Citation> {
    let mut citations: Vec<(f32, Citation)> = Vec::new();
    for quote in sentences.iter().flat_map(|sentence| &sentence.quotes) {
        let Some(passage) = quote.n.checked_sub(1).and_then(|index| passages.get(index)) else {
            continue;
        };
        let citation = || Citation {
            n: quote.n,
            chunk: passage.chunk,
            document: passage.document,
            path: passage.path.clone(),
            page: passage.page,
            range: quote.range,
            quote: quote.quote.clone(),
            heading: passage.heading.clone(),
        };
        match citations.iter_mut().find(|(_, other)| other.n == quote.n) {
            Some(other) if quote.score > other.0 => *other = (quote.score, citation()),
            Some(_) => {}
            None => citations.push((quote.score, citation())),
        }
    }
    citations.into_iter().map(|(_, citation)| citation).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::citations::markers;
    use crate::testing::{Ending, ScriptedModel, passage};

    fn lease() -> Vec<Passage> {
        vec![
            passage("The lease began on 1 March 2024. The monthly rent is 900 euros.", 0),
            passage("The tenant may not keep dogs. Cats are allowed with consent.", 200),
            passage("租金每月九百欧元。押金为2700欧元，十日内支付。", 400),
        ]
    }

    fn input(question: &str) -> AnswerInput {
        AnswerInput { question: question.to_owned(), passages: lease(), ..AnswerInput::default() }
    }

    async fn run(model: &ScriptedModel, input: AnswerInput) -> (Answer, Vec<AnswerEvent>) {
        let mut events = Vec::new();
        let answer = answer(model, input, |event| events.push(event), CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(events.last(), Some(&AnswerEvent::Finished));
        (answer, events)
    }

    #[tokio::test]
    async fn writes_what_the_sources_bear_out() {
        let rent = "What is the rent, and may I keep a dog?";
        type Expected<'a> = &'a [(Support, &'a [usize])];
        let cases: &[(&str, &str, &str, Expected)] = &[
            (
                rent,
                "The monthly rent is 900 euros. [1] The tenant may not keep dogs [2].",
                "The monthly rent is 900 euros. [1] The tenant may not keep dogs [2].",
                &[(Support::Supported, &[1]), (Support::Supported, &[2])],
            ),
            // Missing, wrong and invented numbers.
            (
                rent,
                "The monthly rent is 900 euros. The tenant may not keep dogs. [1] Cats are allowed with consent. [9]",
                "The monthly rent is 900 euros. [1] The tenant may not keep dogs. [2] Cats are allowed with consent. [2]",
                &[
                    (Support::Supported, &[1]),
                    (Support::Supported, &[2]),
                    (Support::Supported, &[2]),
                ],
            ),
            // A changed number stays marked.
            (
                rent,
                "The lease began on 1 March 2024. [1] The monthly rent is 950 euros. [1]",
                "The lease began on 1 March 2024. [1] The monthly rent is 950 euros. [1]",
                &[(Support::Supported, &[1]), (Support::Unsupported, &[1])],
            ),
            // A claim of nothing needs no source.
            (
                rent,
                "Here is the answer: \n- The monthly rent is 900 euros [Source 1]\n- The tenant may not keep dogs【2】",
                "Here is the answer: \n- The monthly rent is 900 euros [1]\n- The tenant may not keep dogs[2]",
                &[(Support::None, &[]), (Support::Supported, &[1]), (Support::Supported, &[2])],
            ),
            (
                "押金是多少？",
                "押金为2700欧元。押金在十日内支付[3]。",
                "押金为2700欧元。[3]押金在十日内支付[3]。",
                &[(Support::Supported, &[3]), (Support::Supported, &[3])],
            ),
        ];
        for (question, reply, text, sentences) in cases {
            for size in [1, 5, 1000] {
                let chars: Vec<char> = reply.chars().collect();
                let deltas: Vec<String> =
                    chars.chunks(size).map(|piece| piece.iter().collect()).collect();
                let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
                let (answer, _) = run(&ScriptedModel::new(&deltas), input(question)).await;
                assert_eq!(answer.text, *text);
                let got: Vec<_> =
                    answer.sentences.iter().map(|s| (s.support, s.citations.as_slice())).collect();
                assert_eq!(got, *sentences, "{text}");
                assert!(!answer.abstained && !answer.cancelled && answer.withheld.is_none());
                assert_eq!(answer.tokens, TokenUsage { prompt: 100, completion: deltas.len() });
            }
        }
    }

    #[tokio::test]
    async fn tells_each_step_in_order() {
        let model = ScriptedModel::new(&[
            "The monthly rent is 900 ",
            "euros. [",
            "1]",
            " The tenant may not keep dogs. [7",
            "]",
        ]);
        let (answer, events) = run(&model, input("What is the monthly rent?")).await;
        let told: Vec<String> = events
            .iter()
            .map(|event| match event {
                AnswerEvent::Started(passages) => format!("started {}", passages.len()),
                AnswerEvent::Text(text) => text.clone(),
                AnswerEvent::Checked { index, sentence } => {
                    format!("checked {index} {:?}", sentence.citations)
                }
                AnswerEvent::Finished => "finished".to_owned(),
            })
            .collect();
        assert_eq!(
            told,
            [
                "started 3",
                "The monthly rent is 900",
                " euros.",
                " [1]",
                " The tenant may not keep dogs.",
                "checked 0 [1]",
                "checked 1 [2]",
                "finished"
            ]
        );
        assert_eq!(answer.model, "scripted");
        let request = &model.requests()[0];
        assert_eq!((request.max_tokens, request.sources), (256, Some(3)));
        assert!(
            request.messages[1].content.contains("From lease.pdf — page 1:\n[1] The lease began")
        );
    }

    #[tokio::test]
    async fn abstains_in_the_language_of_the_question() {
        let english = abstention(crate::Language::Other);
        let chinese = abstention(crate::Language::Chinese);
        let cases: &[(&str, &[&str], &str, Option<&str>)] = &[
            ("What is the rent in winter?", &[english, " And more."], english, None),
            ("What is the rent in winter?", &["The sources do not mention winter."], english, None),
            ("租金在冬天是多少？", &[english], chinese, None),
            ("租金在冬天是多少？", &[chinese], chinese, None),
            ("What is the rent in winter?", &[], english, None),
            (
                "What is the rent in winter?",
                &["Penguins pay 5,000 dollars every winter. [1]"],
                english,
                Some("Penguins pay 5,000 dollars every winter. [1]"),
            ),
        ];
        for (question, deltas, text, withheld) in cases {
            let (answer, _) = run(&ScriptedModel::new(deltas), input(question)).await;
            assert!(answer.abstained, "{deltas:?}");
            assert_eq!(answer.text, *text);
            assert_eq!(answer.withheld.as_deref(), *withheld);
            assert!(answer.citations.is_empty());
            assert_eq!(answer.sentences[0].support, Support::None);
        }
    }

    #[tokio::test]
    async fn asks_for_an_answer_only_where_the_model_finds_one_in_the_best_sources() {
        let said = "The monthly rent is 900 euros. [1]";
        // How likely the model finds one in the sources, one after the other; what it comes to.
        let cases: [(&[Option<f32>], Option<f32>, bool, usize); 6] = [
            (&[Some(0.1), Some(0.2), Some(0.9)], Some(0.2), true, 2),
            (&[Some(0.69), Some(0.1)], Some(0.69), true, 2),
            (&[Some(0.71)], Some(0.71), false, 1),
            (&[Some(0.1), Some(0.71)], Some(0.71), false, 2),
            (&[None, Some(0.1)], Some(0.1), true, 2),
            (&[], None, false, 2),
        ];
        for (verdicts, evidence, abstains, asked) in cases {
            let model = ScriptedModel::new(&[said]).verdicts(verdicts);
            let mut input = input("What is the rent?");
            input.options.abstain.min_evidence = Some(0.7);
            let (answer, events) = run(&model, input).await;
            assert_eq!((answer.abstained, answer.evidence), (abstains, evidence));
            assert_eq!(model.asked().len(), asked);
            assert_eq!(model.requests().len(), usize::from(!abstains));
            assert_eq!(answer.passages.len(), 3, "the nearest passages are still named");
            // The number that the model wrote may be corrected afterwards.
            let told = if abstains { answer.text.as_str() } else { said };
            assert!(events.contains(&AnswerEvent::Text(told.to_owned())), "{events:?}");
        }
    }

    #[tokio::test]
    async fn reads_first_what_is_likeliest_to_hold_the_answer() {
        let model = ScriptedModel::new(&["The tenant may not keep dogs. [1]"])
            .verdicts(&[Some(0.1), Some(0.9)]);
        let mut input = input("May the tenant keep dogs?");
        input.options.abstain.min_evidence = Some(0.5);
        input.options.further_passage_tokens = 40;
        let (answer, _) = run(&model, input).await;
        let chunks: Vec<i64> = answer.passages.iter().map(|passage| passage.chunk.0).collect();
        assert_eq!(chunks, [200, 0, 400]);
        let asked: Vec<i64> = answer.asked.iter().map(|asked| asked.chunk.0).collect();
        assert_eq!(asked, [0, 200]);
        assert_eq!(answer.citations[0].quote, "The tenant may not keep dogs.");
    }

    #[tokio::test]
    async fn drops_what_is_not_borne_out_where_that_is_wanted() {
        let said = "The lease began on 1 March 2024. [1] Penguins pay 5,000 dollars. [1]\n- The monthly rent is 900 euros. [1]";
        let mut input = input("What is the rent?");
        input.options.drop_unsupported = true;
        let (answer, _) = run(&ScriptedModel::new(&[said]), input).await;
        assert_eq!(
            answer.text,
            "The lease began on 1 March 2024. [1]\n- The monthly rent is 900 euros. [1]"
        );
        assert_eq!(answer.dropped, ["Penguins pay 5,000 dollars."]);
        for sentence in &answer.sentences {
            let own = char_slice(&answer.text, sentence.range);
            assert!(own.starts_with(&sentence.text) && own.ends_with("[1]"), "{own}");
        }
    }

    #[tokio::test]
    async fn does_not_ask_the_model_without_a_passage_that_could_answer() {
        let model = ScriptedModel::new(&["never said"]);
        let nothing = AnswerInput { passages: Vec::new(), ..input("What is the rent?") };
        for input in
            [nothing, AnswerInput { similarity: Some(0.1), ..input("Who won the championship?") }]
        {
            let (answer, _) = run(&model, input).await;
            assert!(answer.abstained);
            assert_eq!(answer.tokens, TokenUsage::default());
        }
        assert!(model.requests().is_empty());
    }

    #[tokio::test]
    async fn stops_a_model_that_repeats_itself_or_has_said_no() {
        let said = "The monthly rent is 900 euros. [1] ";
        let model = ScriptedModel::new(&[said, said, said, said]).ending(Ending::Hangs);
        let (answer, _) = run(&model, input("What is the rent?")).await;
        assert_eq!(answer.text, said.trim_end());
        assert_eq!((model.taken(), model.dropped()), (2, 1));

        let model = ScriptedModel::new(&[abstention(crate::Language::Other), " But", " perhaps"])
            .ending(Ending::Hangs);
        let (answer, _) = run(&model, input("What is the rent?")).await;
        assert!(answer.abstained);
        assert_eq!((model.taken(), model.dropped()), (1, 1));
    }

    #[tokio::test]
    async fn returns_what_there_is_when_cancelled() {
        let model = ScriptedModel::new(&["The monthly rent is 900 euros. [1] The tenant may"])
            .ending(Ending::Hangs);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let on_event = |event| {
            if matches!(event, AnswerEvent::Text(_)) {
                stop.cancel();
            }
        };
        let answer = answer(&model, input("What is the rent?"), on_event, cancel).await.unwrap();
        assert!(answer.cancelled && !answer.abstained);
        assert_eq!(answer.sentences[0].support, Support::Supported);
        assert!(answer.text.starts_with("The monthly rent is 900 euros. [1] The tenant may"));
        assert_eq!(model.dropped(), 1);
        assert!(answer.tokens.prompt > 0 && answer.tokens.completion > 0);
    }

    #[test]
    fn can_run_on_any_thread() {
        fn check(_: impl Send) {}
        let model = ScriptedModel::new(&[]);
        check(answer(&model, input("What?"), |_| {}, CancellationToken::new()));
    }

    #[tokio::test]
    async fn cancelled_before_it_begins_says_nothing() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let model = ScriptedModel::new(&["never"]);
        let answer = answer(&model, input("What is the rent?"), |_| {}, cancel).await.unwrap();
        assert!(answer.cancelled && !answer.abstained && answer.text.is_empty());
        assert!(model.requests().is_empty());
    }

    #[tokio::test]
    async fn passes_a_models_failure_on() {
        let error =
            ModelError::new(ErrorCode::ModelFailed, "Out of memory.", "Use a smaller model.");
        let model = ScriptedModel::new(&["The rent"]).ending(Ending::Fails(error.clone()));
        let failed =
            answer(&model, input("What is the rent?"), |_| {}, CancellationToken::new()).await;
        assert_eq!(failed.unwrap_err(), error);
    }

    #[tokio::test]
    async fn says_when_a_question_leaves_no_room() {
        let model = ScriptedModel::new(&[]);
        let long = format!("What is the rent {}?", "of the flat in the long street ".repeat(300));
        let failed = answer(&model, input(&long), |_| {}, CancellationToken::new()).await;
        assert_eq!(failed.unwrap_err().code, ErrorCode::InvalidInput);
    }

    /// Replies out of true and false sentences, markers of every form and noise,
    /// cut into random pieces: whatever a model says, what comes out holds.
    #[tokio::test]
    async fn every_quote_is_in_its_passage_and_every_number_exists() {
        let pieces = [
            "The monthly rent is 900 euros",
            "The tenant may not keep dogs",
            "Penguins swim",
            "押金为2700欧元",
            "十日内支付",
            "。",
            ". ",
            "\n- ",
            "\n\n",
            " [1]",
            "[2, 3]",
            "【3】",
            " [9]",
            "[n]",
            "[Source 2]",
            "[[1]]",
            "[",
            "]",
            "`a[4]`",
            "```\n",
            "Yes. ",
            "# Rent\n",
            " | ",
            "! ",
            "[1-7]",
            "…",
            "900",
        ];
        let mut state = 7_u64;
        let mut random = |n: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut cited = 0;
        for _ in 0..1500 {
            let reply: String = (0..1 + random(14)).map(|_| pieces[random(pieces.len())]).collect();
            let mut rest: Vec<char> = reply.chars().collect();
            let mut deltas = Vec::new();
            while !rest.is_empty() {
                let length = 1 + random(9.min(rest.len()));
                deltas.push(rest.drain(..length.min(rest.len())).collect::<String>());
            }
            let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
            let (answer, _) =
                run(&ScriptedModel::new(&deltas), input("What is the rent? 押金租金多少？")).await;
            let passages = &answer.passages;
            for (_, n) in markers(&answer.text) {
                assert!(
                    answer.citations.iter().any(|citation| citation.n == n),
                    "{reply:?} {:?}",
                    answer.text
                );
            }
            let quotes = answer
                .sentences
                .iter()
                .flat_map(|s| s.quotes.iter().map(|q| (q.n, q.range, &q.quote)));
            for (n, range, quote) in
                quotes.chain(answer.citations.iter().map(|c| (c.n, c.range, &c.quote)))
            {
                let passage = &passages[n - 1];
                let offset = passage.range.start;
                let inside = CharRange::new(range.start - offset, range.end - offset);
                assert!(!quote.is_empty(), "{reply:?}");
                assert_eq!(char_slice(&passage.text, inside), quote, "{reply:?}");
                assert!(passage.range.start <= range.start && range.end <= passage.range.end);
                cited += 1;
            }
            for sentence in &answer.sentences {
                let own = char_slice(&answer.text, sentence.range);
                let before = char_slice(&answer.text, CharRange::new(0, sentence.range.end));
                let end = before.len();
                let inside = |place: &std::ops::Range<usize>| {
                    place.start >= end - own.len() && place.end <= end
                };
                let marked: Vec<usize> = markers(&answer.text)
                    .into_iter()
                    .filter(|(place, _)| inside(place))
                    .map(|(_, n)| n)
                    .collect();
                let all_marked = sentence.citations.iter().all(|n| marked.contains(n));
                assert!(all_marked || ends_in_code(before), "{reply:?} {own:?}");
                assert_eq!(sentence.quotes.len(), sentence.citations.len());
                assert!((0.0..=1.0).contains(&sentence.score), "{reply:?}");
            }
        }
        assert!(cited > 500, "the replies cite too little to prove anything: {cited}");
    }
}
