use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// The instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who says it.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
}

/// What a model is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The chat so far; the model says what comes next.
    pub messages: Vec<ChatMessage>,
    /// At most so many tokens are generated.
    pub max_tokens: usize,
    /// 0 is deterministic.
    pub temperature: f32,
    /// With sources numbered from 1 to this, no other number may stand in square brackets;
    /// `None` leaves the reply free.
    pub sources: Option<usize>,
}

/// How many tokens a generation took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens read.
    pub prompt: usize,
    /// Tokens written.
    pub completion: usize,
}

/// A piece of a model's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// More text.
    Text(String),
    /// The end, with the cost; nothing follows.
    Done(TokenUsage),
}

/// A reply as it comes. Dropping it stops the generation at the next token.
pub type ChatStream = BoxStream<'static, Result<ChatDelta, ModelError>>;

/// A language model that is loaded and ready. It answers one request at a time;
/// further ones wait.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The model's identity.
    fn id(&self) -> &str;
    /// How many tokens prompt and reply may have together.
    fn context_tokens(&self) -> usize;
    /// How many tokens `text` is, without a chat template.
    async fn count_tokens(&self, text: &str) -> Result<usize, ModelError>;
    /// How likely the model is to reply yes and not no (in English or Chinese), in 0..=1,
    /// by what it would say first; `None` where it would say neither. `messages` end
    /// with a question to be answered so.
    async fn yes_or_no(&self, messages: Vec<ChatMessage>) -> Result<Option<f32>, ModelError>;
    /// Starts a reply.
    async fn generate(&self, request: ChatRequest) -> Result<ChatStream, ModelError>;
}
