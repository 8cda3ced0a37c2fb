//! What memory the program has while it answers, with all its real parts, in one process as the
//! window has them: `resident TIMES ID[,ID…]` asks so many questions of a library of some pages,
//! each with the next of these chat models, and says after each what is resident, what was at the
//! most, and when the first word came.
//!
//! Models are found as by the program itself (`LECTERN_MODELS`).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{fs, process::ExitCode, time::Duration};

use lectern_app::AskRequest;
use lectern_assembly::Options;
use tokio_util::sync::CancellationToken;

/// What is freed is given back a moment after the answer's end.
const MOMENT: Duration = Duration::from_millis(300);

const PLACES: [&str; 6] = ["harbour", "orchard", "railway", "glacier", "library", "quarry"];

/// Enough about each place that passages fill the prompt.
fn pages(place: &str) -> String {
    let rules = (1..30).map(|number| {
        format!(
            "Rule {number} of the {place}. Whoever enters the {place} on day {number} of the month \
             pays {} euros to the keeper of the {place}, who writes the sum and the hour into the \
             book of the {place} and gives a receipt. ",
            number * 7
        )
    });
    rules.collect::<Vec<_>>().join("\n\n")
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(ended) = lectern_assembly::run_as_worker() {
        return ended;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [times, ids] = arguments.as_slice() else {
        println!("usage: resident TIMES ID[,ID…]");
        return ExitCode::FAILURE;
    };
    let folder = tempfile::tempdir().unwrap();
    let documents = folder.path().join("documents");
    fs::create_dir(&documents).unwrap();
    for place in PLACES {
        fs::write(documents.join(format!("{place}.md")), pages(place)).unwrap();
    }
    let options = Options { library: Some(folder.path().join("library")), chat_model: None };
    let app = lectern_assembly::open(&options).unwrap();
    let cancel = CancellationToken::new();
    app.add(&[documents]).await.unwrap();
    app.work_until_idle(&cancel).await.unwrap();
    println!("{} MiB with the library alone", memory("VmRSS:"));
    let ids = ids.split(',').cycle();
    for (number, id) in ids.take(times.parse().unwrap()).enumerate() {
        app.use_model(id).unwrap();
        let place = PLACES[number % PLACES.len()];
        let question = format!("What does one pay at the {place} on day {}?", number % 28 + 1);
        let request = AskRequest { question, ..AskRequest::default() };
        let answer = app.ask(&request, |_| {}, &cancel).await.unwrap();
        tokio::time::sleep(MOMENT).await;
        println!(
            "{} MiB, at the most {}; first word after {:.2} s, {} tokens read\t{id}",
            memory("VmRSS:"),
            memory("VmHWM:"),
            answer.milliseconds.first_token.unwrap_or(f64::NAN) / 1e3,
            answer.tokens.prompt
        );
    }
    ExitCode::SUCCESS
}

/// Memory of this process by the name that Linux gives it, in MiB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}
