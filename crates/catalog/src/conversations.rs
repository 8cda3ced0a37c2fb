//! Conversations. An answer is kept as the JSON it was shown as, with the quoted
//! words of its sources, so that it stays readable when the sources are gone.

use lectern_domain::{ConversationId, DocumentId};
use rusqlite::{OptionalExtension, params};

use crate::{Catalog, Result};

impl Catalog {
    /// Begins a conversation.
    pub fn create_conversation(&self, title: &str, now: i64) -> Result<ConversationId> {
        let connection = self.lock();
        connection.execute(
            "INSERT INTO conversation (title, updated) VALUES (?1, ?2)",
            params![title, now],
        )?;
        Ok(ConversationId(connection.last_insert_rowid()))
    }

    /// Adds an answer, as JSON, to a conversation. Returns the answer's id.
    pub fn add_turn(&self, conversation: ConversationId, answer: &str, now: i64) -> Result<i64> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO turn (conversation, answer) VALUES (?1, ?2)",
            params![conversation.0, answer],
        )?;
        let id = transaction.last_insert_rowid();
        transaction.execute(
            "UPDATE conversation SET updated = ?2 WHERE id = ?1",
            params![conversation.0, now],
        )?;
        transaction.commit()?;
        Ok(id)
    }

    /// An answer as JSON.
    pub fn turn(&self, id: i64) -> Result<Option<String>> {
        let connection = self.lock();
        Ok(connection
            .query_row("SELECT answer FROM turn WHERE id = ?1", [id], |row| row.get(0))
            .optional()?)
    }

    /// Puts another JSON in the place of an answer's.
    pub fn set_turn(&self, id: i64, answer: &str) -> Result<()> {
        self.lock().execute("UPDATE turn SET answer = ?2 WHERE id = ?1", params![id, answer])?;
        Ok(())
    }

    /// The answers whose JSON has a `rating`, with their ids, oldest first.
    pub fn rated_turns(&self) -> Result<Vec<(i64, String)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, answer FROM turn WHERE answer ->> 'rating' IS NOT NULL ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Every conversation with the questions and answers that were said in it.
    pub fn said(&self) -> Result<Vec<(ConversationId, String)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT conversation, (answer ->> 'question') || char(10) || (answer ->> 'answer') FROM turn",
        )?;
        let rows = statement.query_map([], |row| Ok((ConversationId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What was found in a document for a question, if that was kept.
    pub fn finding(&self, document: DocumentId, asked: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT said FROM finding WHERE document = ?1 AND asked = ?2")?;
        Ok(statement.query_row(params![document.0, asked], |row| row.get(0)).optional()?)
    }

    /// Keeps what was found in a document for a question, as long as the document is there. One
    /// that has gone meanwhile is no error.
    pub fn keep_finding(&self, document: DocumentId, asked: &str, said: &str) -> Result<()> {
        self.lock().execute(
            "INSERT OR REPLACE INTO finding (document, asked, said)
             SELECT id, ?2, ?3 FROM document WHERE id = ?1",
            params![document.0, asked, said],
        )?;
        Ok(())
    }

    /// Every conversation as (id, title, seconds since 1970 of the last answer),
    /// the latest first.
    pub fn conversations(&self) -> Result<Vec<(ConversationId, String, i64)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, title, updated FROM conversation ORDER BY updated DESC, id DESC",
        )?;
        let rows = statement
            .query_map([], |row| Ok((ConversationId(row.get(0)?), row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A conversation's title and its answers, each with its id and as JSON, oldest first.
    pub fn conversation(&self, id: ConversationId) -> Result<Option<(String, Vec<(i64, String)>)>> {
        let connection = self.lock();
        let title: Option<String> = connection
            .query_row("SELECT title FROM conversation WHERE id = ?1", [id.0], |row| row.get(0))
            .optional()?;
        let Some(title) = title else { return Ok(None) };
        let mut statement = connection
            .prepare_cached("SELECT id, answer FROM turn WHERE conversation = ?1 ORDER BY id")?;
        let rows = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Some((title, rows.collect::<rusqlite::Result<_>>()?)))
    }

    /// Forgets a conversation.
    pub fn delete_conversation(&self, id: ConversationId) -> Result<()> {
        self.lock().execute("DELETE FROM conversation WHERE id = ?1", [id.0])?;
        Ok(())
    }
}
