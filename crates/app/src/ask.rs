//! Answering a question, and keeping the answer.

use std::time::Instant;

use lectern_answer::{
    Answer as Made, AnswerEvent, AnswerInput, AnswerOptions, Passage,
    abstain::AbstainOptions,
    answer,
    condense::{Turn, standalone_question, stands_alone},
    prompt,
    support::Support,
    thorough::{Findings, wants_everything},
};
use lectern_catalog::ScopeFilter;
use lectern_domain::{ChatModel, ConversationId, ErrorCode, TokenUsage};
use tokio_util::sync::CancellationToken;

use crate::{
    Answer, AnswerPassage, AnswerSentence, App, AppError, AskEvent, AskRequest, Citation, Coverage,
    Manner, Result, SearchMode, SupportLevel, Timing, Tokens, conversations::no_conversation,
    error, library::now_seconds, locked, milliseconds_since, search::passage, source::Whereabouts,
};

/// Passages that are found for an answer. The model sees as many of the best as
/// its prompt has room for.
const PASSAGES: usize = 8;

/// What the model reads, in tokens and passages: on a CPU every hundred tokens are
/// some seconds of waiting for the first word.
const PROMPT_TOKENS: usize = 700;
const PROMPT_PASSAGES: usize = 4;

impl App {
    /// Answers a question from the passages in scope. `sink` hears of the passages
    /// and of every piece of text. Cancelling is no error: what there is by then is
    /// checked, kept and returned.
    pub async fn ask(
        &self,
        request: &AskRequest,
        mut sink: impl FnMut(AskEvent) + Send,
        cancel: &CancellationToken,
    ) -> Result<Answer> {
        let start = Instant::now();
        let _attention = self.attend();
        let milliseconds = || milliseconds_since(start);
        let question = request.question.trim();
        if question.is_empty() {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                "the question is empty",
                "Type a question.",
            ));
        }
        let history = self.turns(request.conversation)?;
        let chat = &self.inner.parts.chat;
        let edited = request.standalone_question.as_deref().map(str::trim);
        let standalone = if let Some(edited) = edited.filter(|edited| !edited.is_empty()) {
            edited.to_owned()
        } else if history.is_empty() || stands_alone(question) {
            question.to_owned()
        } else {
            sink(AskEvent::LoadingModel);
            let model = tokio::select! {
                model = chat.get() => model?,
                () = cancel.cancelled() => return Err(cancelled()),
            };
            standalone_question(model.as_ref(), &history, question, cancel).await?
        };

        let k = if request.k == 0 { PASSAGES } else { request.k as usize };
        let found = self.find(&standalone, k, SearchMode::Hybrid, &request.filter).await?;
        let mut found: Vec<_> = found.into_iter().map(|found| found.passage).collect();
        let retrieval = milliseconds();
        sink(AskEvent::Passages {
            standalone_question: standalone.clone(),
            passages: self.shown(&found, |_| None)?,
        });
        let mut reply = Answer {
            id: None,
            rating: None,
            question: question.to_owned(),
            standalone_question: standalone.clone(),
            answer: String::new(),
            abstained: false,
            evidence: None,
            cancelled: false,
            sentences: Vec::new(),
            citations: Vec::new(),
            passages: self.shown(&found, |_| None)?,
            filter: request.filter.clone(),
            manner: request.manner.clone(),
            model: chat.id().to_owned(),
            tokens: Tokens::default(),
            milliseconds: Timing { retrieval, first_token: None, total: retrieval },
            conversation: request.conversation,
            pending: self.catalog().pending_files()?,
            dropped: Vec::new(),
            coverage: None,
            wants_everything: !request.thorough && wants_everything(&standalone),
        };
        if request.no_answer {
            return Ok(reply);
        }

        sink(AskEvent::LoadingModel);
        let model = tokio::select! {
            model = chat.get() => model?,
            () = cancel.cancelled() => {
                reply.cancelled = true;
                return Ok(reply);
            }
        };
        let loaded = milliseconds();
        let settings = self.model_settings()?;
        let catalogued = self.inner.parts.models.store.model(model.id()).ok();
        let abstain = AbstainOptions {
            min_evidence: request
                .min_evidence
                .or_else(|| catalogued.and_then(|model| model.min_evidence)),
            ..AbstainOptions::default()
        };
        let options = AnswerOptions {
            prompt_tokens: PROMPT_TOKENS,
            max_passages: PROMPT_PASSAGES,
            temperature: settings.temperature,
            instructions: settings.instructions,
            manner: request.manner.clone().map(prompt::Manner::from),
            drop_unsupported: request.only_supported,
            abstain,
            ..AnswerOptions::default()
        };
        let made = if request.thorough {
            let filter = self.scope_of(&request.filter, &standalone)?;
            let asked = WholeScope { question: &standalone, filter, options };
            let (made, coverage) =
                self.read_everything(model.as_ref(), asked, &mut sink, cancel).await?;
            reply.coverage = Some(coverage);
            found = made.passages.clone();
            made
        } else {
            let input = AnswerInput {
                question: standalone,
                passages: found.clone(),
                similarity: None,
                options,
            };
            let tell = |event| {
                if let AnswerEvent::Text(delta) = event {
                    sink(AskEvent::Text { delta });
                }
            };
            answer(model.as_ref(), input, tell, cancel.clone()).await.inspect_err(|error| {
                // An engine that failed once fails again; the next question loads it anew.
                if error.code == ErrorCode::ModelFailed {
                    self.inner.parts.models.chat.release();
                }
            })?
        };
        self.fill(&mut reply, made, &found)?;
        reply.milliseconds.first_token = reply.milliseconds.first_token.map(|time| loaded + time);
        reply.milliseconds.total = milliseconds();
        self.keep(&mut reply)?;
        Ok(reply)
    }

    /// As [`App::ask`], for the one person at the window: a new question ends the
    /// one before, [`App::stop`] ends this one, and the end is an event.
    pub async fn ask_and_tell(&self, request: &AskRequest, mut sink: impl FnMut(AskEvent) + Send) {
        let cancel = self.inner.shutdown.child_token();
        std::mem::replace(&mut *locked(&self.inner.asking), cancel.clone()).cancel();
        let end = match self.ask(request, &mut sink, &cancel).await {
            Ok(answer) if answer.cancelled => AskEvent::Cancelled { answer: Box::new(answer) },
            Ok(answer) => AskEvent::Done { answer: Box::new(answer) },
            Err(error) => AskEvent::Failed { error },
        };
        sink(end);
    }

    /// Stops the answer that is being made.
    pub fn stop(&self) {
        locked(&self.inner.asking).cancel();
    }

    fn turns(&self, conversation: Option<i64>) -> Result<Vec<Turn>> {
        let Some(id) = conversation else { return Ok(Vec::new()) };
        let conversation = self.conversation(id)?;
        Ok(conversation
            .answers
            .into_iter()
            .map(|answer| Turn { question: answer.standalone_question, answer: answer.answer })
            .collect())
    }

    /// Reads every document in scope, from the first to the last, and answers from what
    /// they say. When cancelled, from what was read by then.
    async fn read_everything(
        &self,
        model: &dyn ChatModel,
        asked: WholeScope<'_>,
        sink: &mut (impl FnMut(AskEvent) + Send),
        cancel: &CancellationToken,
    ) -> Result<(Made, Coverage)> {
        let WholeScope { question, filter, options } = asked;
        let documents = self.catalog().documents_in(&filter)?;
        let mut unreadable = self.catalog().counts(None)?.failed;
        if !filter.within.is_empty() {
            unreadable = 0;
            for path in &filter.within {
                unreadable += self.catalog().counts(Some(path))?.failed;
            }
        }
        let mut coverage = Coverage {
            documents: to_u32(documents.len()),
            read: 0,
            unreadable: u32::try_from(unreadable).unwrap_or(u32::MAX),
        };
        let mut findings = Findings::default();
        for document in documents {
            sink(AskEvent::Reading { coverage });
            let passages = self.catalog().chunks_of(document, &filter)?;
            let passages = passages.into_iter().map(|record| passage(record, 0.0)).collect();
            findings.read(model, question, passages, &options, cancel).await?;
            if cancel.is_cancelled() {
                break;
            }
            coverage.read += 1;
        }
        let made = findings.conclude(model, question, &options, cancel).await?;
        sink(AskEvent::Text { delta: made.text.clone() });
        Ok((made, coverage))
    }

    /// Puts what the model said and what it rests on into the contract's form.
    fn fill(&self, answer: &mut Answer, made: Made, found: &[Passage]) -> Result<()> {
        let number = |passage: &Passage| {
            let at = made.passages.iter().position(|source| source.chunk == passage.chunk)?;
            u32::try_from(at + 1).ok()
        };
        answer.passages = self.shown(found, number)?;
        answer.citations = made
            .citations
            .into_iter()
            .map(|citation| {
                let Whereabouts { page, label, place } =
                    self.whereabouts(citation.document, citation.range.start)?;
                Ok(Citation {
                    n: to_u32(citation.n),
                    rects: self.rects(citation.document, citation.range)?,
                    document: citation.path,
                    page,
                    label,
                    place,
                    start: citation.range.start,
                    end: citation.range.end,
                    quote: citation.quote,
                    heading: citation.heading,
                    content: self.content_of(citation.document)?,
                })
            })
            .collect::<Result<_>>()?;
        answer.sentences = made
            .sentences
            .into_iter()
            .map(|sentence| AnswerSentence {
                text: sentence.text,
                citations: sentence.citations.into_iter().map(to_u32).collect(),
                support: match sentence.support {
                    Support::Supported => SupportLevel::Supported,
                    Support::Partial => SupportLevel::Partial,
                    Support::Unsupported => SupportLevel::Unsupported,
                    Support::None => SupportLevel::None,
                },
                score: sentence.score,
            })
            .collect();
        let TokenUsage { prompt, completion } = made.tokens;
        answer.tokens = Tokens { prompt: to_u32(prompt), completion: to_u32(completion) };
        answer.answer = made.text;
        answer.abstained = made.abstained;
        answer.evidence = made.evidence;
        answer.dropped = made.dropped;
        answer.cancelled = made.cancelled;
        answer.milliseconds.first_token = made.first_token_ms.map(|time| time as f64);
        Ok(())
    }

    /// Passages as the answer shows them, each with the number that `number` gives it.
    fn shown(
        &self,
        passages: &[Passage],
        number: impl Fn(&Passage) -> Option<u32>,
    ) -> Result<Vec<AnswerPassage>> {
        passages
            .iter()
            .map(|passage| {
                let Whereabouts { label, place, .. } =
                    self.whereabouts(passage.document, passage.range.start)?;
                Ok(AnswerPassage {
                    n: number(passage),
                    document: passage.path.clone(),
                    page: passage.page,
                    label,
                    place,
                    text: passage.text.clone(),
                    start: passage.range.start,
                    end: passage.range.end,
                    score: passage.score,
                    heading: passage.heading.clone(),
                })
            })
            .collect()
    }

    /// Keeps an answer in its conversation, or begins one with it.
    fn keep(&self, answer: &mut Answer) -> Result<()> {
        if self.inner.read_only {
            return Ok(());
        }
        let now = now_seconds();
        let id = match answer.conversation {
            Some(id) => ConversationId(id),
            None => self.catalog().create_conversation(&answer.question, now)?,
        };
        answer.conversation = Some(id.0);
        let stored = serde_json::to_string(answer).map_err(|error| error::internal(&error))?;
        if self.catalog().conversation(id)?.is_none() {
            return Err(no_conversation(id.0));
        }
        answer.id = Some(self.catalog().add_turn(id, &stored, now)?);
        Ok(())
    }
}

/// A question to all documents in scope.
struct WholeScope<'a> {
    question: &'a str,
    filter: ScopeFilter,
    options: AnswerOptions,
}

impl From<Manner> for prompt::Manner {
    fn from(manner: Manner) -> Self {
        match manner {
            Manner::Shorter => Self::Shorter,
            Manner::Longer => Self::Longer,
            Manner::Simpler => Self::Simpler,
            Manner::Points => Self::Points,
            Manner::Language(name) => Self::Language(name),
        }
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn cancelled() -> AppError {
    AppError::new(ErrorCode::Cancelled, "the question was cancelled", "Ask again when you like.")
}
