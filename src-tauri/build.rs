//! Declares the commands of the window, so that a page may call only those its
//! capability names.
#![allow(missing_docs)]

use std::{env, fs, path::Path};

const COMMANDS: &[&str] = &[
    "status",
    "models",
    "get_model",
    "pause_download",
    "resume_download",
    "cancel_download",
    "import_model",
    "use_model",
    "removal_preview",
    "remove_model",
    "set_model_settings",
    "files",
    "add_paths",
    "remove_path",
    "retry",
    "unlock",
    "history",
    "sources_now",
    "linked",
    "desktop",
    "set_autostart",
    "call_off",
    "hurry",
    "set_rules",
    "tag",
    "tags",
    "set_folder_paused",
    "pause",
    "resume",
    "search",
    "ask",
    "stop",
    "conversations",
    "conversation",
    "delete_conversation",
    "find_conversations",
    "rate",
    "export_rated",
    "desktop_settings",
    "set_desktop_settings",
    "close_window",
    "quit",
    "set_language",
    "source",
    "places",
    "document_bytes",
    "open_path",
    "samples",
    "delete_everything",
    "save_text",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What people install is made small (profile `dist`): one copy of equal functions, and short lists of addresses
    // to adjust, which need glibc 2.36. Rust links with lld there.
    let target = (env::var("CARGO_CFG_TARGET_OS")?, env::var("CARGO_CFG_TARGET_ARCH")?);
    if target == ("linux".into(), "x86_64".into()) && env::var("OPT_LEVEL")? == "s" {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all,-z,pack-relative-relocs");
    }
    // Tauri refuses to compile without a page; a plain `cargo build` has none.
    let page = Path::new("../ui/dist/index.html");
    if !page.exists() {
        fs::create_dir_all("../ui/dist")?;
        fs::write(
            page,
            "<!doctype html><title>Lectern</title><p>Build the page with <code>make ui</code>.",
        )?;
    }
    let attributes = tauri_build::Attributes::new()
        .app_manifest(tauri_build::AppManifest::new().commands(COMMANDS));
    Ok(tauri_build::try_build(attributes)?)
}
