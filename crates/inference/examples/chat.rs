//! Asks a model from the command line and measures it:
//! `chat MODEL.gguf QUESTION [MAX_TOKENS]`; a question of `@FILE` is read from a file.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use futures::StreamExt;
use lectern_domain::{ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole};
use lectern_inference::{ChatOptions, CpuSupport, MistralChat};

/// The largest memory this process has had, in MiB; Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(note) = CpuSupport::of_this_computer().note() {
        eprintln!("{note}");
    }
    let mut arguments = std::env::args().skip(1);
    let (Some(gguf), Some(question)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat MODEL.gguf QUESTION [MAX_TOKENS]".into());
    };
    let question = match question.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)?,
        None => question,
    };
    let max_tokens = arguments.next().map_or(Ok(200), |tokens| tokens.parse())?;

    let start = Instant::now();
    let options = ChatOptions {
        id: gguf.clone(),
        gguf: PathBuf::from(gguf),
        context_tokens: 4_096,
        cpu_only: false,
    };
    let model =
        MistralChat::load(options).await.inspect_err(|error| eprintln!("{}", error.hint))?;
    let loaded = start.elapsed().as_secs_f64();
    let loaded_memory = peak_memory();

    let start = Instant::now();
    let messages = vec![ChatMessage { role: ChatRole::User, content: question }];
    let mut reply = model
        .generate(ChatRequest { messages, max_tokens, temperature: 0.0, sources: None })
        .await?;
    let mut prefill = None;
    while let Some(delta) = reply.next().await {
        let first = *prefill.get_or_insert_with(|| start.elapsed().as_secs_f64());
        match delta.inspect_err(|error| eprintln!("{}", error.hint))? {
            ChatDelta::Text(text) => {
                print!("{text}");
                std::io::stdout().flush()?;
            }
            ChatDelta::Done(usage) => {
                let decode = start.elapsed().as_secs_f64() - first;
                println!();
                eprintln!("load     {loaded:.2} s, peak {loaded_memory:?} MiB");
                eprintln!(
                    "prefill  {} tokens in {first:.2} s: {:.1} tokens/s",
                    usage.prompt,
                    usage.prompt as f64 / first
                );
                eprintln!(
                    "decode   {} tokens in {decode:.2} s: {:.1} tokens/s",
                    usage.completion,
                    usage.completion.saturating_sub(1) as f64 / decode
                );
                eprintln!("memory   peak {:?} MiB", peak_memory());
            }
        }
    }
    Ok(())
}
