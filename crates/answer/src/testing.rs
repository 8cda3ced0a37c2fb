//! What the tests of several modules need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use lectern_domain::{
    CharRange, ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatStream, ChunkId, DocumentId,
    ModelError, TokenUsage,
};

use crate::Passage;
use crate::pack::estimate_tokens;

/// A passage with `text` that starts at character `start` of its document.
pub(crate) fn passage(text: &str, start: u32) -> Passage {
    Passage {
        chunk: ChunkId(i64::from(start)),
        document: DocumentId(1),
        path: "/home/ada/lease.pdf".to_owned(),
        page: Some(1),
        range: CharRange::new(start, start + text.chars().count() as u32),
        heading: Vec::new(),
        opening: Vec::new(),
        text: text.to_owned(),
        score: 1.0,
    }
}

/// What a [`ScriptedModel`] does after its deltas.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    /// Says that it is done.
    Done,
    /// Fails.
    Fails(ModelError),
    /// Says nothing more, for ever.
    Hangs,
}

/// A model that says what it is told to, and remembers what it was asked.
pub(crate) struct ScriptedModel {
    deltas: Vec<String>,
    ending: Ending,
    verdicts: Vec<Option<f32>>,
    asked: Mutex<Vec<Vec<ChatMessage>>>,
    requests: Mutex<Vec<ChatRequest>>,
    /// How many deltas were taken from its streams.
    taken: Arc<AtomicUsize>,
    /// How many of its streams were dropped.
    dropped: Arc<AtomicUsize>,
}

struct CountsDrop(Arc<AtomicUsize>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl ScriptedModel {
    pub(crate) fn new(deltas: &[&str]) -> Self {
        Self {
            deltas: deltas.iter().map(|delta| (*delta).to_owned()).collect(),
            ending: Ending::Done,
            verdicts: Vec::new(),
            asked: Mutex::default(),
            requests: Mutex::default(),
            taken: Arc::default(),
            dropped: Arc::default(),
        }
    }

    pub(crate) fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// How likely it says yes each time that it is asked; `None` after these.
    pub(crate) fn verdicts(mut self, verdicts: &[Option<f32>]) -> Self {
        self.verdicts = verdicts.to_vec();
        self
    }

    /// What it was asked to answer yes or no.
    pub(crate) fn asked(&self) -> Vec<Vec<ChatMessage>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn id(&self) -> &str {
        "scripted"
    }

    fn context_tokens(&self) -> usize {
        4096
    }

    async fn count_tokens(&self, text: &str) -> Result<usize, ModelError> {
        Ok(estimate_tokens(text))
    }

    async fn yes_or_no(&self, messages: Vec<ChatMessage>) -> Result<Option<f32>, ModelError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(messages);
        Ok(self.verdicts.get(asked.len() - 1).copied().flatten())
    }

    async fn generate(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let (taken, guard) = (self.taken.clone(), CountsDrop(self.dropped.clone()));
        let text = futures::stream::iter(self.deltas.clone()).map(move |delta| {
            let _held = &guard;
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(ChatDelta::Text(delta))
        });
        let usage = TokenUsage { prompt: 100, completion: self.deltas.len() };
        Ok(match self.ending.clone() {
            Ending::Done => text.chain(futures::stream::iter([Ok(ChatDelta::Done(usage))])).boxed(),
            Ending::Fails(error) => text.chain(futures::stream::iter([Err(error)])).boxed(),
            Ending::Hangs => text.chain(futures::stream::pending()).boxed(),
        })
    }
}
