//! `lectern`: the headless face of the application that the window shows.

mod arguments;
mod batch;
mod models;
mod output;

use std::{
    path::{Path, PathBuf},
    process::{Command as Process, ExitCode, Stdio},
    time::{Duration, Instant},
};

use arguments::{Arguments, Command, Step};
use clap::Parser;
use lectern_app::{
    App, AppError, AppEvent, AskEvent, AskRequest, ErrorCode, Result, SearchPlan, SearchRequest,
};
use lectern_assembly::Options;
use lectern_eval::Report;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    if let Some(ended) = lectern_assembly::run_as_worker() {
        return ended;
    }
    let arguments = Arguments::parse();
    // What mistral.rs warns of is not for the person who asked a question.
    let level =
        if arguments.quiet || arguments.json { "error" } else { "warn,mistralrs_core=error" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LECTERN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let as_json = arguments.json;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(arguments));
    // A thread that still computes must not hold the program up.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, as_json);
            ExitCode::FAILURE
        }
    }
}

/// How long work that was cancelled may take to end by itself.
const CLEAN_END: Duration = Duration::from_secs(10);

/// How often is looked whether a process that was started has begun to work.
const START_POLL: Duration = Duration::from_millis(10);

/// A token that Ctrl-C cancels.
fn cancelled_by_ctrl_c() -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            token.cancel();
        }
        // Who asks twice does not want to wait for a clean end.
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    cancel
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { library, model, json, quiet, command } = arguments;
    let app = lectern_assembly::open(&Options { library, chat_model: model })?;
    let cancel = cancelled_by_ctrl_c();
    let done = tokio::select! {
        done = execute(&app, command, json, quiet, &cancel) => done?,
        // Long work looks at the token itself and ends cleanly; the rest is dropped.
        () = async { cancel.cancelled().await; tokio::time::sleep(CLEAN_END).await } => ExitCode::FAILURE,
    };
    if cancel.is_cancelled() {
        return Err(AppError::new(
            ErrorCode::Cancelled,
            "it was cancelled",
            "What was done is kept.",
        ));
    }
    Ok(done)
}

async fn execute(
    app: &App,
    command: Command,
    json: bool,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    match command {
        Command::Add { paths, wait } => add(app, &paths, wait, json, quiet, cancel).await?,
        Command::Remove { paths } => {
            app.remove(&paths)?;
            go_on_in_background(app).await?;
            if json {
                output::json(&serde_json::json!({ "removed": paths.len() }));
            }
        }
        Command::Sync { watch } => sync(app, watch, json, quiet, cancel).await?,
        Command::Status { files } => {
            let status = app.status(files)?;
            if json { output::json(&status) } else { output::status(&status) }
        }
        Command::Search { query, k, mode, filter, explain, why } => {
            let request = SearchRequest { query, k, mode: mode.into(), filter: filter.into() };
            let reply = app.search(&request).await?;
            let why = match &why {
                Some(path) => Some(app.explain(&request, path).await?),
                None => None,
            };
            if json {
                output::json(&output::Searched { reply: &reply, why });
            } else {
                output::search(&reply, explain);
                why.iter().for_each(output::explanation);
            }
        }
        Command::Ask { question, filter, conversation, thorough, no_answer, how } => {
            let request = how.applied_to(AskRequest {
                question,
                filter: filter.into(),
                conversation,
                thorough,
                no_answer,
                ..AskRequest::default()
            });
            ask(app, &request, json, cancel).await?;
        }
        Command::Batch { file, what, k, mode } => {
            batch::run(app, &file, what, k, mode.into(), cancel).await?;
        }
        Command::Text { path } => {
            let text = app.text(&path).await?;
            if json { output::json(&text) } else { output::document(&text) }
        }
        Command::Eval { set, answers: true, every, first, min_evidence, .. } => {
            app.add(&[lectern_eval::corpus(&set)?]).await?;
            work(app, false, false, quiet, cancel).await?;
            let sample = lectern_eval::Sample { first, every };
            let each = |outcome: &_| {
                if !quiet {
                    output::answered(outcome);
                }
            };
            let report =
                lectern_eval::evaluate_answers(app, &set, sample, min_evidence, cancel, each)
                    .await?;
            if json { output::json(&report) } else { output::answers(&report) }
        }
        Command::Eval { set, mode, save, baseline, across, without, .. } => {
            let baseline = baseline.as_deref().map(Report::read).transpose()?;
            app.add(&[lectern_eval::corpus(&set)?]).await?;
            work(app, false, false, quiet, cancel).await?;
            let has = |step| !without.contains(&step);
            let plan = SearchPlan {
                weighs_legs: has(Step::Weighing),
                reranks: has(Step::Reranking),
                joins_neighbours: has(Step::Joining),
                varies: has(Step::Variety),
            };
            let settings = lectern_eval::Settings { mode: mode.into(), plan, across };
            let report = lectern_eval::evaluate(app, &set, settings).await?;
            if let Some(path) = save {
                report.save(&path)?;
            }
            let compared = baseline.map(|baseline| report.compared(&baseline));
            if json {
                output::json(&output::Evaluated { report: &report, compared });
            } else {
                output::evaluation(&report);
                compared.iter().for_each(output::comparison);
            }
        }
        Command::Models { command } => {
            let command = command.unwrap_or(arguments::ModelsCommand::List);
            models::run(app, command, json, quiet, cancel).await?;
        }
        Command::Conversations { command } => {
            use arguments::ConversationsCommand as Wanted;
            match command.unwrap_or(Wanted::List { words: Vec::new() }) {
                Wanted::List { words } => {
                    let found = app.find_conversations(&words.join(" "))?;
                    if json { output::json(&found) } else { output::conversations(&found) }
                }
                Wanted::Show { id } => {
                    let conversation = app.conversation(id)?;
                    if json {
                        output::json(&conversation);
                    } else {
                        output::conversation(&conversation);
                    }
                }
                Wanted::Rate { answer, rating } => {
                    app.rate(answer, rating.into())?;
                    if json {
                        output::json(&serde_json::json!({ "rated": answer }));
                    }
                }
                Wanted::Export { folder } => {
                    let report = app.export_rated(&folder)?;
                    if json { output::json(&report) } else { output::set_report(&report) }
                }
            }
        }
        Command::Tag { paths, .. } if paths.is_empty() => {
            let tags = app.tags()?;
            if json {
                output::json(&serde_json::json!({ "tags": tags }))
            } else {
                output::tags(&tags)
            }
        }
        Command::Tag { paths, add, remove } => {
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            let tags = app.tag(&paths, &add, &remove)?;
            if json {
                output::json(&serde_json::json!({ "tags": tags }));
            } else {
                output::text(&tags.iter().map(|tag| format!("{tag}\n")).collect::<String>());
            }
        }
        Command::Rules { folder, rules } => {
            if let Some(rules) = rules.applied_to(app.rules(&folder)?) {
                app.set_rules(&folder, &rules).await?;
                go_on_in_background(app).await?;
            }
            let rules = app.rules(&folder)?;
            if json { output::json(&rules) } else { output::rules(&rules) }
        }
        Command::Unlock { path } => {
            app.unlock(&path, &first_line()?).await?;
            go_on_in_background(app).await?;
            if json {
                output::json(&serde_json::json!({ "unlocked": path }));
            }
        }
        Command::History { limit } => {
            let history = app.history(None, limit)?;
            if json { output::json(&history) } else { output::history(&history) }
        }
        Command::Pause { folder } => pause(app, folder, true)?,
        Command::Resume { folder } => {
            pause(app, folder, false)?;
            go_on_in_background(app).await?;
        }
        Command::Cancel { path } => {
            let count = app.call_off(path.as_deref())?;
            if json {
                output::json(&serde_json::json!({ "cancelled": count }));
            }
        }
        Command::Retry { path } => {
            let count = app.retry(path.as_deref())?;
            go_on_in_background(app).await?;
            if json {
                output::json(&serde_json::json!({ "queued": count }));
            }
        }
        Command::Doctor { forgotten } => {
            let checks = match forgotten {
                Some(path) => app.forgotten(&path).await?,
                None => app.doctor().await,
            };
            if json {
                output::json(&checks)
            } else {
                output::doctor(&checks)
            }
            if checks.iter().any(|check| !check.ok) {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line of the standard input.
fn first_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| {
        let message = format!("the password cannot be read: {error}");
        AppError::new(ErrorCode::InvalidInput, message, "Write it to the standard input.")
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn pause(app: &App, folder: Option<PathBuf>, paused: bool) -> Result<()> {
    match folder {
        Some(folder) => app.set_folder_paused(&folder, paused),
        None => app.set_paused(paused),
    }
}

async fn add(
    app: &App,
    paths: &[PathBuf],
    wait: bool,
    json: bool,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let start = Instant::now();
    let mut report = app.add(paths).await?;
    if wait {
        work(app, false, false, quiet, cancel).await?;
        report = lectern_app::AddReport { added: report.added, ..app.report(paths, start)? };
    } else {
        go_on_in_background(app).await?;
    }
    if json {
        output::json(&report);
    } else {
        output::report(&report);
        if !wait {
            output::note(
                "Reading goes on in the background; `lectern status` shows how far it is.",
            );
        }
    }
    Ok(())
}

/// Starts a process of its own that does the work that is left and ends, unless
/// another process is at it already. When this returns, others see that it works.
async fn go_on_in_background(app: &App) -> Result<()> {
    if app.is_at_work()? {
        return Ok(());
    }
    let failed = |error: std::io::Error| AppError {
        code: ErrorCode::Internal,
        message: format!("reading cannot go on in the background: {error}"),
        hint: "Run `lectern sync`.".into(),
    };
    let mut process = Process::new(std::env::current_exe().map_err(failed)?);
    process.arg("--library").arg(app.directory()).args(["--quiet", "sync"]);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut process, 0);
    let mut process = process.spawn().map_err(failed)?;
    // A lock of another process cannot be awaited.
    while app.is_at_rest()? && process.try_wait().map_err(failed)?.is_none() {
        tokio::time::sleep(START_POLL).await;
    }
    Ok(())
}

async fn sync(
    app: &App,
    watch: bool,
    json: bool,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let start = Instant::now();
    work(app, watch, json, quiet, cancel).await?;
    let report = app.report(&[], start)?;
    if json {
        output::json(&serde_json::json!({ "type": "done", "report": report }));
    } else {
        output::report(&report);
    }
    Ok(())
}

/// Works until nothing is left, or, with `watch`, until cancelled, and shows the
/// progress: as events for programs, as a bar for people.
async fn work(
    app: &App,
    watch: bool,
    json: bool,
    quiet: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let mut events = app.events();
    app.report_changes();
    let work =
        async { if watch { app.follow(cancel).await } else { app.work_until_idle(cancel).await } };
    tokio::pin!(work);
    let bar = output::progress(quiet || json);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            event = events.recv() => {
                let Ok(event) = event else { continue };
                if let AppEvent::Library { status } = &event {
                    output::show_progress(&bar, status);
                }
                if json {
                    output::json(&event);
                }
            }
        }
    };
    bar.finish_and_clear();
    app.shutdown();
    result
}

async fn ask(
    app: &App,
    request: &AskRequest,
    json: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let answer = app
        .ask(
            request,
            |event| match event {
                AskEvent::Text { delta } if !json => output::text(&delta),
                AskEvent::Reading { coverage } if !json => output::reading(coverage),
                _ => {}
            },
            cancel,
        )
        .await?;
    if json {
        output::json(&answer);
    } else if request.no_answer {
        output::passages(&answer);
    } else {
        output::sources(&answer);
    }
    Ok(())
}
