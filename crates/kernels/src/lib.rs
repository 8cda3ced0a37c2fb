//! Arithmetic of language models on the CPU, for the formats of GGUF.
//!
//! Everything is chosen at run time: the same program uses AVX-512 where it is
//! there and plain Rust where nothing else is ([`Isa`]). An operation is spread
//! over the physical cores, less one where there are more than two ([`threads`]);
//! several at a time are correct, but only one of them has all of these.

mod aligned;
mod attention;
mod cpu;
mod elementwise;
mod format;
mod memory;
mod pool;
mod product;
mod rows;
mod vector;

pub use attention::{Attention, Values, attention};
pub use cpu::{ISA_VARIABLE, Isa};
pub use elementwise::{add_layer_norm, gelu, rms_norm, silu_mul};
pub use format::{Format, quantize_q8_0};
pub use memory::{keep_to_few_heaps, release_freed_memory};
pub use pool::{set_threads, threads};
pub use product::{ShapeError, matmul, matmul_on};
