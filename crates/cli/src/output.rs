//! What is printed: the answer on standard output, everything else on standard
//! error. This is the one module that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use lectern_app::{
    AddReport, Answer, AnswerPassage, AppError, Check, Conversation, ConversationSummary, Coverage,
    DocumentText, Download, DownloadState, EmbedderChange, Explanation, FileState, Filter, Fit,
    FolderRules, HistoryEntry, HistoryKind, Hit, ModelEntry, ModelRole, ModelSettings, Models,
    OtherProgram, Place, Ranking, Rating, RecommendationReason, RemovedModel, SearchReply,
    SetReport, Status, SupportLevel, TagCount, UnreadFile, Verdict, WhyNot, place_in_words,
};
use lectern_eval::{AnswerOutcome, AnswerReport, Comparison, Report, Worse};
use serde::Serialize;

/// Prints a value as one line of JSON. A reader that has gone away is no fault.
pub fn json(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        text(&line);
        text("\n");
    }
}

/// Prints text as it is, at once.
pub fn text(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints what went wrong.
pub fn error(error: &AppError, as_json: bool) {
    if as_json {
        eprintln!("{}", serde_json::json!({ "error": error }));
    } else {
        eprintln!("error: {}", error.message);
        if !error.hint.is_empty() {
            eprintln!("hint:  {}", error.hint);
        }
    }
}

/// How far a question to every document is, as progress.
pub fn reading(coverage: Coverage) {
    if io::stderr().is_terminal() {
        eprint!("\rreading document {} of {}  ", coverage.read + 1, coverage.documents);
    }
}

/// Prints a remark.
pub fn note(note: &str) {
    eprintln!("{note}");
}

/// The progress of reading and embedding; silent where nobody watches.
pub fn progress(quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows a state of the library on a progress bar.
pub fn show_progress(bar: &ProgressBar, status: &Status) {
    if status.pending > 0 {
        bar.set_length(status.documents + status.pending + status.failed + status.skipped);
        bar.set_position(status.documents + status.failed + status.skipped);
        let name = status.reading.as_deref().unwrap_or_default();
        bar.set_message(format!("reading {}", name.rsplit('/').next().unwrap_or(name)));
    } else if status.embedded_chunks == status.chunks && status.scans > 0 && status.ocr_installed {
        let name = status.reading.as_deref().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or(name);
        bar.set_message(format!("recognising {name}, {} pictures of pages to go", status.scans));
    } else {
        bar.set_length(status.chunks);
        bar.set_position(status.embedded_chunks);
        bar.set_message("passages searchable by meaning");
    }
}

/// What `add` and `sync` did.
pub fn report(report: &AddReport) {
    println!(
        "{} ready ({} passages), {} new, {} skipped, {} failed in {:.1} s",
        report.ready, report.chunks, report.added, report.skipped, report.failed, report.seconds
    );
}

/// The state of the library.
pub fn status(status: &Status) {
    println!(
        "documents  {} ready, {} waiting, {} skipped, {} failed",
        status.documents, status.pending, status.skipped, status.failed
    );
    println!(
        "passages   {} by words, {} of them by meaning",
        status.chunks, status.embedded_chunks
    );
    if status.scans > 0 {
        let missing = if status.ocr_installed { "" } else { " (the model is not installed)" };
        println!("pictures   {} pages wait for OCR{missing}", status.scans);
    }
    println!("on disk    {:.1} MB", status.bytes_on_disk as f64 / 1e6);
    println!("embedder   {}", status.embedder);
    if let Some(next) = &status.next_embedder {
        let (done, all) = (status.next_embedded_chunks, status.chunks);
        println!("           {next} takes its place; it has read {done} of {all} passages");
    }
    let missing = if status.model_installed { "" } else { " (not installed)" };
    println!("model      {}{missing}", status.model);
    if status.paused {
        println!("paused");
    }
    if status.saves_power {
        println!("on battery: vectors and OCR wait until the computer is plugged in");
    }
    for folder in &status.folders {
        let missing = if folder.missing { " (away at the moment)" } else { "" };
        let paused = if folder.paused { " (paused)" } else { "" };
        println!("folder     {}{missing}{paused}", folder.path);
        if let Some(polled) = &folder.polled {
            println!("           {polled}");
        }
    }
    for file in status.files.iter().flatten() {
        let state = match file.state {
            FileState::Pending => "pending",
            FileState::Reading => "reading",
            FileState::Ready => "ready",
            FileState::Skipped => "skipped",
            FileState::Failed => "failed",
        };
        let reason = file.reason.as_ref().map_or(String::new(), |reason| format!(" — {reason}"));
        let away = if file.away { " (away)" } else { "" };
        println!("{state:8} {}{away}{reason}", file.path);
    }
}

/// What a search found, and why a file is not among it.
#[derive(Serialize)]
pub struct Searched<'a> {
    #[serde(flatten)]
    pub reply: &'a SearchReply,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Explanation>,
}

/// Passages that were found, and with `explain` where each way of searching has them.
pub fn search(reply: &SearchReply, explain: bool) {
    for (rank, hit) in reply.hits.iter().enumerate() {
        let place = place(&hit.document, (hit.page, &hit.label, &hit.place), &hit.heading);
        println!("{}. {place}", rank + 1);
        if explain {
            let (words, meaning) = (ranked(hit.lexical, "BM25"), ranked(hit.semantic, "cosine"));
            let reranked = hit.reranked.unwrap_or_default();
            println!(
                "   score {:.3}, {reranked:.3} of it by reranking; by words: {words}; by meaning: {meaning}",
                hit.score
            );
        }
        println!("   {}\n", excerpt(hit));
    }
    println!("{} passages in {:.0} ms", reply.hits.len(), reply.milliseconds);
}

fn ranked(ranking: Option<Ranking>, measure: &str) -> String {
    ranking.map_or("not among the candidates".to_owned(), |Ranking { rank, score }| {
        format!("no. {rank} ({measure} {score:.3})")
    })
}

/// Why a file is not among the hits.
pub fn explanation(explanation: &Explanation) {
    let Explanation { document, reason, detail, fused, lexical, semantic, depth, .. } = explanation;
    let why = match reason {
        WhyNot::Listed => "is among the hits",
        WhyNot::NotInLibrary => "is not in the library",
        WhyNot::NotRead => "has not been read",
        WhyNot::FilteredOut => "is left out by a filter",
        WhyNot::NotQuoted => "does not hold the quoted words",
        WhyNot::NotFound => "is not among the candidates of either way of searching",
        WhyNot::Outranked => "comes after the hits that are shown",
        WhyNot::Folded => "says the same as a hit, or has enough of them",
    };
    let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
    println!("{document} {why}{detail}");
    if matches!(reason, WhyNot::NotInLibrary | WhyNot::NotRead | WhyNot::FilteredOut) {
        return;
    }
    let within = |ranking: &Option<Ranking>, measure: &str| match ranking {
        Some(_) => ranked(*ranking, measure),
        None => format!("not among the first {depth}"),
    };
    println!("   its best passage by words: {}", within(lexical, "BM25"));
    println!("   its best passage by meaning: {}", within(semantic, "cosine"));
    println!("   both together: {}", ranked(*fused, "score"));
}

fn excerpt(hit: &Hit) -> String {
    const CHARS: usize = 300;
    let mut words = hit.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(CHARS) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

fn place(
    document: &str,
    (page, label, place): (Option<u32>, &Option<String>, &Option<Place>),
    heading: &[String],
) -> String {
    let words = place_in_words(page, label.as_deref(), place.as_ref());
    let mut place = document.to_owned();
    if !words.is_empty() {
        place.push_str(&format!(", {words}"));
    }
    if let Some(heading) = heading.last() {
        place.push_str(&format!(" — {heading}"));
    }
    place
}

fn passage_place(passage: &AnswerPassage) -> String {
    place(&passage.document, (passage.page, &passage.label, &passage.place), &passage.heading)
}

/// What follows an answer that was streamed: its sources and its doubts.
pub fn sources(answer: &Answer) {
    println!("\n");
    if let Some(Coverage { documents, read, unreadable }) = answer.coverage {
        let missing = match unreadable {
            0 => String::new(),
            count => format!(", {count} unreadable"),
        };
        println!("read {read} of {documents} documents{missing}");
    } else if answer.wants_everything {
        println!("only the passages that fit best were read; --thorough reads every document");
    }
    for citation in &answer.citations {
        println!(
            "[{}] {}",
            citation.n,
            place(
                &citation.document,
                (citation.page, &citation.label, &citation.place),
                &citation.heading
            )
        );
        println!("    “{}”", one_line(&citation.quote));
    }
    for sentence in &answer.sentences {
        if matches!(sentence.support, SupportLevel::Unsupported | SupportLevel::Partial) {
            println!(
                "not {}supported by its source: {}",
                if sentence.support == SupportLevel::Partial { "fully " } else { "" },
                sentence.text
            );
        }
    }
    if answer.abstained && !answer.passages.is_empty() {
        println!("nearest passages:");
        for passage in answer.passages.iter().take(3) {
            println!("    {}", passage_place(passage));
            if let Some(sentence) = answering(passage) {
                println!("        “{}”", one_line(&sentence));
            }
        }
    }
    if answer.abstained {
        println!("searched: {}", scope(&answer.filter));
    }
    for (count, what) in [(answer.pending, "not read yet"), (answer.failed, "not readable")] {
        if count > 0 {
            println!("{count} files there were {what}.");
        }
    }
    if answer.abstained {
        for UnreadFile { path, .. } in &answer.unread {
            println!("    {path}");
        }
    }
    let first = answer.milliseconds.first_token.unwrap_or(answer.milliseconds.total) / 1e3;
    println!(
        "\n{} · first word after {first:.1} s, {:.1} s in all",
        answer.model,
        answer.milliseconds.total / 1e3
    );
}

/// The sentence of a passage that is likeliest to answer.
fn answering(passage: &AnswerPassage) -> Option<String> {
    let range = passage.answering?;
    let skipped = range.start.checked_sub(passage.start)? as usize;
    let length = (range.end - range.start) as usize;
    Some(passage.text.chars().skip(skipped).take(length).collect())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where was looked, in words.
fn scope(filter: &Filter) -> String {
    let Filter { within, without, kinds, since, until, languages, tags } = filter;
    let mut parts = Vec::new();
    match within.as_slice() {
        [] => parts.push("the whole library".to_owned()),
        paths => parts.push(paths.join(", ")),
    }
    if !without.is_empty() {
        parts.push(format!("without {}", without.join(", ")));
    }
    if !kinds.is_empty() {
        parts.push(format!("of type {}", kinds.join(", ")));
    }
    if !languages.is_empty() {
        parts.push(format!("in {}", languages.join(", ")));
    }
    if !tags.is_empty() {
        parts.push(format!("with the tags {}", tags.join(", ")));
    }
    parts.extend(since.as_ref().map(|day| format!("changed since {day}")));
    parts.extend(until.as_ref().map(|day| format!("changed until {day}")));
    parts.join(", ")
}

/// Passages without an answer, each with the sentence that is likeliest to answer.
pub fn passages(answer: &Answer) {
    for passage in &answer.passages {
        println!("{}\n   {}", passage_place(passage), passage.text);
        if let Some(sentence) = answering(passage) {
            println!("   → {}", one_line(&sentence));
        }
        println!();
    }
}

/// The text of a document, exactly.
pub fn document(document: &DocumentText) {
    for warning in &document.warnings {
        note(warning);
    }
    for page in &document.pages {
        text(&page.text);
    }
}

/// What a question set measured.
pub fn evaluation(report: &Report) {
    println!(
        "{:9} {:>9} {:>8} {:>10} {:>11} {:>6} {:>6} {:>11} {:>7} {:>7}",
        "",
        "questions",
        "nDCG@10",
        "recall@10",
        "recall@100",
        "top-1",
        "MRR",
        "answer in 5",
        "p50 ms",
        "p95 ms"
    );
    let all = ("all".to_owned(), report.all.clone());
    for (name, m) in std::iter::once(all).chain(report.languages.clone()) {
        let answered = m.answered_5.map_or_else(|| "–".to_owned(), |share| format!("{share:.3}"));
        println!(
            "{name:9} {:>9} {:>8.3} {:>10.3} {:>11.3} {:>6.3} {:>6.3} {answered:>11} {:>7.1} {:>7.1}",
            m.questions, m.ndcg_10, m.recall_10, m.recall_100, m.top_1, m.mrr, m.p50_ms, m.p95_ms
        );
    }
}

/// The tags in use.
pub fn tags(tags: &[TagCount]) {
    for TagCount { name, files } in tags {
        println!("{files:>7}  {name}");
    }
}

/// One question of a measurement of answers, as progress.
pub fn answered(outcome: &AnswerOutcome) {
    let mark = match (outcome.answerable, outcome.refused) {
        (true, true) => "refused, wrongly",
        (false, true) => "refused, rightly",
        (false, false) => "answered, wrongly",
        (true, false) if outcome.gold && outcome.cited => "right",
        (true, false) if outcome.gold => "right, cited elsewhere",
        (true, false) => "without the gold answer",
    };
    note(&format!("{mark:23} {} → {}", outcome.question, outcome.answer.replace('\n', " ")));
}

/// The measures of answers.
pub fn answers(report: &AnswerReport) {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.))
    };
    let seconds = |time: Option<f64>| {
        time.map_or_else(|| "–".to_owned(), |time| format!("{:.1} s", time / 1000.))
    };
    println!("answerable questions    {}", report.answerable);
    println!("  with a gold answer    {}", percent(report.gold));
    println!("  refused               {}", percent(report.refused_falsely));
    println!("  answers citing gold   {}", percent(report.cited));
    println!("unanswerable questions  {}", report.unanswerable);
    println!("  refused               {}", percent(report.refused_rightly));
    println!("markers without source  {}", report.dangling);
    println!("quotes not literal      {}", report.misquotes);
    let [median, most] =
        report.passages_ms.map(|ms| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms")));
    println!("passages (50 %, 95 %)   {median}, {most}");
    println!("first text (median)     {}", seconds(report.first_token_ms));
    println!("whole answer (median)   {}", seconds(report.total_ms));
}

/// A report, beside an earlier one where there is one.
#[derive(Serialize)]
pub struct Evaluated<'a> {
    #[serde(flatten)]
    pub report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
}

/// What has changed since an earlier report.
pub fn comparison(compared: &Comparison) {
    let Comparison { before, shared, better, worse } = compared;
    println!(
        "before: nDCG@10 {:.3}, top-1 {:.3}; of {shared} questions {better} better, {} worse",
        before.ndcg_10,
        before.top_1,
        worse.len()
    );
    let rank = |rank: Option<usize>| rank.map_or("none".to_owned(), |rank| rank.to_string());
    for Worse { id, question, before, now, .. } in worse {
        println!("{} → {}  {id}  {question}", rank(*before), rank(*now));
    }
}

/// The rules of a folder.
pub fn rules(rules: &FolderRules) {
    let list = |items: &[String], none: &str| match items {
        [] => none.to_owned(),
        items => items.join(", "),
    };
    println!("ignored    {}", list(&rules.ignore, "nothing besides what never belongs"));
    println!("hidden     {}", if rules.hidden { "belong to it" } else { "left out" });
    println!("types      {}", list(&rules.kinds, "all"));
    let size = rules.max_megabytes.map(|size| format!("up to {size} MB"));
    println!("size       {}", size.as_deref().unwrap_or("any"));
}

/// What happened, a line each.
pub fn history(entries: &[HistoryEntry]) {
    for entry in entries {
        let path = entry.path.as_deref().unwrap_or_default();
        let what = match entry.kind {
            HistoryKind::Added => format!("added      {path}"),
            HistoryKind::Changed => format!("changed    {path}"),
            HistoryKind::Removed => format!("removed    {path}"),
            HistoryKind::Moved => {
                format!("moved      {path}, from {}", entry.from.as_deref().unwrap_or_default())
            }
            HistoryKind::Failed => {
                format!("failed     {path}: {}", entry.reason.as_deref().unwrap_or_default())
            }
            HistoryKind::Forgotten => format!("forgotten  {} files", entry.files.unwrap_or(0)),
        };
        println!("{}  {what}", entry.at);
    }
}

/// Conversations, a line each.
pub fn conversations(conversations: &[ConversationSummary]) {
    for ConversationSummary { id, title, updated } in conversations {
        println!("{id:>5}  {updated}  {}", title.replace('\n', " "));
    }
}

/// A conversation with its answers.
pub fn conversation(conversation: &Conversation) {
    for answer in &conversation.answers {
        let rating = match answer.rating {
            Some(Rating::Up) => ", right",
            Some(Rating::Down) => ", wrong",
            None => "",
        };
        let id = answer.id.map_or_else(String::new, |id| format!(" (answer {id}{rating})"));
        println!("> {}{id}\n\n{}\n", answer.question, answer.answer);
        sources(answer);
        println!();
    }
}

/// What became of an export.
pub fn set_report(report: &SetReport) {
    let SetReport { path, questions, documents, left_out } = report;
    println!("{questions} questions on {documents} documents in {path}; {left_out} left out");
}

/// The checks of `doctor`.
pub fn doctor(checks: &[Check]) {
    for check in checks {
        println!("{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail);
        if !check.hint.is_empty() {
            println!("     → {}", check.hint);
        }
    }
}

/// The progress of a download; silent where nobody watches.
pub fn download_bar(quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows how far a download is on a progress bar.
pub fn show_download(bar: &ProgressBar, download: &Download) {
    if let Some(total) = download.bytes_total {
        bar.set_length(total);
    }
    bar.set_position(download.bytes_done);
    let pace = download.bytes_per_second.map(|pace| format!("{:.1} MB/s", pace as f64 / 1e6));
    let left = download.seconds_left.map(|left| format!("{} left", duration(left)));
    let message = match download.state {
        DownloadState::Waiting => "waiting".to_owned(),
        DownloadState::Checking => "checking".to_owned(),
        DownloadState::Retrying => match &download.error {
            Some(error) => format!("{}; trying again", error.message),
            None => "trying again".to_owned(),
        },
        _ => pace.into_iter().chain(left).collect::<Vec<_>>().join(", "),
    };
    bar.set_message(message);
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The models there are.
pub fn models(models: &Models) {
    for model in &models.models {
        let state = match (&model.download, model.installed) {
            (_, true) if model.in_use => "in use",
            (_, true) => "installed",
            (Some(download), false) => match download.state {
                DownloadState::Paused | DownloadState::Failed => "stopped",
                _ => "coming",
            },
            (None, false) => "",
        };
        println!("{state:9} {:35} {:>8}  {}", model.id, size(model.bytes), model.name);
        if let Some(problem) = &model.problem {
            println!("          {}", problem.message);
        }
    }
    if !models.found.is_empty() {
        println!("\nOf other programs; `lectern models import FILE` takes one without a copy:");
    }
    for found in &models.found {
        let program = match found.program {
            OtherProgram::LmStudio => "LM Studio",
            OtherProgram::Ollama => "Ollama",
            OtherProgram::Gpt4all => "GPT4All",
            OtherProgram::HubCache => "model hub",
        };
        println!("{program:9} {:35} {:>8}  {}", found.name, size(found.bytes), found.path);
        if let Some(problem) = &found.problem {
            println!("          {}", problem.message);
        }
    }
    println!("\nIn {}; `lectern models fit` says how they would run here.", models.directory);
}

/// How the models would run on this computer.
pub fn fit(models: &Models) {
    let machine = &models.machine;
    println!(
        "This computer: {} of memory, {} free for a model; {} cores, {} threads, {}",
        size(machine.memory_bytes),
        size(machine.available_memory_bytes),
        machine.cores,
        machine.threads,
        machine.instructions
    );
    for card in &machine.graphics {
        let memory = card.memory_bytes.map(|memory| format!(", {}", size(memory)));
        println!("Graphics: {}{}", card.name, memory.unwrap_or_default());
    }
    println!();
    for model in &models.models {
        let mark = if model.recommended { "→" } else { " " };
        let cost = model.change.filter(|change| change.passages > 0);
        let cost = cost.map(|change| format!("; to change to it: {}", cost_of(&change)));
        println!("{mark} {:35} {}{}", model.id, fit_in_words(&model.fit), cost.unwrap_or_default());
    }
    println!("\n{}", recommendation(models));
}

/// How a model would run, in words.
fn fit_in_words(fit: &Fit) -> String {
    let memory = size(fit.memory_bytes);
    let pace = match (fit.first_token_seconds, fit.tokens_per_second) {
        (Some(first), Some(pace)) => {
            format!("answers start after about {first} s, {pace} tokens a second")
        }
        _ => format!("takes {memory} of memory"),
    };
    let said = match fit.verdict {
        Verdict::Good | Verdict::Unknown => pace,
        Verdict::Slow => format!("slow: {pace}"),
        Verdict::Tight => {
            format!("{pace}; close other programs first, it takes {memory} of memory")
        }
        Verdict::TooBig => format!("too large for this computer: it takes {memory} of memory"),
    };
    if fit.disk_full { said + "; there is too little room on the disk" } else { said }
}

fn recommendation(models: &Models) -> String {
    let Some(id) = &models.recommendation.id else {
        return "No model fits into this computer's memory.".into();
    };
    let why = match models.recommendation.reason {
        RecommendationReason::MostAbleThatIsQuick => {
            "the most able that answers without much waiting here"
        }
        RecommendationReason::QuickestThatFits => "the quickest; all are slow here",
        RecommendationReason::MostAbleThatFits => "the most able that fits; its pace is not known",
        RecommendationReason::NoneFits => "none fits",
    };
    format!("Recommended: {id}, {why}.")
}

/// One model, and what has become of it.
pub fn model(model: &ModelEntry, what: &str) {
    println!("{} ({}) {what}: {}", model.name, model.id, fit_in_words(&model.fit));
    if let Some(origin) = &model.linked_to {
        println!("It is linked to {origin}.");
    }
}

/// What was chosen, and from when on it is in use.
pub fn used(entry: &ModelEntry) {
    match entry.change {
        None if entry.role != ModelRole::Chat => println!("{} is in use.", entry.name),
        None => model(entry, "answers from now on"),
        Some(change) => {
            println!("{} reads the library in the background: {}.", entry.name, cost_of(&change));
            println!(
                "Search goes on with the other one until it has; `lectern status` says how far it is."
            );
        }
    }
}

/// What changing to an embedder costs, in words.
fn cost_of(change: &EmbedderChange) -> String {
    let time = change.seconds.map(|seconds| format!(", about {}", duration(seconds.ceil())));
    format!("{} passages{}", change.passages, time.unwrap_or_default())
}

/// What removing a model did.
pub fn removed(removed: &RemovedModel) {
    println!("{} is removed; {} are free again.", removed.id, size(removed.freed_bytes));
    if let Some(next) = &removed.now_in_use {
        println!("{next} answers from now on.");
    }
}

/// How the chat model is set.
pub fn settings(settings: &ModelSettings) {
    let usual =
        |number: Option<u32>| number.map_or("the usual".to_owned(), |number| number.to_string());
    println!("context       {}", usual(settings.context_tokens));
    println!("threads       {}", usual(settings.threads));
    println!("temperature   {}", settings.temperature);
    println!("instructions  {}", settings.instructions);
    println!("device        {}", format!("{:?}", settings.device).to_lowercase());
    println!("idle minutes  {}", settings.idle_minutes);
}
