//! The menu bar, where the system has one for all programs: on macOS.

use tauri::{
    AppHandle, Emitter, Manager, Wry,
    menu::{Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu},
};

use crate::words::Words;

/// The event that has the page do what was chosen.
const MENU_EVENT: &str = "menu";

/// What the page does when it is chosen: its name there, the message that it bears, and its keys.
type Item = (&'static str, &'static str, Option<&'static str>);

const SETTINGS: Item = ("settings", "nav.settings", Some("Cmd+,"));
const FILE: [Item; 3] = [
    ("new", "nav.new", Some("Cmd+N")),
    ("add_folders", "folders.add", Some("Cmd+O")),
    ("add_files", "folders.addFiles", Some("Cmd+Shift+O")),
];
const VIEW: [Item; 4] = [
    ("search", "nav.search", Some("Cmd+Shift+F")),
    ("library", "nav.library", Some("Cmd+L")),
    ("models", "nav.models", None),
    ("palette", "keys.palette", Some("Cmd+K")),
];

/// Shows the menu in the language that is spoken now, where the system has one.
pub fn show(handle: &AppHandle) {
    if cfg!(target_os = "macos")
        && let Err(error) = build(handle).and_then(|menu| handle.set_menu(menu))
    {
        tracing::warn!("there is no menu: {error}");
    }
}

/// Has the page do what was chosen; it is not told of what it did not name.
pub fn chosen(handle: &AppHandle, event: &MenuEvent) {
    let id = event.id().as_ref();
    let is_ours = |(ours, ..): &Item| *ours == id;
    if std::iter::once(&SETTINGS).chain(&FILE).chain(&VIEW).any(is_ours)
        && let Err(error) = handle.emit(MENU_EVENT, id)
    {
        tracing::debug!("the page did not hear: {error}");
    }
}

fn build(handle: &AppHandle) -> tauri::Result<Menu<Wry>> {
    use PredefinedMenuItem as System;
    let words = handle.state::<Words>();
    let submenu = |key: &str| Submenu::new(handle, words.say(key, &[]), true);
    let add = |menu: &Submenu<Wry>, (id, key, keys): Item| {
        menu.append(&MenuItem::with_id(handle, id, words.say(key, &[]), true, keys)?)
    };

    let app = submenu("app.name")?;
    app.append(&System::about(handle, None, None)?)?;
    app.append(&System::separator(handle)?)?;
    add(&app, SETTINGS)?;
    app.append(&System::separator(handle)?)?;
    app.append(&System::services(handle, None)?)?;
    app.append(&System::hide(handle, None)?)?;
    app.append(&System::hide_others(handle, None)?)?;
    app.append(&System::show_all(handle, None)?)?;
    app.append(&System::separator(handle)?)?;
    app.append(&System::quit(handle, None)?)?;

    let file = submenu("menu.file")?;
    for item in FILE {
        add(&file, item)?;
    }
    file.append(&System::separator(handle)?)?;
    file.append(&System::close_window(handle, None)?)?;

    // Without it the keys that copy and paste do nothing in a window of macOS.
    let edit = submenu("menu.edit")?;
    edit.append(&System::undo(handle, None)?)?;
    edit.append(&System::redo(handle, None)?)?;
    edit.append(&System::separator(handle)?)?;
    edit.append(&System::cut(handle, None)?)?;
    edit.append(&System::copy(handle, None)?)?;
    edit.append(&System::paste(handle, None)?)?;
    edit.append(&System::select_all(handle, None)?)?;

    let view = submenu("menu.view")?;
    for item in VIEW {
        add(&view, item)?;
    }
    view.append(&System::separator(handle)?)?;
    view.append(&System::fullscreen(handle, None)?)?;

    let window = submenu("settings.window")?;
    window.append(&System::minimize(handle, None)?)?;
    window.append(&System::maximize(handle, None)?)?;

    Menu::with_items(handle, &[&app, &file, &edit, &view, &window])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_words_and_is_known_to_the_page() {
        let words = Words::default();
        let page = include_str!("../../ui/src/lib/stores/commands.ts");
        for (id, key, _) in [SETTINGS].into_iter().chain(FILE).chain(VIEW) {
            assert_ne!(words.say(key, &[]), key);
            assert!(page.contains(&format!("  {id}:")), "the page does not know {id}");
        }
        for key in ["app.name", "menu.file", "menu.edit", "menu.view", "settings.window"] {
            assert_ne!(words.say(key, &[]), key);
        }
    }
}
