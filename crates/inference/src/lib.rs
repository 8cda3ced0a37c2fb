//! Chat models on mistral.rs and embedders on candle: the one crate that sees either.
