//! The keys that bring the window from everywhere, where the system lets a program have such keys.

use lectern_app::{App, AppError, ErrorCode, Result};
use tauri::{AppHandle, Manager};

pub use system::Held;

/// Whether a program may have keys of its own here. Wayland leaves them to the desktop.
pub fn is_possible() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || (is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY"))
}

/// Has the keys of the settings bring the window, as far as the system allows it.
pub fn restore(handle: &AppHandle) {
    let settings = handle.state::<App>().desktop_settings().unwrap_or_default();
    if is_possible()
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
    system::set(handle, before, keys).map_err(|reason| AppError {
        code: ErrorCode::InvalidInput,
        message: format!("the keys {keys} cannot be had: {reason}"),
        hint: "Choose others.".into(),
    })
}

#[cfg(not(target_os = "linux"))]
mod system {
    use tauri::AppHandle;
    use tauri_plugin_global_shortcut::{GlobalShortcutExt, ShortcutState};

    use crate::show;

    /// The plugin holds the keys.
    #[derive(Default)]
    pub struct Held;

    pub(super) fn set(handle: &AppHandle, before: &str, keys: &str) -> Result<(), String> {
        let shortcuts = handle.global_shortcut();
        if !keys.is_empty() {
            shortcuts
                .on_shortcut(keys, |handle, _, event| {
                    if event.state == ShortcutState::Pressed {
                        show(handle);
                    }
                })
                .map_err(|error| error.to_string())?;
        }
        // They may never have been had.
        if !before.is_empty()
            && let Err(error) = shortcuts.unregister(before)
        {
            tracing::debug!("{before} was not held: {error}");
        }
        Ok(())
    }
}

/// Keys of X11. The libraries for all systems ask for them again and again; here a thread waits.
#[cfg(target_os = "linux")]
mod system {
    use std::sync::{Arc, Mutex, PoisonError};

    use tauri::{AppHandle, Manager};
    use x11rb::{
        connection::Connection,
        protocol::{
            Event,
            xproto::{
                ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, GrabMode, ModMask,
                WindowClass,
            },
        },
        rust_connection::RustConnection,
    };

    use crate::show;

    /// Modifiers that do not matter: the locks of capitals and of numbers.
    const LOCKS: [u16; 4] = [0, 1 << 1, 1 << 4, 1 << 1 | 1 << 4];

    /// The keys that are held, until this is dropped or holds others.
    #[derive(Default)]
    pub struct Held(Mutex<Option<Keys>>);

    pub(super) fn set(handle: &AppHandle, _: &str, keys: &str) -> Result<(), String> {
        let held = match keys {
            "" => None,
            _ => {
                let window = handle.clone();
                Some(Keys::hold(keys, move || show(&window))?)
            }
        };
        *handle.state::<Held>().0.lock().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    struct Keys {
        display: Arc<RustConnection>,
        root: u32,
        /// A window that nobody sees, through which the thread is told to end.
        own: u32,
        modifiers: u16,
        code: u8,
    }

    impl Keys {
        /// Takes keys for this program; says why it cannot have them.
        fn hold(keys: &str, pressed: impl Fn() + Send + 'static) -> Result<Self, String> {
            let (modifiers, symbol) = parse(keys).ok_or("they are not known here")?;
            let (display, screen) = RustConnection::connect(None).map_err(said)?;
            let setup = display.setup();
            let root = setup.roots.get(screen).ok_or("there is no screen")?.root;
            let first = setup.min_keycode;
            let mapping = display
                .get_keyboard_mapping(first, setup.max_keycode - first + 1)
                .map_err(said)?
                .reply()
                .map_err(said)?;
            let code = mapping
                .keysyms
                .chunks(usize::from(mapping.keysyms_per_keycode).max(1))
                .position(|symbols| symbols.contains(&symbol))
                .and_then(|index| first.checked_add(u8::try_from(index).ok()?))
                .ok_or("the keyboard does not have them")?;
            for lock in LOCKS {
                let modifiers = ModMask::from(modifiers | lock);
                let (pointer, keyboard) = (GrabMode::ASYNC, GrabMode::ASYNC);
                let grab = display.grab_key(false, root, modifiers, code, pointer, keyboard);
                grab.map_err(said)?.check().map_err(|_| "another program has them")?;
            }
            let own = display.generate_id().map_err(said)?;
            let (class, nothing) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
            let made = display.create_window(0, own, root, 0, 0, 1, 1, 0, class, 0, &nothing);
            made.map_err(said)?.check().map_err(said)?;
            let display = Arc::new(display);
            let waiting = display.clone();
            std::thread::spawn(move || {
                loop {
                    match waiting.wait_for_event() {
                        Ok(Event::KeyPress(_)) => pressed(),
                        Ok(Event::ClientMessage(_)) | Err(_) => break,
                        Ok(_) => {}
                    }
                }
            });
            Ok(Self { display, root, own, modifiers, code })
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            // Where the display is gone, so are the keys.
            for lock in LOCKS {
                let modifiers = ModMask::from(self.modifiers | lock);
                let _ = self.display.ungrab_key(self.code, self.root, modifiers);
            }
            let end = ClientMessageEvent::new(32, self.own, self.own, [0; 5]);
            let _ = self.display.send_event(false, self.own, EventMask::NO_EVENT, end);
            // An answer to this comes when all that was done.
            let _ = self.display.get_input_focus().map(|focus| focus.reply());
        }
    }

    fn said(error: impl std::fmt::Display) -> String {
        error.to_string()
    }

    /// The modifiers of `Control+Alt+KeyL`, and what its key means to X11.
    fn parse(keys: &str) -> Option<(u16, u32)> {
        let (held, key) = keys.rsplit_once('+').unwrap_or(("", keys));
        let mut modifiers = 0;
        for name in held.split('+').filter(|name| !name.is_empty()) {
            modifiers |= u16::from(match name {
                "Shift" => ModMask::SHIFT,
                "Control" => ModMask::CONTROL,
                "Alt" => ModMask::M1,
                "Super" => ModMask::M4,
                _ => return None,
            });
        }
        // Letters, digits and the space are numbered as ASCII is, function keys one after the other.
        let symbol =
            match (key.strip_prefix("Key"), key.strip_prefix("Digit"), key.strip_prefix('F')) {
                (Some(letter), ..) => letter.parse::<char>().ok()?.to_ascii_lowercase().into(),
                (_, Some(digit), _) => digit.parse::<char>().ok()?.into(),
                (.., Some(number)) => {
                    0xffbd + number.parse::<u32>().ok().filter(|n| (1..=24).contains(n))?
                }
                _ if key == "Space" => u32::from(' '),
                _ => return None,
            };
        Some((modifiers, symbol))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn keys_are_what_x11_calls_them() {
            let control_alt = u16::from(ModMask::CONTROL | ModMask::M1);
            for (keys, expected) in [
                ("Control+Alt+KeyL", Some((control_alt, 0x6c))),
                ("Super+Digit1", Some((u16::from(ModMask::M4), 0x31))),
                ("Alt+Shift+Space", Some((u16::from(ModMask::M1 | ModMask::SHIFT), 0x20))),
                ("F9", Some((0, 0xffc6))),
                ("F99", None),
                ("Hyper+KeyL", None),
                ("Control+Convert", None),
                ("", None),
            ] {
                assert_eq!(parse(keys), expected, "{keys}");
            }
        }
    }
}
