//! Answering a question, and keeping the answer.

use std::time::Instant;

use lectern_answer::{
    Answer as Made, AnswerEvent, AnswerInput, AnswerOptions, Passage,
    abstain::AbstainOptions,
    answer, answering,
    condense::{Turn, standalone_question, stands_alone},
    prompt,
    support::Support,
    thorough::{FINDINGS_VERSION, Findings, wants_everything},
};
use lectern_catalog::{FileState, ScopeFilter};
use lectern_domain::{CharRange, ChatModel, ConversationId, DocumentId, ErrorCode, TokenUsage};
use lectern_models::Model;
use tokio_util::sync::CancellationToken;

use crate::{
    Answer, AnswerPassage, AnswerSentence, App, AppError, AskEvent, AskRequest, Citation, Coverage,
    Filter, Manner, Result, SearchMode, SupportLevel, TextRange, Timing, Tokens, UnreadFile,
    conversations::{kept, no_answer, no_conversation},
    error,
    library::now_seconds,
    locked, milliseconds_since,
    search::passage,
    source::Whereabouts,
};

/// Passages that are found for an answer. The model sees as many of the best as
/// its prompt has room for.
const PASSAGES: usize = 8;

/// What the model reads, in tokens, where nothing is known of the computer's pace.
const PROMPT_TOKENS: usize = 700;
/// What it reads where reading that takes no longer than `PATIENCE`.
const LONGER_PROMPTS: [usize; 2] = [2_000, 1_200];
/// What it reads where even `PROMPT_TOKENS` take longer.
const SHORT_PROMPT: usize = 500;
/// So many seconds a person waits for the first word.
const PATIENCE: f64 = 5.0;
/// So many tokens of the prompt there are for each passage.
const TOKENS_FOR_A_PASSAGE: usize = 175;

/// What the model reads of each passage but the best: its best sentences.
const FURTHER_PASSAGE_TOKENS: usize = 100;

/// The model reads no passage that scores less than so much of the best one. Of 198 questions of squad2 and
/// cmrc2018 none had its answer in one below .6.
const LEAST_PASSAGE_SHARE: f32 = 0.4;

/// So many passages of each document that the person adds are among the sources.
const ADDED_PASSAGES: usize = 2;

/// Up to so many documents with so many characters together are read one by one without being
/// asked to, where a question is about all of them.
const SMALL_SCOPE: usize = 8;
const SMALL_SCOPE_CHARACTERS: usize = 16_000;

/// So many of the files that could not be looked at are named.
const NAMED_UNREAD: usize = 20;

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

        let mut found = self.sources(request, &standalone).await?;
        let passages = self.shown(&standalone, &found, None)?;
        let retrieval = milliseconds();
        sink(AskEvent::Passages {
            standalone_question: standalone.clone(),
            passages: passages.clone(),
        });
        let scope = self.scope_of(&request.filter, &standalone)?;
        let unread = self.catalog().unread_in(&scope)?;
        let failed = unread.iter().filter(|(_, state)| *state == FileState::Failed).count() as u64;
        let everything = wants_everything(&standalone);
        let thorough =
            request.thorough || everything && !request.no_answer && self.is_small(&scope)?;
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
            passages,
            filter: request.filter.clone(),
            manner: request.manner.clone(),
            model: chat.id().to_owned(),
            tokens: Tokens::default(),
            milliseconds: Timing { retrieval, first_token: None, total: retrieval },
            conversation: request.conversation,
            pending: unread.len() as u64 - failed,
            failed,
            unread: unread
                .into_iter()
                .take(NAMED_UNREAD)
                .map(|(path, state)| UnreadFile { path, state: state.into() })
                .collect(),
            dropped: Vec::new(),
            coverage: None,
            wants_everything: everything && !thorough,
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
        let prompt_tokens =
            catalogued.as_ref().map_or(PROMPT_TOKENS, |model| self.prompt_tokens(model));
        let abstain = AbstainOptions {
            min_evidence: request
                .min_evidence
                .or_else(|| catalogued.and_then(|model| model.min_evidence)),
            ..AbstainOptions::default()
        };
        let options = AnswerOptions {
            prompt_tokens,
            max_passages: (prompt_tokens / TOKENS_FOR_A_PASSAGE).clamp(3, PASSAGES),
            further_passage_tokens: FURTHER_PASSAGE_TOKENS,
            // What a person adds is read however little it seems to fit.
            least_passage_share: if request.with.is_empty() { LEAST_PASSAGE_SHARE } else { 0.0 },
            temperature: settings.temperature,
            instructions: settings.instructions,
            manner: request.manner.clone().map(prompt::Manner::from),
            drop_unsupported: request.only_supported,
            abstain,
            ..AnswerOptions::default()
        };
        let made = if thorough {
            let asked = WholeScope { question: &standalone, filter: scope, options };
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

    /// How many tokens of prompt suit the model and the computer.
    fn prompt_tokens(&self, model: &Model) -> usize {
        let is_quick =
            |tokens: usize| self.seconds_to_read(model, tokens).map(|seconds| seconds <= PATIENCE);
        match LONGER_PROMPTS.into_iter().find(|tokens| is_quick(*tokens) == Some(true)) {
            Some(tokens) => tokens,
            None if is_quick(PROMPT_TOKENS) == Some(false) => SHORT_PROMPT,
            None => PROMPT_TOKENS,
        }
    }

    /// The passages that a question is answered from, best first, with how their documents open.
    async fn sources(&self, request: &AskRequest, standalone: &str) -> Result<Vec<Passage>> {
        let mut passages = self.found_or_kept(request, standalone).await?;
        for passage in &mut passages {
            passage.opening = self.opening(passage.document, &passage.text)?;
        }
        Ok(passages)
    }

    /// What is found, or what an answer that is made again was made from.
    async fn found_or_kept(&self, request: &AskRequest, standalone: &str) -> Result<Vec<Passage>> {
        if let Some(id) = request.passages_of
            && let Some(passages) = self.passages_of(id)?
        {
            return Ok(passages);
        }
        let k = if request.k == 0 { PASSAGES } else { request.k as usize };
        let mut found = Vec::new();
        for path in &request.with {
            let filter = Filter { within: vec![path.clone()], ..Filter::default() };
            found.extend(self.find(standalone, ADDED_PASSAGES, SearchMode::Hybrid, &filter).await?);
        }
        found.extend(self.find(standalone, k, SearchMode::Hybrid, &request.filter).await?);
        let mut passages: Vec<Passage> = Vec::with_capacity(found.len());
        for passage in found.into_iter().map(|found| found.passage) {
            if !passages.iter().any(|other| other.chunk == passage.chunk) {
                passages.push(passage);
            }
        }
        passages.truncate(k);
        Ok(passages)
    }

    /// The passages of an answer that was kept; `None` where one of them is not as it was.
    fn passages_of(&self, answer: i64) -> Result<Option<Vec<Passage>>> {
        let stored = self.catalog().turn(answer)?.ok_or_else(|| no_answer(answer))?;
        let mut passages = Vec::new();
        for shown in kept(answer, &stored)?.passages {
            let Some(document) = self.catalog().document_at(&shown.document)? else {
                return Ok(None);
            };
            let range = CharRange::new(shown.start, shown.end);
            if self.catalog().text_slice(document.id, range)?.as_deref() != Some(&shown.text) {
                return Ok(None);
            }
            let chunks = self.catalog().chunks_of(document.id, &ScopeFilter::default())?;
            let holds = |start: u32, end: u32| start <= range.start && range.start < end;
            let chunk = chunks.iter().find(|it| holds(it.chunk.range.start, it.chunk.range.end));
            let Some(chunk) = chunk else { return Ok(None) };
            passages.push(Passage {
                chunk: chunk.id,
                document: document.id,
                path: shown.document,
                page: shown.page,
                range,
                heading: shown.heading,
                opening: Vec::new(),
                text: shown.text,
                score: shown.score,
            });
        }
        Ok(Some(passages))
    }

    /// Whether all documents in scope are read in about the time that a person waits for an answer.
    fn is_small(&self, scope: &ScopeFilter) -> Result<bool> {
        let documents = self.catalog().documents_in(scope)?;
        if documents.len() > SMALL_SCOPE {
            return Ok(false);
        }
        let mut characters = 0;
        for document in documents {
            let last = self.catalog().pages(document)?.last().map_or(0, |page| page.range.end);
            characters += last as usize;
        }
        Ok(characters <= SMALL_SCOPE_CHARACTERS)
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
        let asked = finding_key(model.id(), question, &options);
        for document in documents {
            sink(AskEvent::Reading { coverage });
            let passages = self.catalog().chunks_of(document, &filter)?;
            let passages: Vec<_> =
                passages.into_iter().map(|record| passage(record, 0.0)).collect();
            let found = match self.kept_findings(document, &asked, &passages)? {
                Some(found) => found,
                None => {
                    let mut found = Findings::default();
                    found.read(model, question, passages, &options, cancel).await?;
                    if !cancel.is_cancelled() {
                        self.keep_findings(document, &asked, &found)?;
                    }
                    found
                }
            };
            findings.add(found);
            if cancel.is_cancelled() {
                break;
            }
            coverage.read += 1;
        }
        let made = findings.conclude(model, question, &options, cancel).await?;
        sink(AskEvent::Text { delta: made.text.clone() });
        Ok((made, coverage))
    }

    /// What was found in a document the last time that the same was asked of it.
    fn kept_findings(
        &self,
        document: DocumentId,
        asked: &str,
        passages: &[Passage],
    ) -> Result<Option<Findings>> {
        let Some(said) = self.catalog().finding(document, asked)? else { return Ok(None) };
        let Ok(mut found) = serde_json::from_str::<Findings>(&said) else { return Ok(None) };
        // The content is the same; its file may have got another name.
        let Some(first) = passages.first() else { return Ok(None) };
        for quote in &mut found.quotes {
            quote.path.clone_from(&first.path);
        }
        found.tokens = TokenUsage::default();
        Ok(Some(found))
    }

    fn keep_findings(&self, document: DocumentId, asked: &str, found: &Findings) -> Result<()> {
        if self.inner.read_only {
            return Ok(());
        }
        let said = serde_json::to_string(found).map_err(|error| error::internal(&error))?;
        Ok(self.catalog().keep_finding(document, asked, &said)?)
    }

    /// Puts what the model said and what it rests on into the contract's form.
    fn fill(&self, answer: &mut Answer, made: Made, found: &[Passage]) -> Result<()> {
        answer.passages = self.shown(&answer.standalone_question, found, Some(&made))?;
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

    /// Passages as an answer to `question` shows them; with the numbers that `made` gave them.
    fn shown(
        &self,
        question: &str,
        passages: &[Passage],
        made: Option<&Made>,
    ) -> Result<Vec<AnswerPassage>> {
        let number = |passage: &Passage| {
            let mut numbered = made?.passages.iter();
            numbered.position(|source| source.chunk == passage.chunk).map(|at| to_u32(at + 1))
        };
        let evidence = |passage: &Passage| {
            let mut asked = made?.asked.iter();
            asked.find(|asked| asked.chunk == passage.chunk).map(|asked| asked.likelihood)
        };
        passages
            .iter()
            .zip(answering(question, passages))
            .map(|(passage, answering)| {
                let Whereabouts { label, place, .. } =
                    self.whereabouts(passage.document, passage.range.start)?;
                Ok(AnswerPassage {
                    n: number(passage),
                    answering: answering
                        .map(|range| TextRange { start: range.start, end: range.end }),
                    evidence: evidence(passage),
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

/// What the findings in a document depend on besides its content.
fn finding_key(model: &str, question: &str, options: &AnswerOptions) -> String {
    let AnswerOptions { manner, instructions, prompt_tokens, temperature, .. } = options;
    format!(
        "{FINDINGS_VERSION} {model}\n{prompt_tokens} {temperature} {manner:?}\n{instructions}\n{question}"
    )
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
