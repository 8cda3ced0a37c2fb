//! Measures the models on this computer, as JSON, for `make bench`:
//!
//! - `measure chat MODEL.gguf THREADS RUNS FILE` reads the text of FILE as a prompt
//!   and lets the model go on from there;
//! - `measure embed DIRECTORY THREADS RUNS FILE` embeds the lines of FILE;
//! - `measure rerank DIRECTORY THREADS RUNS FILE` reranks the lines of FILE, of which the first is
//!   the query;
//! - `measure vectors DIRECTORY THREADS 1 FILE` gives the vector of each line of FILE as a passage;
//! - `measure text MODEL.gguf THREADS RUNS FILE` gives the perplexity of FILE's text
//!   and what the model answers greedily to its first RUNS lines. With
//!   `LECTERN_KERNELS=off` candle computes, and each instruction set has its name;
//! - `measure predictions MODEL.gguf THREADS 1 FILE` gives, for every token of FILE's text, the
//!   surprise, the token that the model expects most, and by how much;
//! - `measure odds MODEL.gguf THREADS 1 FILE` gives, for every line of FILE, the odds that the
//!   model replies yes to it: an array of messages, each `["user", "What it says"]`.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt;
use lectern_domain::{
    CharRange, ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole, Chunk, Embedder, Reranker,
};
use lectern_inference::{
    BertEmbedder, ChatOptions, CrossEncoder, CrossEncoderOptions, EmbedderOptions, MistralChat,
    Prediction, perplexity,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Tokens of a reply, of which the first counts to the prompt.
const REPLY: usize = 33;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, model, threads, runs, file] = arguments.as_slice() else {
        return Err(
            "usage: measure chat|embed|rerank|vectors|text|predictions|odds MODEL THREADS RUNS FILE"
                .into(),
        );
    };
    let threads: std::num::NonZeroUsize = threads.parse()?;
    lectern_kernels::keep_to_few_heaps();
    lectern_kernels::set_threads(threads);
    let runs = runs.parse()?;
    let text = std::fs::read_to_string(file)?;
    match what.as_str() {
        "chat" => {
            // The rest of the engine has pools of its own.
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads.get())
                .enable_all()
                .build()?;
            runtime.block_on(chat(model, runs, &text))
        }
        "embed" => embed(Path::new(model), runs, &text),
        "rerank" => rerank(Path::new(model), runs, &text),
        "vectors" => vectors(Path::new(model), &text),
        "text" => tokio::runtime::Runtime::new()?.block_on(replies(model, runs, &text)),
        "predictions" => tokio::runtime::Runtime::new()?.block_on(predictions(model, &text)),
        "odds" => tokio::runtime::Runtime::new()?.block_on(odds(model, &text)),
        other => Err(format!("there is no measure {other}").into()),
    }
}

async fn chat(gguf: &str, runs: usize, text: &str) -> Result<()> {
    let start = Instant::now();
    let model = loaded(gguf).await?;
    let load = start.elapsed().as_secs_f64();
    let (mut prefill, mut decode, mut prompt) = (Vec::new(), Vec::new(), 0);
    for run in 0..runs {
        // Each run begins differently, or the cache of the last one would serve it.
        let content = format!("{run}. {text}");
        let messages = vec![ChatMessage { role: ChatRole::User, content }];
        let request = ChatRequest { messages, max_tokens: REPLY, temperature: 0.0, sources: None };
        let start = Instant::now();
        let mut reply = model.generate(request).await?;
        let mut first = None;
        while let Some(delta) = reply.next().await {
            let now = start.elapsed().as_secs_f64();
            match delta? {
                ChatDelta::Text(_) => {
                    first.get_or_insert(now);
                }
                ChatDelta::Done(usage) => {
                    let first = first.ok_or("the reply was empty")?;
                    prompt = usage.prompt;
                    prefill.push(usage.prompt as f64 / first);
                    decode.push((usage.completion - 1) as f64 / (now - first));
                }
            }
        }
    }
    // What was freed is given back once the reply has ended.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let resident = memory("VmRSS:");
    let stop = interrupt(&model, text).await?;
    println!(
        "{{\"load_seconds\": {load:.3}, \"stop_seconds\": {stop:.3}, \"prompt_tokens\": {prompt}, \"prefill\": {prefill:.1?}, \"decode\": {decode:.1?}, \"peak_mib\": {}, \"resident_mib\": {}}}",
        memory("VmHWM:"),
        resident
    );
    Ok(())
}

/// How long the next request waits for a prompt that was given up in the middle: what
/// a short request takes then, less what it takes otherwise.
async fn interrupt(model: &MistralChat, text: &str) -> Result<f64> {
    let request = |content: String| ChatRequest {
        messages: vec![ChatMessage { role: ChatRole::User, content }],
        max_tokens: 1,
        temperature: 0.0,
        sources: None,
    };
    let short = async |content: &str| -> Result<f64> {
        let start = Instant::now();
        let mut reply = model.generate(request(content.to_owned())).await?;
        while let Some(delta) = reply.next().await {
            delta?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let alone = short("One.").await?;
    let long = model.generate(request(format!("Otherwise. {text}"))).await?;
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    drop(long);
    Ok((short("Two.").await? - alone).max(0.0))
}

async fn loaded(gguf: &str) -> Result<MistralChat> {
    let options = ChatOptions {
        id: gguf.to_owned(),
        gguf: PathBuf::from(gguf),
        context_tokens: 2_048,
        cpu_only: false,
    };
    Ok(MistralChat::load(options).await?)
}

async fn predictions(gguf: &str, text: &str) -> Result<()> {
    for Prediction { surprise, likeliest, margin } in loaded(gguf).await?.predictions(text).await? {
        println!("[{surprise:.6}, {likeliest}, {margin:.6}]");
    }
    Ok(())
}

async fn odds(gguf: &str, lines: &str) -> Result<()> {
    let model = loaded(gguf).await?;
    for line in lines.lines() {
        let messages: Vec<(ChatRole, String)> = serde_json::from_str(line)?;
        let messages =
            messages.into_iter().map(|(role, content)| ChatMessage { role, content }).collect();
        println!("{:?}", model.yes_or_no(messages).await?);
    }
    Ok(())
}

async fn replies(gguf: &str, lines: usize, text: &str) -> Result<()> {
    let model = loaded(gguf).await?;
    println!("{:.4}", perplexity(&model.predictions(text).await?));
    for line in text.lines().filter(|line| !line.is_empty()).take(lines) {
        let messages = vec![ChatMessage { role: ChatRole::User, content: line.to_owned() }];
        let request = ChatRequest { messages, max_tokens: 64, temperature: 0.0, sources: None };
        let mut reply = model.generate(request).await?;
        let mut answer = String::new();
        while let Some(delta) = reply.next().await {
            if let ChatDelta::Text(piece) = delta? {
                answer += &piece;
            }
        }
        println!("{answer:?}");
    }
    Ok(())
}

fn embedder(directory: &Path) -> Result<BertEmbedder> {
    Ok(BertEmbedder::load(EmbedderOptions {
        id: "measured".into(),
        directory: directory.to_owned(),
        query_prefix: String::new(),
        passage_prefix: String::new(),
        first_token: false,
        max_tokens: 256,
    })?)
}

fn vectors(directory: &Path, text: &str) -> Result<()> {
    let lines: Vec<&str> = text.lines().collect();
    for vector in embedder(directory)?.embed_passages(&lines)? {
        println!("{vector:?}");
    }
    Ok(())
}

fn embed(directory: &Path, runs: usize, text: &str) -> Result<()> {
    let start = Instant::now();
    let embedder = embedder(directory)?;
    let load = start.elapsed().as_secs_f64();
    let lines: Vec<&str> = text.lines().collect();
    timed(load, runs, lines.len(), || Ok(drop(embedder.embed_passages(&lines)?)))
}

fn rerank(directory: &Path, runs: usize, text: &str) -> Result<()> {
    let start = Instant::now();
    let (id, directory) = ("measured".into(), directory.to_owned());
    let reranker = CrossEncoder::load(CrossEncoderOptions { id, directory, max_tokens: 512 })?;
    let load = start.elapsed().as_secs_f64();
    let (query, text) = text.split_once('\n').ok_or("there are no passages")?;
    let chunk = |text: &str| Chunk {
        range: CharRange::new(0, 0),
        page: None,
        heading: Vec::new(),
        text: text.to_owned(),
    };
    let chunks: Vec<Chunk> = text.lines().map(chunk).collect();
    let passages: Vec<&Chunk> = chunks.iter().collect();
    timed(load, runs, passages.len(), || Ok(drop(reranker.rerank(query, &passages)?)))
}

/// Prints how long something takes, time and again.
fn timed(load: f64, runs: usize, texts: usize, run: impl Fn() -> Result<()>) -> Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    println!(
        "{{\"load_seconds\": {load:.3}, \"texts\": {texts}, \"seconds\": {seconds:.3?}, \"peak_mib\": {}}}",
        memory("VmHWM:")
    );
    Ok(())
}

/// Memory of this process by the name that Linux gives it, in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}
