//! Conversations that were had.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat};
use lectern_domain::{ConversationId, ErrorCode};

use crate::{Answer, App, AppError, Conversation, ConversationSummary, Rating, Result, error};

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

    /// The conversations in one of whose questions and answers all these words occur, in any case,
    /// the latest first. All of them where there are no words.
    pub fn find_conversations(&self, words: &str) -> Result<Vec<ConversationSummary>> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found = HashSet::new();
        for (conversation, said) in self.catalog().said()? {
            let said = said.to_lowercase();
            if words.iter().all(|word| said.contains(word)) {
                found.insert(conversation.0);
            }
        }
        let mut conversations = self.conversations()?;
        conversations.retain(|conversation| words.is_empty() || found.contains(&conversation.id));
        Ok(conversations)
    }

    /// A conversation with its answers.
    pub fn conversation(&self, id: i64) -> Result<Conversation> {
        let (title, answers) =
            self.catalog().conversation(ConversationId(id))?.ok_or_else(|| no_conversation(id))?;
        let answers =
            answers.iter().map(|(id, answer)| kept(*id, answer)).collect::<Result<_>>()?;
        Ok(Conversation { id, title, answers })
    }

    /// Keeps what the person thinks of an answer, by the answer's id; `None` takes it back.
    pub fn rate(&self, answer: i64, rating: Option<Rating>) -> Result<()> {
        let stored = self.catalog().turn(answer)?.ok_or_else(|| no_answer(answer))?;
        let rated = Answer { rating, ..kept(answer, &stored)? };
        let stored = serde_json::to_string(&rated).map_err(|error| error::internal(&error))?;
        Ok(self.catalog().set_turn(answer, &stored)?)
    }

    /// Forgets a conversation.
    pub fn delete_conversation(&self, id: i64) -> Result<()> {
        Ok(self.catalog().delete_conversation(ConversationId(id))?)
    }
}

/// An answer as it was kept, which does not know its own id.
pub(crate) fn kept(id: i64, stored: &str) -> Result<Answer> {
    let answer = serde_json::from_str(stored).map_err(|error| error::internal(&error))?;
    Ok(Answer { id: Some(id), ..answer })
}

pub(crate) fn no_answer(id: i64) -> AppError {
    AppError::new(
        ErrorCode::NotFound,
        format!("there is no answer {id}"),
        "Its conversation may have been deleted.",
    )
}

pub(crate) fn no_conversation(id: i64) -> AppError {
    AppError::new(
        ErrorCode::NotFound,
        format!("there is no conversation {id}"),
        "It may have been deleted; ask without --conversation to begin a new one.",
    )
}
