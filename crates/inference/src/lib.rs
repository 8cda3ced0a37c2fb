//! Chat models on mistral.rs, encoders that embed and rerank on candle, and decoders that embed on
//! mistral.rs: the one crate that sees either. Models are loaded from files on this computer; nothing
//! here opens a connection or writes a file.

mod bert;
mod chat;
mod cpu;
mod cross_encoder;
mod encoder;
mod files;
mod kernels;
mod memory;
mod mistral_embedder;
#[cfg(test)]
mod reference;
mod repetition;
mod source_numbers;
mod texts;
mod tokens;
mod unigram;

pub use bert::BertEmbedder;
pub use chat::{ChatOptions, MistralChat, Prediction, perplexity};
pub use cpu::CpuSupport;
pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use encoder::ENCODER_ARCHITECTURES;
pub use lectern_kernels::keep_to_few_heaps;
pub use mistral_embedder::{DECODER_ARCHITECTURES, MistralEmbedder};
pub use texts::EmbedderOptions;

/// What a panic or a library said, shortened to what a person can read.
fn short(message: &str) -> String {
    const LIMIT: usize = 300;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod models {
    //! The models that the tests run.

    use std::path::PathBuf;

    /// A file or folder of the test models: in `LECTERN_MODELS`, or where
    /// `make models` puts them.
    pub(crate) fn path(name: &str) -> PathBuf {
        let root = match std::env::var_os("LECTERN_MODELS") {
            Some(root) => PathBuf::from(root),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
                .join(".cache/lectern/models"),
        };
        let path = root.join(name);
        assert!(path.exists(), "{} is missing: run `make models` first", path.display());
        path
    }
}
