//! The embedder that answers, the one that may be about to take its place, and the index that
//! belongs to each.

use std::sync::Arc;

use lectern_domain::{Access, ChunkIndex, ErrorCode, IndexError};
use lectern_ingest::Successor;

use crate::models::LOOK;
use crate::{App, AppError, Embedding, Result, locked};

/// The setting that holds the embedder that a person has chosen.
pub(crate) const WANTED_SETTING: &str = "wanted_embedder";

impl App {
    /// The id of the embedder whose vectors answer.
    pub(crate) fn embedder(&self) -> Result<String> {
        self.catalog().embedder()?.map_or_else(|| self.wanted_embedder(), Ok)
    }

    /// The id of the embedder that is to answer: a person's choice, or this version's.
    pub(crate) fn wanted_embedder(&self) -> Result<String> {
        let parts = &self.inner.parts;
        let chosen = self.catalog().setting(WANTED_SETTING)?;
        let known = chosen.filter(|id| (parts.embedding)(id).is_some());
        Ok(known.unwrap_or_else(|| parts.embedder.clone()))
    }

    /// Has another embedder answer, once its vectors are complete.
    pub(crate) fn want_embedder(&self, id: &str) -> Result<()> {
        self.catalog().set_setting(WANTED_SETTING, id)?;
        self.inner.wanted.notify_one();
        Ok(())
    }

    /// Returns when another embedder is wanted than `id`, whichever process it is said to.
    pub(crate) async fn another_is_wanted(&self, id: &str) {
        // What cannot be read shows where the work is done.
        while self.wanted_embedder().is_ok_and(|wanted| wanted == id) {
            tokio::select! {
                () = self.inner.wanted.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The embedder whose vectors answer. Another process may have put another in its place.
    pub(crate) fn embedding(&self) -> Result<Embedding> {
        let id = self.embedder()?;
        let mut answering = locked(&self.inner.answering);
        if let Some(embedding) = answering.as_ref().filter(|found| found.embedder.id() == id) {
            return Ok(embedding.clone());
        }
        let found = (self.inner.parts.embedding)(&id);
        let embedding = match found {
            Some(embedding) => embedding,
            // The indexer will see the same, and make its vectors.
            None => self.find_embedding(&self.wanted_embedder()?)?,
        };
        Ok(answering.insert(embedding).clone())
    }

    /// The index with an embedder's vectors, to be searched; `None` while nothing is in it.
    pub(crate) async fn index(&self, id: &str) -> Result<Option<Arc<dyn ChunkIndex>>> {
        let known = locked(&self.inner.searched).clone();
        if let Some((_, index)) = known.filter(|(found, _)| *found == id) {
            return Ok(Some(index));
        }
        match self.inner.parts.index.open(id, Access::Search).await {
            Ok(index) => {
                self.search_in(id.to_owned(), index.clone());
                Ok(Some(index))
            }
            // It is made with the first passages.
            Err(_) if self.catalog().counts(None)?.chunks == 0 => Ok(None),
            Err(error) => Err(AppError::new(
                ErrorCode::Library,
                error.to_string(),
                "It is made anew from the catalogue by whoever reads: `lectern sync`, or the window.",
            )),
        }
    }

    /// Has the index be opened anew, which may have been made anew by another process.
    pub(crate) fn forget_index(&self) {
        locked(&self.inner.searched).take();
    }

    fn search_in(&self, embedder: String, index: Arc<dyn ChunkIndex>) {
        *locked(&self.inner.searched) = Some((embedder, index));
    }

    /// Opens what the indexer writes to: the index of the embedder that answers, and, while
    /// another one is wanted, that one's.
    pub(crate) async fn open_to_write(
        &self,
    ) -> Result<(Arc<dyn ChunkIndex>, Embedding, Option<Successor>)> {
        let parts = &self.inner.parts;
        let wanted = self.wanted_embedder()?;
        let mut id = self.embedder()?;
        // It is gone from the program, so its vectors cannot be searched; or there are none.
        let is_of_use = || -> Result<bool> {
            let counts = || self.catalog().counts(None);
            Ok((parts.embedding)(&id).is_some() && counts()?.embedded_chunks > 0)
        };
        if id != wanted && !is_of_use()? {
            id.clone_from(&wanted);
        }
        if self.catalog().embedder()?.as_deref() != Some(id.as_str()) {
            self.catalog().set_embedder(&id)?;
        }
        let open = |id: String| async move {
            parts.index.open(&id, Access::Write).await.map_err(not_writable)
        };
        let index = open(id.clone()).await?;
        let successor = if id == wanted {
            None
        } else {
            let embedder = self.find_embedding(&wanted)?.embedder;
            Some(Successor { index: open(wanted).await?, embedder })
        };
        self.search_in(id, index.clone());
        Ok((index, self.embedding()?, successor))
    }

    fn find_embedding(&self, id: &str) -> Result<Embedding> {
        (self.inner.parts.embedding)(id).ok_or_else(|| {
            AppError::new(
                ErrorCode::ModelMissing,
                format!("this version of Lectern does not know the embedder {id}"),
                "`lectern sync` reads the library with one that it knows.",
            )
        })
    }
}

fn not_writable(error: IndexError) -> AppError {
    AppError::new(
        ErrorCode::Library,
        error.to_string(),
        "Check that the disk is not full and that the library's folder can be written. The folder `index` in it may be deleted; it is made again.",
    )
}
