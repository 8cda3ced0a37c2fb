//! Tags: what a person calls files and folders.

use std::path::Path;

use lectern_domain::ErrorCode;

use crate::{
    App, AppError, Result, TagCount,
    filter::{absolute, tag_name},
};

impl App {
    /// Gives files and folders tags and takes others from them; what lies in a folder has the folder's tags
    /// too. Returns the tags that the last of them has of itself.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidInput`] where a name cannot be a tag, or a path is not in the library.
    pub fn tag(&self, paths: &[&Path], add: &[String], remove: &[String]) -> Result<Vec<String>> {
        let names = |tags: &[String]| {
            let parts = tags.iter().flat_map(|tags| tags.split(','));
            parts.map(tag_name).collect::<Result<Vec<_>>>()
        };
        let (add, remove) = (names(add)?, names(remove)?);
        let mut tags = Vec::new();
        for path in paths {
            let path = absolute(path)?.to_string_lossy().into_owned();
            if self.catalog().counts(Some(&path))? == Default::default() {
                return Err(AppError::new(
                    ErrorCode::InvalidInput,
                    format!("{path} is not in the library"),
                    "Add it first: `lectern add`.",
                ));
            }
            self.catalog().tag(&path, &add, &remove)?;
            tags = self.catalog().tags_at(&path)?;
        }
        if !add.is_empty() || !remove.is_empty() {
            self.inner.changed.notify_one();
        }
        Ok(tags)
    }

    /// All tags in use, by name.
    pub fn tags(&self) -> Result<Vec<TagCount>> {
        let tags = self.catalog().tags()?.into_iter();
        Ok(tags.map(|tag| TagCount { name: tag.name, files: tag.files }).collect())
    }
}
