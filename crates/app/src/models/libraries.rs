//! Which libraries use a model: its files are shared by all of them.

use std::path::Path;

use lectern_catalog::Catalog;
use lectern_models::ModelRole;

use super::CHAT_SETTING;
use crate::App;
use crate::damage::CATALOG;
use crate::embedding::WANTED_SETTING;
use crate::reranking::RERANKER_SETTING;

impl App {
    /// Has other libraries know of this one when they remove a model.
    pub(super) fn make_known(&self) {
        if let Err(error) = self.model_parts().store.note_library(self.directory()) {
            // Then they remove it without a word of this one.
            tracing::debug!("{error}");
        }
    }

    /// The other libraries that use a model, by their folders. One that cannot be read is
    /// none that uses it.
    pub(super) fn used_by(&self, id: &str) -> Vec<String> {
        let libraries = self.model_parts().store.libraries().into_iter();
        libraries
            .filter(|library| library != self.directory() && self.uses(library, id))
            .map(|library| library.display().to_string())
            .collect()
    }

    fn uses(&self, library: &Path, id: &str) -> bool {
        let Ok(catalog) = Catalog::open_read_only(&library.join(CATALOG)) else { return false };
        let is_set = |name| catalog.setting(name).is_ok_and(|set| set.as_deref() == Some(id));
        let answers = match catalog.setting(CHAT_SETTING) {
            Ok(Some(chosen)) => chosen == id,
            // Where none is chosen, what is here answers.
            _ => self
                .model_parts()
                .store
                .preferred(ModelRole::Chat)
                .is_some_and(|preferred| preferred.model.id == id),
        };
        answers
            || is_set(WANTED_SETTING)
            || is_set(RERANKER_SETTING)
            || catalog.embedder().is_ok_and(|embedder| embedder.as_deref() == Some(id))
    }
}
