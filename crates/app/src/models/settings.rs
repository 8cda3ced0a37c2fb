//! What a person has set for the chat model.

use lectern_domain::ErrorCode;
use lectern_models::{ModelRole, use_threads};

use super::{CHAT_SETTING, ChatChoice, Device, ModelSettings};
use crate::{App, AppError, Result, error};

/// The setting that holds [`ModelSettings`] as JSON.
const SETTINGS: &str = "model_settings";

/// Prompt and answer together, where nobody says otherwise. More would cost memory and, on a
/// CPU, patience.
pub(super) const USUAL_CONTEXT: u32 = 4096;
/// Less leaves no room for sources.
const LEAST_CONTEXT: u32 = 1024;
const MOST_CONTEXT: u32 = 131_072;
const MOST_THREADS: u32 = 1024;
const MOST_CHARACTERS: usize = 2_000;
const MOST_MINUTES: u32 = 24 * 60;

impl App {
    /// How the chat model runs.
    pub fn model_settings(&self) -> Result<ModelSettings> {
        let stored = self.catalog().setting(SETTINGS)?.unwrap_or_default();
        // What a later version wrote gives way to the usual.
        Ok(serde_json::from_str(&stored).unwrap_or_default())
    }

    /// Sets how the chat model runs, from the next question on.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidInput`] with what is out of its range.
    pub fn set_model_settings(&self, settings: &ModelSettings) -> Result<()> {
        check(settings, &self.model_parts().devices)?;
        let stored = serde_json::to_string(settings).map_err(|fault| error::internal(&fault))?;
        self.catalog().set_setting(SETTINGS, &stored)?;
        self.apply_model_settings()?;
        self.models_changed();
        Ok(())
    }

    /// Brings the chat model's place to what is set; called when the library is opened, before
    /// anything is computed.
    pub(crate) fn open_models(&self) -> Result<()> {
        self.make_known();
        let settings = self.apply_model_settings()?;
        if let Some(threads) = settings.threads {
            use_threads(threads);
        }
        Ok(())
    }

    pub(super) fn apply_model_settings(&self) -> Result<ModelSettings> {
        let settings = self.model_settings()?;
        let parts = self.model_parts();
        let chosen = self.catalog().setting(CHAT_SETTING)?.filter(|_| !parts.chat_is_given);
        let id = match chosen {
            Some(id) => id,
            None if parts.chat_is_given => parts.chat.choice().id,
            // What is here answers; what is missing is named by the catalogue's default.
            None => match parts.store.preferred(ModelRole::Chat) {
                Some(installed) => installed.model.id,
                None => parts.chat.choice().id,
            },
        };
        self.choose_chat(id, &settings);
        Ok(settings)
    }

    pub(super) fn choose_chat(&self, id: String, settings: &ModelSettings) {
        let context_tokens = settings.context_tokens.unwrap_or(USUAL_CONTEXT) as usize;
        self.model_parts().chat.choose(ChatChoice { id, context_tokens, device: settings.device });
    }
}

fn check(settings: &ModelSettings, devices: &[Device]) -> Result<()> {
    let ModelSettings { context_tokens, threads, temperature, instructions, device, idle_minutes } =
        settings;
    let wrong =
        |what: String| Err(AppError::new(ErrorCode::InvalidInput, what, "Nothing was changed."));
    if let Some(tokens) = context_tokens
        && !(LEAST_CONTEXT..=MOST_CONTEXT).contains(tokens)
    {
        return wrong(format!("the context can have {LEAST_CONTEXT} to {MOST_CONTEXT} tokens"));
    }
    if let Some(threads) = threads
        && !(1..=MOST_THREADS).contains(threads)
    {
        return wrong(format!("there can be 1 to {MOST_THREADS} threads"));
    }
    // A number that is none is in no range.
    if !(0. ..=2.).contains(temperature) {
        return wrong("the temperature can be 0 to 2".into());
    }
    if instructions.chars().count() > MOST_CHARACTERS {
        return wrong(format!("the instructions can have {MOST_CHARACTERS} characters"));
    }
    if *device != Device::Auto && !devices.contains(device) {
        return wrong("this version of Lectern cannot use that device".into());
    }
    if *idle_minutes > MOST_MINUTES {
        return wrong(format!("the model can stay for {MOST_MINUTES} minutes, or with 0 always"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn settings_have_ranges() {
        type Change = fn(&mut ModelSettings);
        let of = |change: Change| {
            let mut settings = ModelSettings::default();
            change(&mut settings);
            check(&settings, &[Device::Cpu]).err().map(|error| error.message)
        };
        let cases: [(Change, &str); 12] = [
            (|_| (), ""),
            (|s| s.context_tokens = Some(8192), ""),
            (|s| s.context_tokens = Some(10), "the context"),
            (|s| s.context_tokens = Some(1 << 20), "the context"),
            (|s| s.threads = Some(0), "threads"),
            (|s| s.threads = Some(2), ""),
            (|s| s.temperature = 2.5, "temperature"),
            (|s| s.temperature = f32::NAN, "temperature"),
            (|s| s.instructions = "字".repeat(2_000), ""),
            (|s| s.instructions = "字".repeat(2_001), "instructions"),
            (|s| s.device = Device::Cuda, "device"),
            (|s| s.idle_minutes = 100_000, "minutes"),
        ];
        for (change, expected) in cases {
            let said = of(change).unwrap_or_default();
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn settings_that_lack_a_field_have_the_usual() {
        let settings: ModelSettings = serde_json::from_str(r#"{"temperature": 0.5}"#).unwrap();
        assert_eq!(settings, ModelSettings { temperature: 0.5, ..ModelSettings::default() });
    }
}
