//! How models are shown.

use std::collections::HashSet;
use std::path::PathBuf;

use lectern_extract::estimate_tokens;
use lectern_models as models;
use lectern_models::{Model, ModelRole, ModelsError, Pace};

use super::settings::USUAL_CONTEXT;
use super::{
    Device, Download, DownloadState, EmbedderChange, Fit, FoundModel, GraphicsCard, Machine,
    ModelEntry, ModelSettings, Models, OtherProgram, Recommendation, RecommendationReason, Verdict,
    model_error,
};
use crate::{App, Result};

/// So many passages stand for all of them.
const SAMPLE: u32 = 64;

impl App {
    pub(super) fn view(&self, pace: Option<&Pace>) -> Result<Models> {
        let parts = self.model_parts();
        let settings = self.model_settings()?;
        let machine = self.machine();
        let context = self.context();
        let (embedder, wanted) = (self.embedder()?, self.wanted_embedder()?);
        let reranker = self.reranking()?.map(|found| found.reranker.id());
        let passages = self.catalog().counts(None)?.chunks;
        let passage_tokens = self.passage_tokens()?;
        let free_disk_bytes = models::free_bytes(parts.store.root());
        let runs_on_card = self.runs_on_card(&settings, &machine);
        let fit = |model: &Model| {
            models::Fit::of(model, &machine, pace.filter(|_| !runs_on_card), context)
        };

        let all = parts.store.models();
        let (recommended, reason) =
            models::recommend(&machine, all.iter().map(|model| (model, fit(model))));
        let recommended = recommended.map(|model| model.id.clone());
        let downloads = parts.downloads.all();
        let mut entries = Vec::new();
        let mut linked = HashSet::new();
        for model in &all {
            let found = parts.store.find(&model.id);
            let download = downloads.iter().find(|progress| progress.id == model.id);
            let imported = !parts.store.is_in_catalogue(&model.id);
            let installed = found.is_ok();
            let (linked_to, problem) = match found {
                Ok(installed) => (installed.linked_to, None),
                // What was never here is no problem.
                Err(ModelsError::Missing { .. }) if !imported => (None, None),
                Err(error) => (None, Some(model_error(error))),
            };
            linked.extend(linked_to.clone());
            let in_use = match model.role {
                ModelRole::Chat => self.chat_id() == model.id,
                ModelRole::Embedder => embedder == model.id,
                ModelRole::Reranker => reranker.as_ref() == Some(&model.id),
                ModelRole::Ocr => model.default,
            };
            if model.tests_only && !installed && !in_use {
                continue;
            }
            let change = (model.role == ModelRole::Embedder && !in_use).then(|| EmbedderChange {
                passages,
                seconds: passage_tokens.zip(pace).zip(model.shape).map(
                    |((tokens, pace), shape)| {
                        rounded(pace.passages_seconds(&shape, passages, tokens))
                    },
                ),
                started: wanted == model.id,
            });
            let here = download.map_or(0, |progress| progress.bytes);
            let needed = if installed { 0 } else { model.bytes.saturating_sub(here) };
            entries.push(ModelEntry {
                id: model.id.clone(),
                role: model.role,
                name: model.name.clone(),
                architecture: model.architecture.clone(),
                quantisation: model.quantisation.clone(),
                context_tokens: u32::try_from(model.context_tokens).unwrap_or(u32::MAX),
                languages: model.languages.clone(),
                licence: model.licence.clone(),
                bytes: model.bytes,
                bytes_exact: model.exact(),
                installed,
                imported,
                linked_to: linked_to.map(|path| path.display().to_string()),
                downloadable: !imported && model.downloadable(),
                in_use,
                change,
                recommended: match model.role {
                    ModelRole::Chat => recommended.as_ref() == Some(&model.id),
                    _ => model.default,
                },
                fit: Fit {
                    disk_full: free_disk_bytes.is_some_and(|free| free < needed),
                    ..fit(model).into()
                },
                download: download.cloned().map(Download::from),
                problem,
            });
        }
        let found = self.found(&linked, &fit);
        Ok(Models {
            machine: Machine {
                memory_bytes: machine.memory_bytes,
                available_memory_bytes: machine.available_bytes,
                free_disk_bytes,
                cores: u32::try_from(machine.cores).unwrap_or(u32::MAX),
                threads: u32::try_from(models::threads()).unwrap_or(u32::MAX),
                instructions: models::instructions().to_owned(),
                graphics: machine.graphics.iter().cloned().map(GraphicsCard::from).collect(),
                devices: parts.devices.clone(),
                measured: pace.is_some(),
            },
            models: entries,
            found,
            recommendation: Recommendation { id: recommended, reason: reason.into() },
            directory: parts.store.root().display().to_string(),
            settings,
        })
    }

    /// What other programs have that is not linked here already.
    fn found(
        &self,
        linked: &HashSet<PathBuf>,
        fit: &dyn Fn(&Model) -> models::Fit,
    ) -> Vec<FoundModel> {
        let found = self.model_parts().places.find();
        let new = found.into_iter().filter(|found| {
            found.path.canonicalize().is_ok_and(|origin| !linked.contains(&origin))
        });
        new.map(|found| {
            let length = || found.path.metadata().map_or(0, |metadata| metadata.len());
            let (model, problem) = match models::inspect(&found.path, Some(&found.name)) {
                Ok(model) => (Some(model), None),
                Err(error) => (None, Some(model_error(error))),
            };
            let text =
                |of: fn(&Model) -> &String| model.as_ref().map(of).cloned().unwrap_or_default();
            FoundModel {
                path: found.path.display().to_string(),
                program: found.program.into(),
                name: found.name.clone(),
                architecture: text(|model| &model.architecture),
                quantisation: text(|model| &model.quantisation),
                bytes: model.as_ref().map_or_else(length, |model| model.bytes),
                fit: model.as_ref().map(|model| fit(model).into()),
                problem,
            }
        })
        .collect()
    }

    /// How one model would run here.
    pub(super) fn fit(&self, model: &Model, pace: Option<&Pace>) -> (models::Machine, models::Fit) {
        let machine = self.machine();
        let fit = models::Fit::of(model, &machine, pace, self.context());
        (machine, fit)
    }

    /// Whether a graphics card answers, whose pace nobody has measured.
    fn runs_on_card(&self, settings: &ModelSettings, machine: &models::Machine) -> bool {
        let has_card = !machine.graphics.is_empty() && self.model_parts().devices.len() > 1;
        has_card && settings.device != Device::Cpu
    }

    /// This computer, with the memory of the loaded model as if it were free: another one would
    /// take its place.
    fn machine(&self) -> models::Machine {
        let parts = self.model_parts();
        let mut machine = models::Machine::look();
        if parts.chat.is_loaded()
            && let Ok(model) = parts.store.model(&self.chat_id())
        {
            let taken = models::Fit::of(&model, &machine, None, self.context()).memory_bytes;
            let free = machine.available_bytes.saturating_add(taken);
            machine.available_bytes = free.min(machine.memory_bytes);
        }
        machine
    }

    /// How many tokens a passage of the library has, by an estimate of some of them.
    fn passage_tokens(&self) -> Result<Option<f64>> {
        let texts = self.catalog().sample_texts(SAMPLE)?;
        let tokens: usize = texts.iter().map(|text| estimate_tokens(text)).sum();
        Ok((!texts.is_empty()).then(|| tokens as f64 / texts.len() as f64))
    }

    fn context(&self) -> u64 {
        let settings = self.model_settings().unwrap_or_default();
        settings.context_tokens.unwrap_or(USUAL_CONTEXT).into()
    }
}

impl From<models::Graphics> for GraphicsCard {
    fn from(card: models::Graphics) -> Self {
        Self { name: card.name, memory_bytes: card.memory_bytes }
    }
}

impl From<models::Fit> for Fit {
    fn from(fit: models::Fit) -> Self {
        Self {
            verdict: match fit.verdict {
                models::Verdict::Good => Verdict::Good,
                models::Verdict::Slow => Verdict::Slow,
                models::Verdict::Tight => Verdict::Tight,
                models::Verdict::TooBig => Verdict::TooBig,
                models::Verdict::Unknown => Verdict::Unknown,
            },
            memory_bytes: fit.memory_bytes,
            first_token_seconds: fit.first_token_seconds.map(rounded),
            tokens_per_second: fit.tokens_per_second.map(rounded),
            disk_full: false,
        }
    }
}

/// Two figures that count: more would promise more than a prediction holds.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() || value <= 0. {
        return 0.;
    }
    let scale = 10f64.powf(1. - value.log10().floor());
    (value * scale).round() / scale
}

impl From<models::Reason> for RecommendationReason {
    fn from(reason: models::Reason) -> Self {
        match reason {
            models::Reason::MostAbleThatIsQuick => Self::MostAbleThatIsQuick,
            models::Reason::QuickestThatFits => Self::QuickestThatFits,
            models::Reason::MostAbleThatFits => Self::MostAbleThatFits,
            models::Reason::NoneFits => Self::NoneFits,
        }
    }
}

impl From<models::OtherProgram> for OtherProgram {
    fn from(program: models::OtherProgram) -> Self {
        match program {
            models::OtherProgram::LmStudio => Self::LmStudio,
            models::OtherProgram::Ollama => Self::Ollama,
            models::OtherProgram::Gpt4all => Self::Gpt4all,
            models::OtherProgram::HubCache => Self::HubCache,
        }
    }
}

impl From<models::Progress> for Download {
    fn from(progress: models::Progress) -> Self {
        Self {
            seconds_left: progress.seconds_left().map(|seconds| seconds.round()),
            state: match progress.state {
                models::DownloadState::Waiting => DownloadState::Waiting,
                models::DownloadState::Running => DownloadState::Running,
                models::DownloadState::Retrying => DownloadState::Retrying,
                models::DownloadState::Checking => DownloadState::Checking,
                models::DownloadState::Paused => DownloadState::Paused,
                models::DownloadState::Failed => DownloadState::Failed,
                models::DownloadState::Cancelled => DownloadState::Cancelled,
                models::DownloadState::Done => DownloadState::Done,
            },
            bytes_done: progress.bytes,
            bytes_total: progress.total,
            bytes_per_second: progress.per_second.map(|pace| pace as u64),
            error: progress.problem.map(|problem| problem.0.into()),
            id: progress.id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn predictions_promise_two_figures() {
        for (value, expected) in
            [(4.123, 4.1), (0.8649, 0.86), (123.4, 120.), (9.96, 10.), (0., 0.)]
        {
            assert!((rounded(value) - expected).abs() < 1e-9, "{value}: {}", rounded(value));
        }
    }
}
