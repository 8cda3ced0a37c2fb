//! The icon that stands for Lectern while it watches without a window.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use lectern_app::{App, Status};
use tauri::{
    AppHandle, Manager, Wry,
    menu::{Menu, MenuEvent, MenuItem},
    tray::TrayIconBuilder,
};

use crate::{show, words::Words};

const ID: &str = "main";
const OPEN: &str = "open";
const PAUSE: &str = "pause";
const QUIT: &str = "quit";

/// What of the menu changes, and what it says.
struct Items {
    state: MenuItem<Wry>,
    pause: MenuItem<Wry>,
    said: (String, String),
}

/// The icon's menu, while there is an icon.
#[derive(Default)]
pub struct Tray(Mutex<Option<Items>>);

/// Shows the icon, or takes it away.
pub fn show_or_hide(handle: &AppHandle, wanted: bool) {
    let main = handle.clone();
    // A panic can be caught only where it happens, which is the main thread.
    let change = move || match (wanted, main.tray_by_id(ID).is_some()) {
        // Where the system's library for icons is missing, its first use panics. The window comes
        // back without the icon as well, when the program is started once more.
        (true, false) => match catch_unwind(AssertUnwindSafe(|| build(&main))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("there is no tray: {error}"),
            Err(_) => tracing::warn!("there is no tray: the system's library is missing"),
        },
        (false, true) => {
            drop(main.remove_tray_by_id(ID));
            main.state::<Tray>().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        _ => {}
    };
    if let Err(error) = handle.run_on_main_thread(change) {
        tracing::warn!("there is no tray: {error}");
    }
}

fn build(handle: &AppHandle) -> tauri::Result<()> {
    let words = handle.state::<Words>();
    let status = handle.state::<App>().status(false).ok();
    let said = said(&words, status.as_ref());
    let item = |id: &str, text: &str, enabled: bool| {
        MenuItem::with_id(handle, id, text, enabled, None::<&str>)
    };
    let state = item("state", &said.0, false)?;
    let pause = item(PAUSE, &said.1, true)?;
    let open = item(OPEN, &words.say("tray.open", &[]), true)?;
    let quit = item(QUIT, &words.say("tray.quit", &[]), true)?;
    let menu = Menu::with_items(handle, &[&state, &open, &pause, &quit])?;
    let mut icon = TrayIconBuilder::with_id(ID)
        .tooltip("Lectern")
        .menu(&menu)
        .on_menu_event(|handle, event| chosen(handle, &event));
    if let Some(image) = handle.default_window_icon() {
        icon = icon.icon(image.clone());
    }
    icon.build(handle)?;
    let items = Items { state, pause, said };
    *handle.state::<Tray>().0.lock().unwrap_or_else(PoisonError::into_inner) = Some(items);
    Ok(())
}

fn chosen(handle: &AppHandle, event: &MenuEvent) {
    match event.id().as_ref() {
        OPEN => show(handle),
        QUIT => handle.exit(0),
        PAUSE => {
            let app = handle.state::<App>();
            let toggled = app.status(false).and_then(|status| app.set_paused(!status.paused));
            if let Err(error) = toggled {
                tracing::error!("{error}");
            }
        }
        _ => {}
    }
}

/// Says how far the work is, where there is an icon.
pub fn follow(handle: &AppHandle, status: &Status) {
    let tray = handle.state::<Tray>();
    let mut items = tray.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(items) = items.as_mut() else { return };
    let said = said(&handle.state::<Words>(), Some(status));
    if items.said == said {
        return;
    }
    // An item that cannot be changed says what it said.
    let _ = items.state.set_text(&said.0).and_then(|()| items.pause.set_text(&said.1));
    items.said = said;
}

/// How far the work is, and what the menu offers to do about it.
fn said(words: &Words, status: Option<&Status>) -> (String, String) {
    let paused = status.is_some_and(|status| status.paused);
    let state = match status {
        Some(status) if paused && status.pending > 0 => words.say("folders.paused", &[]),
        Some(status) if status.pending > 0 => {
            let done = status.documents + status.failed + status.skipped;
            let all = (done + status.pending).to_string();
            let values = [("done", done.to_string()), ("all", all)];
            let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
            words.say("library.progress.reading", &values)
        }
        Some(status) => words.say_many("ask.ready", status.documents),
        None => String::new(),
    };
    (state, words.say(if paused { "folders.resume" } else { "folders.pause" }, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(documents: u64, pending: u64, paused: bool) -> Status {
        let json = serde_json::json!({
            "documents": documents, "chunks": 9, "embedded_chunks": 9, "pending": pending,
            "failed": 1, "skipped": 1, "directory": "/l", "bytes_on_disk": 1, "embedder": "e",
            "next_embedder": null, "next_embedded_chunks": 0, "model": "m", "model_installed": true, "paused": paused,
            "saves_power": false, "scans": 0, "ocr_installed": true, "reading": null,
            "problem": null, "folders": [],
        });
        serde_json::from_value(json).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_menu_says_how_far_the_work_is_and_offers_to_hold_it_or_to_go_on() {
        let words = Words::default();
        let cases = [
            (None, "", "Pause reading"),
            (Some(status(1, 0, false)), "1 document is ready.", "Pause reading"),
            (Some(status(7, 0, true)), "7 documents are ready.", "Resume reading"),
            (Some(status(7, 3, false)), "9 of 12 files read", "Pause reading"),
            (Some(status(7, 3, true)), "Paused", "Resume reading"),
        ];
        for (status, state, offer) in cases {
            assert_eq!(said(&words, status.as_ref()), (state.to_owned(), offer.to_owned()));
        }
        words.speak("zh");
        assert_eq!(said(&words, None).1, words.say("folders.pause", &[]));
    }
}
