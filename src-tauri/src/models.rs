//! The commands of the window about models: each is one call into the application.

use std::path::PathBuf;

use lectern_app::{App, ModelEntry, ModelSettings, Models, RemovalPreview, RemovedModel, Result};
use tauri::State;

#[tauri::command]
pub async fn models(app: State<'_, App>) -> Result<Models> {
    app.models().await
}

/// What would not fit is not fetched, unless the person wants it `anyway`.
#[tauri::command]
pub async fn get_model(app: State<'_, App>, id: String, anyway: Option<bool>) -> Result<()> {
    app.get_model(&id, anyway.unwrap_or(false)).await
}

#[tauri::command]
pub async fn pause_download(app: State<'_, App>, id: String) -> Result<()> {
    app.pause_download(&id).await
}

#[tauri::command]
pub async fn resume_download(app: State<'_, App>, id: String) -> Result<()> {
    app.resume_download(&id).await
}

#[tauri::command]
pub async fn cancel_download(app: State<'_, App>, id: String) -> Result<()> {
    app.cancel_download(&id).await
}

#[tauri::command]
pub async fn import_model(app: State<'_, App>, path: PathBuf) -> Result<ModelEntry> {
    app.import_model(&path).await
}

#[tauri::command(async)]
pub fn use_model(app: State<'_, App>, id: String) -> Result<()> {
    app.use_model(&id)
}

#[tauri::command(async)]
pub fn removal_preview(app: State<'_, App>, id: String) -> Result<RemovalPreview> {
    app.removal_preview(&id)
}

/// The page has asked, with the preview's words.
#[tauri::command]
pub async fn remove_model(app: State<'_, App>, id: String) -> Result<RemovedModel> {
    app.remove_model(&id, true).await
}

#[tauri::command(async)]
pub fn set_model_settings(app: State<'_, App>, settings: ModelSettings) -> Result<()> {
    app.set_model_settings(&settings)
}
