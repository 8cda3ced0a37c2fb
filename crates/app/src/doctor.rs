//! Checks of the machine, the models and the library, each with what to do.

use crate::{App, AppError, Check};

impl App {
    /// Every check, in the order a person would look.
    pub async fn doctor(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = self.inner.parts.checks.iter().map(|check| check()).collect();
        checks.push(check(
            "library",
            self.status(false).map(|status| {
                format!(
                    "{} — {} documents ready, {} waiting, {} failed, {} MB",
                    self.inner.directory.display(),
                    status.documents,
                    status.pending,
                    status.failed,
                    status.bytes_on_disk.div_ceil(1024 * 1024),
                )
            }),
        ));
        checks.push(check("search index", self.index_state().await));
        checks
    }

    async fn index_state(&self) -> crate::Result<String> {
        let index = self.inner.parts.index.get().await?;
        let (texts, vectors) = (index.text_ids().await?.len(), index.vector_ids().await?.len());
        Ok(format!("{texts} chunks searchable by words, {vectors} by meaning"))
    }
}

fn check(name: &str, state: Result<String, AppError>) -> Check {
    let name = name.to_owned();
    match state {
        Ok(detail) => Check { name, ok: true, detail, hint: String::new() },
        Err(error) => Check { name, ok: false, detail: error.message, hint: error.hint },
    }
}
