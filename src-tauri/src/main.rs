//! The window of Lectern: a thin shell around `lectern-app`.
// Where the page is served by Vite, somebody works on it and wants to see what is said.
#![cfg_attr(feature = "custom-protocol", windows_subsystem = "windows")]

mod autostart;
mod commands;
mod import;
mod menu;
mod models;
mod opened;
mod shortcut;
mod tray;
mod words;

use std::process::ExitCode;

use import::Import;
use lectern_app::{App, AppEvent};
use lectern_assembly::Options;
use tauri::{AppHandle, DragDropEvent, Emitter, Manager, RunEvent, WindowEvent};
use tauri_plugin_dialog::{DialogExt, MessageDialogKind};
use tauri_plugin_window_state::StateFlags;
use tokio::sync::broadcast::error::RecvError;
use tray::Tray;
use words::Words;

/// The event that carries an [`AppEvent`] to the page.
const APP_EVENT: &str = "app";

fn main() -> ExitCode {
    if let Some(ended) = lectern_assembly::run_as_worker() {
        return ended;
    }
    let builder = tauri::Builder::default()
        // First, so that a second start ends before it touches anything.
        .plugin(tauri_plugin_single_instance::init(|handle, arguments, directory| {
            show(handle);
            opened::follow(handle, arguments.into_iter().skip(1), directory);
        }))
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::init())
        .plugin(
            tauri_plugin_window_state::Builder::default()
                // A window that was closed is shown again at the next start.
                .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
                .build(),
        );
    #[cfg(not(target_os = "linux"))]
    let builder = builder
        .plugin(tauri_plugin_global_shortcut::Builder::new().build())
        .plugin(tauri_plugin_autostart::Builder::new().args([autostart::ARGUMENT]).build());
    let built = builder
        .manage(Words::default())
        .manage(Tray::default())
        .manage(opened::Waiting::default())
        .manage(shortcut::Held::default())
        .on_menu_event(|handle, event| menu::chosen(handle, &event))
        .setup(|tauri| {
            menu::show(tauri.handle());
            start(tauri.handle());
            begin(tauri.handle());
            Ok(())
        })
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event
                && keeps_watching(window.app_handle())
            {
                api.prevent_close();
                // A window that cannot be hidden stays.
                let _ = window.hide();
            }
            if let WindowEvent::DragDrop(DragDropEvent::Drop { paths, .. }) = event {
                opened::add(window.app_handle(), paths.clone());
            }
        })
        .invoke_handler(tauri::generate_handler![
            commands::status,
            models::models,
            models::get_model,
            models::pause_download,
            models::resume_download,
            models::cancel_download,
            models::import_model,
            models::use_model,
            models::removal_preview,
            models::remove_model,
            models::set_model_settings,
            commands::files,
            commands::add_paths,
            commands::remove_path,
            commands::history,
            commands::sources_now,
            commands::linked,
            commands::desktop,
            commands::set_autostart,
            commands::retry,
            commands::unlock,
            commands::call_off,
            commands::hurry,
            commands::set_rules,
            commands::tag,
            commands::tags,
            commands::set_folder_paused,
            commands::pause,
            commands::resume,
            commands::search,
            commands::ask,
            commands::stop,
            commands::conversations,
            commands::conversation,
            commands::delete_conversation,
            commands::find_conversations,
            commands::rate,
            commands::export_rated,
            commands::desktop_settings,
            commands::set_desktop_settings,
            commands::close_window,
            commands::quit,
            commands::set_language,
            commands::source,
            commands::places,
            commands::document_bytes,
            commands::open_path,
            commands::samples,
            commands::delete_everything,
            commands::save_text,
        ])
        .build(tauri::generate_context!());
    match built {
        Ok(tauri) => {
            let code = tauri.run_return(|handle, event| {
                #[cfg(target_os = "macos")]
                if let RunEvent::Opened { urls } = &event {
                    opened::follow(handle, urls.iter().map(ToString::to_string), "/");
                }
                if let RunEvent::Exit = event
                    && let Some(app) = handle.try_state::<App>()
                {
                    app.shutdown();
                }
            });
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            tracing::error!("the window cannot be opened: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the library and starts to follow the disk. The page's calls wait for it.
fn start(handle: &AppHandle) {
    let options = Options {
        library: std::env::var_os("LECTERN_LIBRARY").map(Into::into),
        chat_model: std::env::var("LECTERN_CHAT_MODEL").ok(),
    };
    match lectern_assembly::open(&options) {
        Ok(app) => {
            handle.manage(app.clone());
            let handle = handle.clone();
            tauri::async_runtime::spawn(async move {
                let mut events = app.events();
                let mut import = Import::default();
                app.work_in_background();
                tray::show_or_hide(&handle, keeps_watching(&handle));
                shortcut::restore(&handle);
                loop {
                    match events.recv().await {
                        Ok(event) => {
                            if let AppEvent::Library { status } = &event {
                                tray::follow(&handle, status);
                                import.follow(&handle, status);
                            }
                            tell(&handle, &event);
                        }
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => break,
                    }
                }
            });
        }
        Err(error) => {
            let end = handle.clone();
            handle
                .dialog()
                .message(format!("{}\n\n{}", error.message, error.hint))
                .title("Lectern")
                .kind(MessageDialogKind::Error)
                .show(move |_| end.exit(1));
        }
    }
}

/// What the command line asks for. A start with the session shows no window where folders are
/// watched without one.
fn begin(handle: &AppHandle) {
    let with_session = std::env::args().any(|word| word == autostart::ARGUMENT);
    if with_session
        && keeps_watching(handle)
        && let Some(window) = handle.get_webview_window("main")
    {
        // A window that cannot be hidden is shown.
        let _ = window.hide();
    }
    let directory = std::env::current_dir().unwrap_or_default();
    opened::follow(handle, std::env::args().skip(1), directory);
}

/// Whether folders are watched on when the window is closed.
fn keeps_watching(handle: &AppHandle) -> bool {
    let settings = handle.try_state::<App>().and_then(|app| app.desktop_settings().ok());
    settings.is_some_and(|settings| settings.keep_watching)
}

fn tell(handle: &AppHandle, event: &AppEvent) {
    if let Err(error) = handle.emit(APP_EVENT, event) {
        tracing::debug!("the page did not hear: {error}");
    }
}

fn show(handle: &AppHandle) {
    if let Some(window) = handle.get_webview_window("main") {
        // Each of these fails only where the system does not do it at all.
        let _ = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
    }
}
