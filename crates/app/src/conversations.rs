//! Conversations that were had.

use chrono::{DateTime, SecondsFormat};
use lectern_domain::{ConversationId, ErrorCode};

use crate::{Answer, App, AppError, Conversation, ConversationSummary, Result, error};

impl App {
    /// Every conversation, the latest first.
    pub fn conversations(&self) -> Result<Vec<ConversationSummary>> {
        let conversations = self.catalog().conversations()?;
        Ok(conversations
            .into_iter()
            .map(|(id, title, updated)| ConversationSummary {
                id: id.0,
                title,
                updated: DateTime::from_timestamp(updated, 0)
                    .unwrap_or_default()
                    .to_rfc3339_opts(SecondsFormat::Secs, true),
            })
            .collect())
    }

    /// A conversation with its answers.
    pub fn conversation(&self, id: i64) -> Result<Conversation> {
        let (title, answers) =
            self.catalog().conversation(ConversationId(id))?.ok_or_else(|| no_conversation(id))?;
        let answers = answers
            .iter()
            .map(|answer| serde_json::from_str::<Answer>(answer))
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| error::internal(&error))?;
        Ok(Conversation { id, title, answers })
    }

    /// Forgets a conversation.
    pub fn delete_conversation(&self, id: i64) -> Result<()> {
        Ok(self.catalog().delete_conversation(ConversationId(id))?)
    }
}

pub(crate) fn no_conversation(id: i64) -> AppError {
    AppError::new(
        ErrorCode::NotFound,
        format!("there is no conversation {id}"),
        "It may have been deleted; ask without --conversation to begin a new one.",
    )
}
