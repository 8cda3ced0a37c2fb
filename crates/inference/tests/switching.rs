//! Ten switches between two models leave no model in the memory that is not in use, and no thread of
//! one. A program of its own, since it looks at the memory and the threads of the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt;
use lectern_domain::{ChatMessage, ChatModel, ChatRequest, ChatRole};
use lectern_gguf::fixture::GgufFile;
use lectern_inference::{ChatOptions, MistralChat};

/// Memory of this process, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// As the program has it: the old one is dropped, then the new one is loaded and asked.
async fn load_and_ask(gguf: &Path) -> MistralChat {
    let options = ChatOptions {
        id: "test".into(),
        gguf: gguf.to_owned(),
        context_tokens: 1_024,
        cpu_only: false,
    };
    let model = MistralChat::load(options).await.expect("run `make models` first");
    let content = "Write a long story about the sea and the towns on its coast.".into();
    let messages = vec![ChatMessage { role: ChatRole::User, content }];
    let request = ChatRequest { messages, max_tokens: 8, temperature: 0.0, sources: None };
    let mut reply = model.generate(request).await.unwrap();
    while let Some(delta) = reply.next().await {
        delta.unwrap();
    }
    model
}

/// The memory once it has come to rest: what a reply leaves is given back after its end.
async fn at_rest(enough: u64) -> u64 {
    let mut least = resident();
    for _ in 0..150 {
        if least <= enough {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        least = least.min(resident());
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_switches_leave_no_model_behind() {
    let root = std::env::var_os("LECTERN_MODELS").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/lectern/models"),
        PathBuf::from,
    );
    let whole = root.join("smollm2-135m-instruct-q4_1/model.gguf");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.gguf");
    let weights = whole.metadata().unwrap().len() / 1024;
    // The same weights in another file: another model.
    std::fs::copy(&whole, &other).unwrap();
    // One that cannot be loaded stands between them now and then, and leaves nothing either.
    let broken = folder.path().join("broken.gguf");
    std::fs::write(&broken, GgufFile::new("llama").bytes()).unwrap();
    // Both were loaded once, so that what the process keeps for good is there.
    let (mut first, last) = (0, 11);
    let mut with_one_model = 0;
    for switch in 0..=last {
        let model = load_and_ask([&whole, &other][switch % 2]).await;
        if switch == 1 {
            first = at_rest(0).await;
            with_one_model = threads();
        } else if switch > 1 {
            // Less than one that stays would take. What the heaps keep is measured in the whole program,
            // which has fewer of them; see `docs/benchmarks.md`.
            let limit = first + weights;
            let now = at_rest(limit).await;
            assert!(now <= limit, "{now} kB after switch {switch}, {first} kB after the first");
        }
        drop(model);
        if switch % 3 == 0 {
            let options = ChatOptions {
                id: "broken".into(),
                gguf: broken.clone(),
                context_tokens: 1_024,
                cpu_only: false,
            };
            assert!(MistralChat::load(options).await.is_err());
        }
    }
    // The last of an engine's threads looks every five seconds whether the engine is still there, and the
    // system says of no thread that it has ended.
    let deadline = Instant::now() + Duration::from_secs(20);
    while threads() > with_one_model && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(threads() <= with_one_model, "{} threads, {with_one_model} with one model", threads());
}
