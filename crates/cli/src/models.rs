//! `lectern models`: the catalogue, what fits this computer, downloads, and settings.

use lectern_app::{App, Device, ModelSettings, Result};
use tokio_util::sync::CancellationToken;

use crate::arguments::{DeviceName, ModelsCommand, SettingsArguments};
use crate::{go_on_in_background, output};

/// Does what was asked and prints it.
pub async fn run(
    app: &App,
    command: ModelsCommand,
    json: bool,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    match command {
        ModelsCommand::List => {
            let models = app.models().await?;
            if json { output::json(&models) } else { output::models(&models) }
        }
        ModelsCommand::Fit => {
            let models = app.models().await?;
            if json { output::json(&models) } else { output::fit(&models) }
        }
        ModelsCommand::Get { id, anyway } => {
            let bar = output::download_bar(quiet || json);
            let show = |download| output::show_download(&bar, &download);
            let done = app.fetch_model(&id, anyway, show, cancel).await;
            bar.finish_and_clear();
            done?;
            model(app, &id, json, "is installed").await?;
        }
        ModelsCommand::Import { file } => {
            let entry = app.import_model(&file).await?;
            if json { output::json(&entry) } else { output::model(&entry, "is installed") }
        }
        ModelsCommand::Use { id } => {
            app.use_model(&id)?;
            let entry = app.model_entry(&id).await?;
            if entry.change.is_some() {
                go_on_in_background(app).await?;
            }
            if json { output::json(&entry) } else { output::used(&entry) }
        }
        ModelsCommand::Remove { id, anyway } => {
            let removed = app.remove_model(&id, anyway).await?;
            if json { output::json(&removed) } else { output::removed(&removed) }
        }
        ModelsCommand::Set(arguments) => {
            let settings = changed(app.model_settings()?, arguments);
            app.set_model_settings(&settings)?;
            if json { output::json(&settings) } else { output::settings(&settings) }
        }
    }
    Ok(())
}

async fn model(app: &App, id: &str, json: bool, what: &str) -> Result<()> {
    let entry = app.model_entry(id).await?;
    if json {
        output::json(&entry)
    } else {
        output::model(&entry, what)
    }
    Ok(())
}

/// The settings with what was named; 0 stands for the usual where there is one.
fn changed(before: ModelSettings, arguments: SettingsArguments) -> ModelSettings {
    let SettingsArguments { context, threads, temperature, instructions, device, idle } = arguments;
    let or_usual = |number: Option<u32>, before| match number {
        Some(0) => None,
        Some(number) => Some(number),
        None => before,
    };
    ModelSettings {
        context_tokens: or_usual(context, before.context_tokens),
        threads: or_usual(threads, before.threads),
        temperature: temperature.unwrap_or(before.temperature),
        instructions: instructions.unwrap_or(before.instructions),
        device: device.map_or(before.device, Device::from),
        idle_minutes: idle.unwrap_or(before.idle_minutes),
    }
}

impl From<DeviceName> for Device {
    fn from(name: DeviceName) -> Self {
        match name {
            DeviceName::Auto => Self::Auto,
            DeviceName::Cpu => Self::Cpu,
            DeviceName::Metal => Self::Metal,
            DeviceName::Cuda => Self::Cuda,
        }
    }
}
