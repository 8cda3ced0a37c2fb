//! What a person calls files: tags of a file, or of all files below a folder. They belong to the path, so that
//! a file keeps them when it is edited, and a file that is moved takes them along.

use rusqlite::params;

use crate::{Catalog, Result, files::below};

/// A tag that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// How many files have it.
    pub files: u64,
}

impl Catalog {
    /// Gives the file or folder at `path` these tags, and takes those from it.
    pub fn tag(&self, path: &str, add: &[String], remove: &[String]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO tag (path, name) VALUES (?1, ?2)")?;
            for name in add {
                insert.execute(params![path, name])?;
            }
            let mut delete =
                transaction.prepare_cached("DELETE FROM tag WHERE path = ?1 AND name = ?2")?;
            for name in remove {
                delete.execute(params![path, name])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The tags that were given to exactly this path, by name.
    pub fn tags_at(&self, path: &str) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT name FROM tag WHERE path = ?1 ORDER BY name")?;
        let rows = statement.query_map([path], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// All tags, by name.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT tag.name, count(DISTINCT file.id) FROM tag
             LEFT JOIN file ON {} GROUP BY tag.name ORDER BY tag.name",
            below("file.path", "tag.path")
        ))?;
        let rows =
            statement.query_map([], |row| Ok(Tag { name: row.get(0)?, files: row.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
