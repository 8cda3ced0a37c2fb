//! Starting with the person's session.

use std::io;

use tauri::AppHandle;

/// What a start with the session is told from one by the person by.
pub const ARGUMENT: &str = "--with-session";

/// Whether the program starts with the session; `None` where that is not known.
pub fn is_on(handle: &AppHandle) -> Option<bool> {
    system::is_on(handle)
}

/// Has the program start with the session, or no longer.
pub fn set(handle: &AppHandle, on: bool) -> io::Result<()> {
    system::set(handle, on)
}

/// An agent of the session on macOS, and an entry of the registry on Windows.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use tauri::AppHandle;
    use tauri_plugin_autostart::ManagerExt;

    pub(super) fn is_on(handle: &AppHandle) -> Option<bool> {
        handle.autolaunch().is_enabled().ok()
    }

    pub(super) fn set(handle: &AppHandle, on: bool) -> io::Result<()> {
        let launch = handle.autolaunch();
        if on { launch.enable() } else { launch.disable() }.map_err(io::Error::other)
    }
}

/// As the desktops of Linux do it: a file in the person's folder `autostart`, by the Desktop Application
/// Autostart Specification.
#[cfg(target_os = "linux")]
mod system {
    use std::{
        io,
        path::{Path, PathBuf},
    };

    use tauri::{AppHandle, Manager};

    use super::ARGUMENT;

    /// The file, where the desktop reads such files.
    fn file(handle: &AppHandle) -> Option<PathBuf> {
        Some(handle.path().config_dir().ok()?.join("autostart/app.lectern.desktop"))
    }

    pub(super) fn is_on(handle: &AppHandle) -> Option<bool> {
        Some(file(handle)?.exists())
    }

    pub(super) fn set(handle: &AppHandle, on: bool) -> io::Result<()> {
        let file = file(handle).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if on {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            return std::fs::write(file, entry(&std::env::current_exe()?));
        }
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Of a program that is gone, `TryExec` has nobody be told.
    fn entry(program: &Path) -> String {
        let program = program.to_string_lossy();
        let (plain, quoted) = (program.replace('\\', "\\\\"), quoted(&program));
        format!(
            "[Desktop Entry]\nType=Application\nName=Lectern\nTryExec={plain}\nExec={quoted} {ARGUMENT}\nIcon=lectern-desktop\n"
        )
    }

    /// A word of `Exec`, by the Desktop Entry Specification: quoted, which is then escaped once more as
    /// every value is, and with `%` doubled, which else begins a field code.
    fn quoted(word: &str) -> String {
        let mut quoted = String::from('"');
        for character in word.chars() {
            match character {
                '"' | '`' | '$' => quoted.extend(["\\\\", character.encode_utf8(&mut [0; 4])]),
                '\\' => quoted.push_str("\\\\\\\\"),
                '%' => quoted.push_str("%%"),
                _ => quoted.push(character),
            }
        }
        quoted.push('"');
        quoted
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn programs_are_quoted_as_desktops_read_them() {
            for (program, expected) in [
                ("/usr/bin/lectern-desktop", r#""/usr/bin/lectern-desktop""#),
                ("/my apps/50%/lectern", r#""/my apps/50%%/lectern""#),
                (r#"/a"b$c`d\e"#, r#""/a\\"b\\$c\\`d\\\\e""#),
            ] {
                let entry = entry(Path::new(program));
                let line = entry.lines().find(|line| line.starts_with("Exec="));
                assert_eq!(line, Some(format!("Exec={expected} {ARGUMENT}").as_str()));
            }
        }
    }
}
