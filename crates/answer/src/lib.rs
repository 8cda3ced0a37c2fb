//! Fusion, packing, prompts, citations and the check of each sentence against its
//! source: all that turns passages a search found into an answer one can check.

pub mod abstain;
mod answer;
mod answering;
pub mod citations;
pub mod condense;
pub mod evidence;
pub mod fusion;
mod language;
pub mod pack;
mod passage;
pub mod prompt;
pub mod rerank;
pub mod sentences;
pub mod support;
mod terms;
#[cfg(test)]
mod testing;
pub mod thorough;
mod words;

pub use answer::{Answer, AnswerEvent, AnswerInput, AnswerOptions, Citation, answer};
pub use answering::answering;
pub use language::{Language, detect_language};
pub use passage::Passage;
