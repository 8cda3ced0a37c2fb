//! Models: choosing, getting, keeping and changing them.

mod dto;

pub use dto::*;
