//! The commands of the window: each is one call into the application.

use std::path::{Path, PathBuf};

use lectern_app::{
    AddReport, App, AppError, AskEvent, AskRequest, Conversation, ConversationSummary, Desktop,
    DesktopSettings, ErrorCode, FileStatus, FolderRules, HistoryEntry, Linked, Quoted, Rating,
    Rect, Result, SearchReply, SearchRequest, SetReport, Source, SourceNow, Status, TagCount,
    TextRange,
};
use tauri::{
    AppHandle, Manager, State,
    ipc::{Channel, Response},
};
use tauri_plugin_dialog::DialogExt;
use tauri_plugin_opener::OpenerExt;

use crate::{autostart, menu, opened, shortcut, tray, words::Words};

#[tauri::command(async)]
pub fn status(app: State<'_, App>) -> Result<Status> {
    app.status(false)
}

#[tauri::command(async)]
pub fn files(app: State<'_, App>) -> Result<Vec<FileStatus>> {
    app.files()
}

#[tauri::command]
pub async fn add_paths(app: State<'_, App>, paths: Vec<PathBuf>) -> Result<AddReport> {
    app.add(&paths).await
}

#[tauri::command(async)]
pub fn remove_path(app: State<'_, App>, path: PathBuf) -> Result<()> {
    app.remove(&[path])
}

#[tauri::command(async)]
pub fn retry(app: State<'_, App>, path: Option<PathBuf>) -> Result<u64> {
    app.retry(path.as_deref())
}

#[tauri::command]
pub async fn unlock(app: State<'_, App>, path: PathBuf, password: String) -> Result<()> {
    app.unlock(&path, &password).await
}

#[tauri::command(async)]
pub fn call_off(app: State<'_, App>, path: Option<String>) -> Result<u64> {
    app.call_off(path.as_deref().map(Path::new))
}

#[tauri::command(async)]
pub fn history(app: State<'_, App>, before: Option<i64>, limit: u32) -> Result<Vec<HistoryEntry>> {
    app.history(before, limit)
}

#[tauri::command(async)]
pub fn hurry(app: State<'_, App>, path: PathBuf) -> Result<bool> {
    app.hurry(&path)
}

#[tauri::command]
pub async fn set_rules(app: State<'_, App>, path: PathBuf, rules: FolderRules) -> Result<()> {
    app.set_rules(&path, &rules).await
}

#[tauri::command(async)]
pub fn tag(
    app: State<'_, App>,
    paths: Vec<PathBuf>,
    add: Vec<String>,
    remove: Vec<String>,
) -> Result<Vec<String>> {
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    app.tag(&paths, &add, &remove)
}

#[tauri::command(async)]
pub fn tags(app: State<'_, App>) -> Result<Vec<TagCount>> {
    app.tags()
}

#[tauri::command(async)]
pub fn set_folder_paused(app: State<'_, App>, path: PathBuf, paused: bool) -> Result<()> {
    app.set_folder_paused(&path, paused)
}

#[tauri::command(async)]
pub fn pause(app: State<'_, App>) -> Result<()> {
    app.set_paused(true)
}

#[tauri::command(async)]
pub fn resume(app: State<'_, App>) -> Result<()> {
    app.set_paused(false)
}

#[tauri::command]
pub async fn search(app: State<'_, App>, request: SearchRequest) -> Result<SearchReply> {
    app.search(&request).await
}

#[tauri::command]
pub async fn ask(
    app: State<'_, App>,
    request: AskRequest,
    channel: Channel<AskEvent>,
) -> Result<()> {
    // A window that has gone away wants no more.
    app.ask_and_tell(&request, |event| drop(channel.send(event))).await;
    Ok(())
}

#[tauri::command(async)]
pub fn stop(app: State<'_, App>) {
    app.stop();
}

#[tauri::command(async)]
pub fn conversations(app: State<'_, App>) -> Result<Vec<ConversationSummary>> {
    app.conversations()
}

#[tauri::command(async)]
pub fn conversation(app: State<'_, App>, id: i64) -> Result<Conversation> {
    app.conversation(id)
}

#[tauri::command(async)]
pub fn delete_conversation(app: State<'_, App>, id: i64) -> Result<()> {
    app.delete_conversation(id)
}

#[tauri::command(async)]
pub fn find_conversations(app: State<'_, App>, words: String) -> Result<Vec<ConversationSummary>> {
    app.find_conversations(&words)
}

#[tauri::command(async)]
pub fn rate(app: State<'_, App>, answer: i64, rating: Option<Rating>) -> Result<()> {
    app.rate(answer, rating)
}

/// Writes the rated answers into a folder that the person chooses; the page cannot. `None` when
/// they change their mind.
#[tauri::command(async)]
pub fn export_rated(app: State<'_, App>, handle: AppHandle) -> Result<Option<SetReport>> {
    let chosen = handle.dialog().file().blocking_pick_folder();
    let Some(folder) = chosen.and_then(|chosen| chosen.into_path().ok()) else { return Ok(None) };
    app.export_rated(&folder).map(Some)
}

#[tauri::command(async)]
pub fn desktop_settings(app: State<'_, App>) -> Result<DesktopSettings> {
    app.desktop_settings()
}

#[tauri::command(async)]
pub fn set_desktop_settings(
    app: State<'_, App>,
    handle: AppHandle,
    settings: DesktopSettings,
) -> Result<()> {
    let before = app.desktop_settings()?.shortcut;
    shortcut::set(&handle, &before, &settings.shortcut)?;
    app.set_desktop_settings(&settings)?;
    tray::show_or_hide(&handle, settings.keep_watching);
    Ok(())
}

/// Says what is said outside of the page, such as the tray's menu, in the page's language.
#[tauri::command(async)]
pub fn set_language(app: State<'_, App>, handle: AppHandle, language: &str) -> Result<()> {
    handle.state::<Words>().speak(language);
    menu::show(&handle);
    tray::follow(&handle, &app.status(false)?);
    Ok(())
}

/// As the window's own button does it: hides it where folders are watched on, and ends the program
/// otherwise.
#[tauri::command(async)]
pub fn close_window(window: tauri::WebviewWindow) -> Result<()> {
    window.close().map_err(|error| AppError {
        code: ErrorCode::Internal,
        message: format!("the window cannot be closed: {error}"),
        hint: String::new(),
    })
}

#[tauri::command(async)]
pub fn quit(handle: AppHandle) {
    handle.exit(0);
}

#[tauri::command]
pub async fn source(app: State<'_, App>, path: String) -> Result<Source> {
    app.source(&path).await
}

#[tauri::command(async)]
pub fn sources_now(app: State<'_, App>, quoted: Vec<Quoted>) -> Result<Vec<SourceNow>> {
    app.sources_now(&quoted)
}

/// The passage that the link which waits leads to; `None` where none waits.
#[tauri::command(async)]
pub fn linked(app: State<'_, App>, waiting: State<'_, opened::Waiting>) -> Result<Option<Linked>> {
    waiting.take().map(|link| app.linked(&link)).transpose()
}

#[tauri::command(async)]
pub fn desktop(handle: AppHandle) -> Desktop {
    let program = std::env::current_exe().unwrap_or_default();
    Desktop {
        autostart: autostart::is_on(&handle),
        program: program.to_string_lossy().into_owned(),
        shortcut: shortcut::is_possible(),
        kept: own_folders(&handle),
    }
}

/// Where the window keeps its size and what the person chose for the page.
fn own_folders(handle: &AppHandle) -> Vec<String> {
    let paths = handle.path();
    let folders = [paths.app_config_dir(), paths.app_local_data_dir()];
    let mut folders: Vec<String> = folders
        .into_iter()
        .filter_map(|folder| Some(folder.ok()?.to_string_lossy().into_owned()))
        .collect();
    // They are one on some systems.
    folders.dedup();
    folders
}

#[tauri::command(async)]
pub fn set_autostart(handle: AppHandle, on: bool) -> Result<()> {
    autostart::set(&handle, on).map_err(|error| AppError {
        code: ErrorCode::InvalidInput,
        message: format!("the start with your session cannot be changed: {error}"),
        hint: "Check that you may write to the folder `autostart` of your settings.".into(),
    })
}

#[tauri::command(async)]
pub fn places(app: State<'_, App>, path: String, ranges: Vec<TextRange>) -> Result<Vec<Vec<Rect>>> {
    app.places(&path, &ranges)
}

/// Bytes cross as they are: as JSON a page of a book would be megabytes of digits.
#[tauri::command]
pub async fn document_bytes(
    app: State<'_, App>,
    path: String,
    start: u64,
    length: u64,
) -> Result<Response> {
    app.document_bytes(&path, start, length).await.map(Response::new)
}

/// Opens a document of the library, and nothing else, in the system's viewer: of one that is in an
/// archive, the archive.
#[tauri::command(async)]
pub fn open_path(app: State<'_, App>, handle: AppHandle, path: String) -> Result<()> {
    let file = app.file_to_open(&path)?.to_string_lossy().into_owned();
    handle.opener().open_path(&file, None::<&str>).map_err(|error| AppError {
        code: ErrorCode::NotFound,
        message: format!("{file} cannot be opened: {error}"),
        hint: "Check that a program for this kind of file is installed.".into(),
    })
}

#[tauri::command(async)]
pub fn delete_everything(app: State<'_, App>) -> Result<()> {
    app.delete_everything()
}

/// Writes a text where the person wants it; the page cannot choose the place. `None` when they
/// change their mind.
#[tauri::command(async)]
pub fn save_text(handle: AppHandle, name: String, text: String) -> Result<Option<PathBuf>> {
    let chosen = handle.dialog().file().set_file_name(name).blocking_save_file();
    let Some(path) = chosen.and_then(|chosen| chosen.into_path().ok()) else { return Ok(None) };
    match std::fs::write(&path, text) {
        Ok(()) => Ok(Some(path)),
        Err(error) => Err(AppError {
            code: ErrorCode::InvalidInput,
            message: format!("{} cannot be written: {error}", path.display()),
            hint: "Choose another folder.".into(),
        }),
    }
}

#[tauri::command(async)]
pub fn samples(handle: AppHandle) -> Option<PathBuf> {
    let bundled = handle.path().resource_dir().ok()?.join("samples");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    // As the library names it, so that the page knows it again.
    [bundled, source].iter().find_map(|path| path.canonicalize().ok())
}
