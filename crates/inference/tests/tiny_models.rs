//! Every architecture that a model file may have is loaded and answers, from a tiny file with
//! weights that mean nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use futures::StreamExt;
use lectern_domain::{ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole, ErrorCode};
use lectern_gguf::{ARCHITECTURES, fixture::GgufFile};
use lectern_inference::{ChatOptions, MistralChat};

const WIDTH: u64 = 64;
const HEADS: u64 = 4;
const FEED_FORWARD: u64 = 128;
const LAYERS: u64 = 2;

/// Printable ASCII, which byte-level vocabularies write as it is, a space, and the token that ends
/// a reply.
fn words() -> Vec<(String, i32)> {
    let mut words = vec![("Ġ".to_owned(), 1), ("<|im_end|>".to_owned(), 3)];
    words.extend((b'!'..=b'~').map(|byte| (char::from(byte).to_string(), 1)));
    words
}

/// The file of a model of `architecture`, with the names and sizes that its family's converters
/// write.
fn tiny(architecture: &str) -> GgufFile {
    let words = words();
    let tokens: Vec<(&str, i32)> =
        words.iter().map(|(word, kind)| (word.as_str(), *kind)).collect();
    let key = |name: &str| format!("{architecture}.{name}");
    let head = WIDTH / HEADS;
    // Heads of keys and of values; Phi 2 does not share them.
    let kv_heads = if architecture == "phi2" { HEADS } else { HEADS / 2 };
    let kv_width = kv_heads * head;
    let mut file = GgufFile::new(architecture)
        .integer(&key("block_count"), LAYERS as u32)
        .integer(&key("context_length"), 256)
        .integer(&key("embedding_length"), WIDTH as u32)
        .integer(&key("feed_forward_length"), FEED_FORWARD as u32)
        .integer(&key("attention.head_count"), HEADS as u32)
        .integer(&key("attention.head_count_kv"), kv_heads as u32)
        .integer(&key("rope.dimension_count"), head as u32)
        .float(&key("attention.layer_norm_rms_epsilon"), 1e-5)
        .float(&key("attention.layer_norm_epsilon"), 1e-5)
        .chat()
        .tokens(&tokens)
        .texts("tokenizer.ggml.merges", &[])
        .weights("token_embd.weight", &[WIDTH, words.len() as u64])
        .weights("output.weight", &[WIDTH, words.len() as u64])
        .weights("output_norm.weight", &[WIDTH]);
    let has_biases = matches!(architecture, "phi2" | "starcoder2");
    let is_fused = matches!(architecture, "phi2" | "phi3");
    let has_gate = !matches!(architecture, "phi2" | "phi3" | "starcoder2");
    if has_biases {
        file = file.weights("output_norm.bias", &[WIDTH]);
    }
    if architecture == "phi2" {
        file = file.weights("output.bias", &[words.len() as u64]);
    }
    for layer in 0..LAYERS {
        let mut parts = vec![("attn_output", WIDTH, WIDTH), ("ffn_down", FEED_FORWARD, WIDTH)];
        if is_fused {
            parts.push(("attn_qkv", WIDTH, WIDTH + 2 * kv_width));
        } else {
            parts.push(("attn_q", WIDTH, WIDTH));
            parts.push(("attn_k", WIDTH, kv_width));
            parts.push(("attn_v", WIDTH, kv_width));
        }
        // The gate and what it lets through are one matrix in Phi 3.
        let up = if architecture == "phi3" { 2 * FEED_FORWARD } else { FEED_FORWARD };
        parts.push(("ffn_up", WIDTH, up));
        if has_gate {
            parts.push(("ffn_gate", WIDTH, FEED_FORWARD));
        }
        for (name, from, to) in parts {
            file = file.weights(&format!("blk.{layer}.{name}.weight"), &[from, to]);
            let has_bias =
                has_biases || architecture == "qwen2" && to != FEED_FORWARD && from != FEED_FORWARD;
            if has_bias {
                file = file.weights(&format!("blk.{layer}.{name}.bias"), &[to]);
            }
        }
        let norms: &[(&str, u64)] = match architecture {
            "phi2" => &[("attn_norm", WIDTH)],
            "qwen3" => &[
                ("attn_norm", WIDTH),
                ("ffn_norm", WIDTH),
                ("attn_q_norm", WIDTH / HEADS),
                ("attn_k_norm", WIDTH / HEADS),
            ],
            _ => &[("attn_norm", WIDTH), ("ffn_norm", WIDTH)],
        };
        for (name, size) in norms {
            file = file.weights(&format!("blk.{layer}.{name}.weight"), &[*size]);
            if has_biases {
                file = file.weights(&format!("blk.{layer}.{name}.bias"), &[*size]);
            }
        }
    }
    file
}

async fn reply(model: &MistralChat, question: &str) -> (String, usize) {
    let messages = vec![ChatMessage { role: ChatRole::User, content: question.into() }];
    let request = ChatRequest { messages, max_tokens: 8, temperature: 0.0, sources: None };
    let mut stream = model.generate(request).await.unwrap();
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        match delta.unwrap() {
            ChatDelta::Text(more) => text += &more,
            ChatDelta::Done(usage) => {
                assert_eq!(usage.prompt, question.len(), "a word for each letter");
                return (text, usage.completion);
            }
        }
    }
    panic!("it did not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_architecture_is_loaded_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    for architecture in ARCHITECTURES {
        let gguf = directory.path().join(format!("{architecture}.gguf"));
        std::fs::write(&gguf, tiny(architecture).bytes()).unwrap();
        let options =
            ChatOptions { id: architecture.into(), gguf, context_tokens: 256, cpu_only: true };
        let model = MistralChat::load(options)
            .await
            .unwrap_or_else(|error| panic!("{architecture}: {error}"));
        let mut replies = Vec::new();
        for question in ["What is the rent?", "Who pays for the roof?"] {
            let (text, tokens) = reply(&model, question).await;
            assert!((1..=8).contains(&tokens), "{architecture}: {tokens}");
            assert_eq!(reply(&model, question).await, (text.clone(), tokens), "{architecture}");
            replies.push(text);
        }
        assert_ne!(replies[0], replies[1], "{architecture} does not read what it is asked");
    }
}

/// What [`a_model_that_gets_no_memory_is_refused_and_the_program_goes_on`] starts with little memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is a process of another test"]
async fn a_process_with_little_memory() {
    let folder = PathBuf::from(std::env::var_os("TEST_FOLDER").unwrap());
    let options = |name: &str, context_tokens| ChatOptions {
        id: name.into(),
        gguf: folder.join(name),
        context_tokens,
        cpu_only: true,
    };
    let error = MistralChat::load(options("large", LONG)).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::ModelTooBig, "{error}");
    assert!(error.message.contains("GB are free"), "{error}");
    assert!(error.hint.contains("smaller"), "{error}");
    let model = MistralChat::load(options("small", 256)).await.unwrap();
    assert!(reply(&model, "What is the rent?").await.1 > 0);
}

/// A context whose keys and values take 8 GB.
const LONG: usize = 4_000_000;

#[cfg(target_os = "linux")]
#[test]
fn a_model_that_gets_no_memory_is_refused_and_the_program_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let large = tiny("llama")
        .integer("llama.context_length", LONG as u32)
        .integer("llama.attention.key_length", 32);
    std::fs::write(folder.path().join("large"), large.bytes()).unwrap();
    std::fs::write(folder.path().join("small"), tiny("llama").bytes()).unwrap();
    let limited = "ulimit -v 6000000; exec \"$0\" --exact a_process_with_little_memory --ignored";
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env("TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
