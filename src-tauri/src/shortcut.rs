//! The keys that bring the window from everywhere, where the system lets a program have such keys.

use std::sync::mpsc;

use lectern_app::{App, AppError, ErrorCode, Result};
use tauri::{AppHandle, Manager, Wry};
use tauri_plugin_global_shortcut::{Builder, GlobalShortcut, GlobalShortcutExt, ShortcutState};

use crate::show;

/// Whether a program may have keys of its own here. Wayland leaves them to the desktop.
pub fn is_possible() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || (is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY"))
}

/// Has the keys of the settings bring the window, as far as the system allows it.
pub fn restore(handle: &AppHandle) {
    let settings = handle.state::<App>().desktop_settings().unwrap_or_default();
    if !settings.shortcut.is_empty()
        && is_possible()
        && let Err(error) = set(handle, "", &settings.shortcut)
    {
        tracing::warn!("{error}");
    }
}

/// Has these keys bring the window instead of those `before`; empty ones are none. Those before stay
/// where these cannot be had.
pub fn set(handle: &AppHandle, before: &str, keys: &str) -> Result<()> {
    if keys == before {
        return Ok(());
    }
    if !keys.is_empty() {
        load(handle).map_err(|reason| refused(keys, &reason))?;
        handle
            .global_shortcut()
            .on_shortcut(keys, |handle, _, event| {
                if event.state == ShortcutState::Pressed {
                    show(handle);
                }
            })
            .map_err(|error| refused(keys, &error.to_string()))?;
    }
    // They may never have been had.
    if !before.is_empty()
        && let Some(shortcuts) = handle.try_state::<GlobalShortcut<Wry>>()
        && let Err(error) = shortcuts.unregister(before)
    {
        tracing::debug!("{before} was not held: {error}");
    }
    Ok(())
}

fn refused(keys: &str, reason: &str) -> AppError {
    AppError {
        code: ErrorCode::InvalidInput,
        message: format!("the keys {keys} cannot be had: {reason}"),
        hint: "Another program may have them. Choose others.".into(),
    }
}

/// Loads what hears keys, which costs a little all the time, when it is first needed.
fn load(handle: &AppHandle) -> std::result::Result<(), String> {
    if handle.try_state::<GlobalShortcut<Wry>>().is_some() {
        return Ok(());
    }
    let (done, loaded) = mpsc::channel();
    let main = handle.clone();
    // Some systems tell of keys only on the thread that runs the window.
    let load = move || {
        let _ = done.send(main.plugin(Builder::new().build()));
    };
    handle.run_on_main_thread(load).map_err(|error| error.to_string())?;
    match loaded.recv() {
        Ok(loaded) => loaded.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
