//! Models: choosing, getting, keeping and changing them.

mod dto;
mod libraries;
mod settings;
mod view;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use dto::*;
use lectern_domain::{ChatModel, ErrorCode};
use lectern_models::{Choice, Downloads, Model, ModelStore, Pace, Places, Size, Slot};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::reranking::RERANKER_SETTING;
use crate::{App, AppError, AppEvent, Result, error};

/// How often it is looked whether the model is idle, and whether another process has changed
/// the settings.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// The setting that holds the chat model's identity.
const CHAT_SETTING: &str = "chat_model";

/// The place of the chat model that is loaded.
pub type ChatSlot = Slot<dyn ChatModel, ChatChoice>;

/// Which chat model is loaded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatChoice {
    /// Its identity.
    pub id: String,
    /// Tokens of prompt and reply together, at most.
    pub context_tokens: usize,
    /// Where it runs.
    pub device: Device,
}

impl Choice for ChatChoice {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What the use cases of models need.
pub struct ModelParts {
    /// Where models lie.
    pub store: ModelStore,
    /// What is being fetched.
    pub downloads: Downloads,
    /// The chat model's place.
    pub chat: Arc<ChatSlot>,
    /// Whether the chat model was named for this process alone: the library's choice does not
    /// count then.
    pub chat_is_given: bool,
    /// Where this build can run a chat model.
    pub devices: Vec<Device>,
    /// Where other programs keep theirs.
    pub places: Places,
    /// The processor's pace, once it is known.
    pub pace: OnceCell<Pace>,
}

impl App {
    fn model_parts(&self) -> &ModelParts {
        &self.inner.parts.models
    }

    /// All models, how they would run here, and how far their downloads are. The first call of
    /// all measures the processor for about a second.
    pub async fn models(&self) -> Result<Models> {
        let pace = self.pace().await;
        let app = self.clone();
        self.blocking(move || app.view(pace.as_ref())).await
    }

    /// One of [`App::models`].
    pub async fn model_entry(&self, id: &str) -> Result<ModelEntry> {
        let models = self.models().await?.models;
        models.into_iter().find(|model| model.id == id).ok_or_else(|| unknown(id))
    }

    /// Starts to fetch a model in the background, or goes on with it. [`AppEvent::Download`]
    /// tells how far it is.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::ModelTooBig`] where this computer has too little memory for it, unless it is
    /// wanted anyway.
    pub async fn get_model(&self, id: &str, anyway: bool) -> Result<()> {
        self.check_fit(id, anyway).await?;
        self.model_parts().downloads.start(id);
        Ok(())
    }

    /// As [`App::get_model`], and waits for the end; `sink` hears how far it is. Cancelling
    /// pauses it.
    pub async fn fetch_model(
        &self,
        id: &str,
        anyway: bool,
        mut sink: impl FnMut(Download),
        cancel: &CancellationToken,
    ) -> Result<()> {
        self.check_fit(id, anyway).await?;
        let downloads = &self.model_parts().downloads;
        let mut told = downloads.subscribe();
        let get = downloads.get(id, cancel);
        tokio::pin!(get);
        let done = loop {
            tokio::select! {
                done = &mut get => break done,
                progress = told.recv() => {
                    if let Ok(progress) = progress
                        && progress.id == id
                    {
                        sink(progress.into());
                    }
                }
            }
        };
        done.map_err(model_error)?;
        self.models_changed();
        Ok(())
    }

    async fn check_fit(&self, id: &str, anyway: bool) -> Result<()> {
        let pace = self.pace().await;
        let (app, id) = (self.clone(), id.to_owned());
        self.blocking(move || {
            let model = app.model_parts().store.model(&id).map_err(model_error)?;
            let (machine, fit) = app.fit(&model, pace.as_ref());
            match lectern_models::too_big(&model, &fit, &machine) {
                Some(error) if !anyway => Err(error.into()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Stops a download. What is here is kept.
    pub async fn pause_download(&self, id: &str) -> Result<()> {
        self.model_parts().downloads.pause(id).await.map_err(model_error)
    }

    /// Goes on with a download that was stopped or failed.
    pub async fn resume_download(&self, id: &str) -> Result<()> {
        self.get_model(id, true).await
    }

    /// Gives a download up and removes what is here of it.
    pub async fn cancel_download(&self, id: &str) -> Result<()> {
        self.model_parts().downloads.cancel(id).await.map_err(model_error)?;
        self.models_changed();
        Ok(())
    }

    /// Takes a GGUF file on this computer into the models, linked where the file system can, and
    /// otherwise copied. Reads all of it: seconds for a gigabyte.
    pub async fn import_model(&self, path: &Path) -> Result<ModelEntry> {
        let (app, path) = (self.clone(), path.to_owned());
        let id = self
            .blocking(move || {
                let parts = app.model_parts();
                // Another program's file may be called by its digest only.
                let found = parts.places.find().into_iter().find(|found| found.path == path);
                let name = found.map(|found| found.name);
                let imported = parts.store.import(&path, name.as_deref()).map_err(model_error)?;
                Ok(imported.model.id)
            })
            .await?;
        self.models_changed();
        self.model_entry(&id).await
    }

    /// Uses another model for what it is made for, in this library. A chat model answers from now
    /// on: the old one is let go, and an answer that is being written is finished by it. An
    /// embedder reads the library in the background ([`EmbedderChange`]) and takes the place of
    /// the other one when it has. A reranker orders what is found from the next search on.
    pub fn use_model(&self, id: &str) -> Result<()> {
        let parts = self.model_parts();
        let model = parts.store.model(id).map_err(model_error)?;
        if model.role == ModelRole::Ocr {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                format!("{} is used where it is installed", model.name),
                "Choose a chat model, an embedder or a reranker; `lectern models list` says which there are.",
            ));
        }
        parts.store.find(id).map_err(model_error)?;
        match model.role {
            ModelRole::Embedder => self.want_embedder(id)?,
            ModelRole::Reranker => self.catalog().set_setting(RERANKER_SETTING, id)?,
            _ => {
                self.catalog().set_setting(CHAT_SETTING, id)?;
                self.choose_chat(id.to_owned(), &self.model_settings()?);
            }
        }
        self.models_changed();
        Ok(())
    }

    /// What removing a model would do.
    pub fn removal_preview(&self, id: &str) -> Result<RemovalPreview> {
        let parts = self.model_parts();
        parts.store.model(id).map_err(model_error)?;
        Ok(RemovalPreview {
            id: id.to_owned(),
            frees_bytes: parts.store.frees(id).map_err(model_error)?,
            in_use: self.chat_id() == id,
            used_by: self.used_by(id),
            // Both that answers and that is to take its place.
            removable: self.wanted_embedder()? != id && self.embedder()? != id,
        })
    }

    /// Removes a model's files. Where questions were answered with it, another one that is here
    /// takes its place.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidInput`] where it is the library's embedder, or where another library
    /// uses it, unless it is to go anyway.
    pub async fn remove_model(&self, id: &str, anyway: bool) -> Result<RemovedModel> {
        let RemovalPreview { in_use, removable, used_by, .. } = self.removal_preview(id)?;
        if !used_by.is_empty() && !anyway {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                format!("{id} is used by another library: {}", used_by.join(", ")),
                "Choose another model there first, or say `--anyway`.",
            ));
        }
        if !removable {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                format!("{id} makes this library searchable by meaning"),
                "Choose another embedder first.",
            ));
        }
        let parts = self.model_parts();
        parts.downloads.cancel(id).await.map_err(model_error)?;
        if in_use {
            parts.chat.release();
        }
        let freed_bytes = {
            let (app, id) = (self.clone(), id.to_owned());
            self.blocking(move || app.model_parts().store.remove(&id).map_err(model_error)).await?
        };
        let next = parts.store.preferred(ModelRole::Chat).filter(|_| in_use);
        let now_in_use = next.map(|installed| installed.model.id);
        if let Some(next) = &now_in_use {
            self.use_model(next)?;
        }
        self.models_changed();
        Ok(RemovedModel { id: id.to_owned(), freed_bytes, now_in_use })
    }

    /// The identity of the chat model in use.
    fn chat_id(&self) -> String {
        self.inner.parts.chat.id()
    }

    /// Tells whoever listens that what they know of models is old.
    fn models_changed(&self) {
        // Nobody listening is fine.
        let _ = self.inner.events.send(AppEvent::Models);
        self.make_known();
        self.inner.changed.notify_one();
        // The indexer may have waited for an embedder.
        self.inner.wake.notify_one();
    }

    /// Goes on with downloads that were interrupted, tells how far they are, lets an idle model
    /// go, and heeds what another process has chosen; until the application ends.
    pub(crate) fn work_on_models(&self) {
        let app = self.clone();
        let mut told = self.model_parts().downloads.subscribe();
        self.model_parts().downloads.resume_interrupted();
        tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = app.inner.shutdown.cancelled() => return,
                    progress = told.recv() => {
                        if let Ok(progress) = progress {
                            let download = Download::from(progress);
                            let done = download.state == DownloadState::Done;
                            let _ = app.inner.events.send(AppEvent::Download { download });
                            if done {
                                app.models_changed();
                            }
                        }
                    }
                    _ = looks.tick() => app.look_after_chat(),
                }
            }
        });
    }

    /// Heeds the settings as they are now, and lets an idle model go.
    fn look_after_chat(&self) {
        let before = self.model_parts().chat.choice();
        let settings = match self.apply_model_settings() {
            Ok(settings) => settings,
            // A catalogue that cannot be read shows everywhere else.
            Err(error) => return tracing::debug!("{error}"),
        };
        if self.model_parts().chat.choice() != before {
            self.models_changed();
        }
        if settings.idle_minutes > 0 {
            let idle = Duration::from_secs(u64::from(settings.idle_minutes) * 60);
            self.model_parts().chat.release_idle(idle);
        }
    }

    /// How fast the processor is: as it was measured for this computer, or measured now.
    async fn pace(&self) -> Option<Pace> {
        let parts = self.model_parts();
        // A model that is answering would be measured with it.
        if parts.pace.get().is_none() && parts.chat.is_used() {
            return None;
        }
        let file = parts.store.root().join("pace.json");
        let pace =
            parts.pace.get_or_try_init(|| async { spawn_blocking(move || pace_of(&file)).await });
        match pace.await {
            Ok(pace) => Some(pace.clone()),
            Err(error) => {
                tracing::error!("the processor could not be measured: {error}");
                None
            }
        }
    }

    /// Seconds until a model speaks after a prompt of so many tokens, as far as the processor's
    /// pace was measured and kept: nobody who asks waits for that.
    pub(crate) fn seconds_to_read(&self, model: &Model, tokens: usize) -> Option<f64> {
        let parts = self.model_parts();
        let pace = kept_pace(&parts.store.root().join("pace.json"))?;
        let size = Size { shape: model.shape?, bytes: model.bytes };
        Some(pace.first_token_seconds(&size, tokens as u64))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        spawn_blocking(work).await.unwrap_or_else(|panic| Err(error::internal(&panic)))
    }
}

/// The pace that is kept in a file, if it is this computer's.
fn kept_pace(file: &Path) -> Option<Pace> {
    let kept = std::fs::read(file).ok()?;
    serde_json::from_slice::<Pace>(&kept).ok().filter(Pace::is_of_this_computer)
}

/// The pace that is kept, or measured now and kept.
fn pace_of(file: &Path) -> Pace {
    if let Some(pace) = kept_pace(file) {
        return pace;
    }
    let pace = Pace::measure();
    // It serves this process; the next one measures again.
    if lectern_models::Machine::is_busy() {
        return pace;
    }
    // Where it cannot be kept, it is measured again next time.
    if let (Ok(content), Some(folder)) = (serde_json::to_vec(&pace), file.parent()) {
        let kept = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, content));
        if let Err(error) = kept {
            tracing::debug!("{}: {error}", file.display());
        }
    }
    pace
}

pub(crate) fn model_error(error: lectern_models::ModelsError) -> AppError {
    lectern_domain::ModelError::from(error).into()
}

fn unknown(id: &str) -> AppError {
    model_error(lectern_models::ModelsError::Unknown { id: id.to_owned() })
}
