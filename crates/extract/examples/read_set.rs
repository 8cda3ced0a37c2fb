//! Reads every document below a folder in worker processes, as the application does, and prints
//! what came of each as a line of JSON; the texts go to a second folder.
//!
//! `cargo run --example read_set -- FOLDER OUT`: for measuring on a collection that nobody should
//! have to trust. Every line has the seconds and, on Linux, the seconds that a processor worked and
//! the most memory that the worker has had until then.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use lectern_extract::detect;
use lectern_extract::worker::{Limits, Reader, run_worker};

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            files(&path, found)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// How long a processor has worked for the worker, in seconds; 0 where that is not known.
fn processor_seconds(reader: &Reader) -> f64 {
    /// What the kernel counts in, on every common architecture.
    const TICKS: f64 = 100.0;
    let stat = reader.process_id().map(|id| format!("/proc/{id}/stat"));
    let stat = stat.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    // The name of the program, which may hold anything, ends at the last bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The most memory that the worker had, in MB; 0 where that is not known.
fn peak_megabytes(reader: &Reader) -> u64 {
    let status = reader.process_id().map(|id| format!("/proc/{id}/status"));
    let status = status.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1000
}

async fn measure(folder: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut found = Vec::new();
    files(folder, &mut found)?;
    std::fs::create_dir_all(out)?;
    let program = std::env::current_exe()?;
    for path in found {
        let Ok(kind) = detect(&path) else { continue };
        // A worker of its own for each, so that the memory is that of this file.
        let mut reader =
            Reader::new(program.clone(), vec!["read-worker".into()], Limits::default());
        let began = Instant::now();
        let answer = reader.read(&path, kind, Vec::new()).await;
        let seconds = began.elapsed().as_secs_f64();
        let name = path.strip_prefix(folder)?.to_string_lossy().replace(['/', '\\'], "__");
        let mut line = serde_json::json!({
            "file": path, "seconds": (seconds * 1000.0).round() / 1000.0,
            "processor_seconds": processor_seconds(&reader), "megabytes": peak_megabytes(&reader),
        });
        match answer {
            Ok(document) => {
                line["pages"] = document.extraction.pages.len().into();
                line["chunks"] = document.chunks.len().into();
                line["warnings"] = document.extraction.warnings.into();
                std::fs::write(out.join(name + ".txt"), document.extraction.text)?;
            }
            Err(failure) => line["failed"] = failure.reason.as_str().into(),
        }
        println!("{line}");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if arguments.first().is_some_and(|first| first.as_os_str() == "read-worker") {
        return run_worker(None);
    }
    let [folder, out] = arguments.as_slice() else {
        println!("usage: read_set FOLDER OUT");
        return ExitCode::from(2);
    };
    let measured = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Box::<dyn Error>::from)
        .and_then(|runtime| runtime.block_on(measure(folder, out)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
