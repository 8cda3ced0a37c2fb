//! What Lectern relies on in mistral.rs, seen through kernels that only look on, hold or fail.
//! They are the whole process's, so that these tests are a program of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use candle_core::kernels::{self, Kernels};
use candle_core::quantized::GgmlDType;
use candle_core::{Error, Result};
use futures::StreamExt;
use lectern_domain::{ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole, ErrorCode};
use lectern_inference::{ChatOptions, MistralChat};
use tokio::sync::{Notify, OnceCell};

/// SmolLM2's vocabulary: as many columns has the product that makes logits.
const VOCABULARY: usize = 49_152;

/// How long the replies may be. The one that is gone on from does not end before.
const MAX_TOKENS: usize = 12;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    LookOn,
    Fail,
    Panic,
    /// Wait until the mode is another one, then fail.
    Hold,
}

struct Products {
    mode: Mode,
    /// Rows and columns of each product since the last look.
    sizes: Vec<(usize, usize)>,
}

static PRODUCTS: Mutex<Products> = Mutex::new(Products { mode: Mode::LookOn, sizes: Vec::new() });
static MODE_CHANGED: Condvar = Condvar::new();
static HOLDING: Notify = Notify::const_new();
/// Held by the test that uses the above.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn matmul(
    _: GgmlDType,
    (rows, _, columns): (usize, usize, usize),
    _: &[f32],
    _: &[u8],
    _: &mut [f32],
) -> Result<bool> {
    let mut products = PRODUCTS.lock().unwrap_or_else(PoisonError::into_inner);
    match products.mode {
        Mode::LookOn => {
            products.sizes.push((rows, columns));
            Ok(false)
        }
        Mode::Fail => Err(Error::Msg("the product was stopped".into())),
        Mode::Panic => {
            // The lock must not be poisoned.
            drop(products);
            panic!("the product broke")
        }
        Mode::Hold => {
            HOLDING.notify_one();
            drop(MODE_CHANGED.wait_while(products, |products| products.mode == Mode::Hold));
            Err(Error::Msg("the product was stopped".into()))
        }
    }
}

fn set(mode: Mode) {
    PRODUCTS.lock().unwrap().mode = mode;
    MODE_CHANGED.notify_all();
}

fn take_sizes() -> Vec<(usize, usize)> {
    std::mem::take(&mut PRODUCTS.lock().unwrap().sizes)
}

async fn smollm2() -> &'static MistralChat {
    static MODEL: OnceCell<MistralChat> = OnceCell::const_new();
    MODEL
        .get_or_init(|| async {
            kernels::install(Kernels {
                matmul,
                attention: |_, _| Ok(false),
                silu_mul: |_, _, _| Ok(false),
                rms_norm: |_, _, _, _| Ok(false),
            });
            load().await
        })
        .await
}

/// A model of its own, that has been asked nothing yet.
async fn load() -> MistralChat {
    let root = std::env::var_os("LECTERN_MODELS").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/lectern/models"),
        PathBuf::from,
    );
    let gguf = root.join("smollm2-135m-instruct-q4_1/model.gguf");
    let options = ChatOptions { id: "test".into(), gguf, context_tokens: 2_048, cpu_only: false };
    MistralChat::load(options).await.expect("run `make models` first")
}

fn ask(question: &str) -> ChatRequest {
    let messages = vec![ChatMessage { role: ChatRole::User, content: question.into() }];
    ChatRequest { messages, max_tokens: MAX_TOKENS, temperature: 0.0, sources: None }
}

/// What is asked after `reply` was given to `question`.
fn go_on(question: &str, reply: &str) -> ChatRequest {
    let mut request = ask(question);
    for (role, content) in [(ChatRole::Assistant, reply), (ChatRole::User, "And then?")] {
        request.messages.push(ChatMessage { role, content: content.into() });
    }
    request
}

/// The reply, and how many tokens the prompt had.
async fn reply(model: &MistralChat, request: ChatRequest) -> (String, usize) {
    let mut stream = model.generate(request).await.unwrap();
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        match delta.unwrap() {
            ChatDelta::Text(more) => text += &more,
            ChatDelta::Done(usage) => return (text, usage.prompt),
        }
    }
    panic!("it did not end");
}

fn most_rows(sizes: &[(usize, usize)]) -> usize {
    sizes.iter().map(|(rows, _)| *rows).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_read_once_and_only_its_last_token_makes_logits() {
    let _turn = TURN.lock().await;
    let model = smollm2().await;
    take_sizes();

    let question = "Which towns lie on the river, and how far are they from the sea?";
    let (first, prompt) = reply(model, ask(question)).await;
    let sizes = take_sizes();
    // Whatever was asked before, the question itself is new.
    assert!(most_rows(&sizes) > question.split(' ').count(), "{sizes:?}");
    assert!(most_rows(&sizes) <= prompt);
    let logits: Vec<_> = sizes.iter().filter(|(_, columns)| *columns == VOCABULARY).collect();
    assert!(!logits.is_empty() && logits.iter().all(|(rows, _)| *rows == 1), "{logits:?}");

    let (second, _) = reply(model, ask(question)).await;
    assert_eq!(first, second);
    assert_eq!(most_rows(&take_sizes()), 1, "all but the last token was known");

    let known = prompt + MAX_TOKENS - 1;
    let (_, prompt) = reply(model, go_on(question, &first)).await;
    assert_eq!(
        most_rows(&take_sizes()),
        prompt - known,
        "the last token of the reply was sampled and never read"
    );
}

/// What is kept of earlier prompts is what would be computed again. That is said of candle's
/// kernels, which compute a row alike whatever rows are beside it; and of prompts, for a reply
/// is computed token by token, and rounded otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_does_not_depend_on_what_was_asked_before() {
    let _turn = TURN.lock().await;
    smollm2().await;
    let used = load().await;
    reply(&used, ask("Hello! How are you?")).await;
    let cases = [
        ("it goes on after another reply", go_on("Hello! How are you?", "Cold.")),
        ("it turns off within the question", ask("Hello! How old is the sea?")),
        ("it has little in common", ask("Write a sentence about the sea.")),
        ("it was asked just now", ask("Write a sentence about the sea.")),
        ("it was asked some time ago", ask("Hello! How are you?")),
        ("it goes on after that", go_on("Hello! How are you?", "Cold.")),
    ];
    for (case, request) in cases {
        let expected = reply(&load().await, request.clone()).await;
        assert_eq!(reply(&used, request).await, expected, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_fails_ends_its_request_and_nothing_else() {
    let _turn = TURN.lock().await;
    let model = smollm2().await;
    let expected = reply(model, ask("Name a colour.")).await;

    set(Mode::Fail);
    let mut stream = model.generate(ask("Name an animal.")).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    set(Mode::LookOn);
    assert_eq!(error.code, ErrorCode::ModelFailed);
    assert!(error.message.contains("the product was stopped"), "{error}");
    assert!(stream.next().await.is_none());

    // And where nobody waits for the error.
    set(Mode::Hold);
    let stream = model.generate(ask("Name a fruit.")).await.unwrap();
    HOLDING.notified().await;
    drop(stream);
    set(Mode::LookOn);

    take_sizes();
    assert_eq!(reply(model, ask("Name a colour.")).await, expected);
    assert_eq!(most_rows(&take_sizes()), 1, "what was known before is known still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_panics_ends_its_request_and_answers_the_next() {
    let _turn = TURN.lock().await;
    smollm2().await;
    let model = load().await;
    let expected = reply(&model, ask("Name a colour.")).await;

    set(Mode::Panic);
    let mut stream = model.generate(ask("Name an animal.")).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    set(Mode::LookOn);
    assert_eq!(error.code, ErrorCode::ModelFailed);
    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error}");
    assert!(stream.next().await.is_none());

    assert_eq!(reply(&model, ask("Name a colour.")).await, expected);
}
