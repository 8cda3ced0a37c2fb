//! How fast this processor computes what a chat model needs: measured in about a second on
//! the kernels themselves, without any model, so that a person hears before a download how
//! long answers will take.
//!
//! Reading a prompt is arithmetic: multiply-adds of its tokens with all weights, and attention.
//! Writing is memory: every token reads all weights. Both rates are measured; what lies between
//! the products (norms, activations, conversions, sampling) is a share that was found on the
//! models of `docs/benchmarks.md`.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lectern_gguf::Shape;
use lectern_kernels::{Attention, Format, Isa, Values, attention, matmul};
use serde::{Deserialize, Serialize};

/// Tokens of a question of usual length with its passages.
pub const QUESTION_TOKENS: u64 = 600;

/// Rows of the products that are measured: enough that unpacking weights no longer counts.
const ROWS: usize = 256;
/// Columns of the products. A run is short, so that among many one is whole before another
/// program gets the processor.
const COLUMNS: usize = 2048;
/// Tokens of the attention that is measured.
const TOKENS: usize = 256;
/// Weights that one token reads, in bytes: more than any cache holds.
const STREAM_BYTES: usize = 192 << 20;
/// Each measurement takes this long at most, beyond its first run.
const LIMIT: Duration = Duration::from_millis(400);
/// How wide a narrow and a wide layer are.
const LAYERS: [usize; 2] = [512, 1536];
/// What of the weights is timed together when they are read.
const WINDOW: usize = 4;

/// What lies between the products, in multiply-adds of a wide product, for each number of a
/// token in each layer.
const BETWEEN_PRODUCTS: f64 = 18_000.;
/// The same for embedders, whose layers do less and whose numbers stay in the cache.
const BETWEEN_PASSAGES: f64 = 6_000.;
/// What a layer takes beside its weights when it writes a token, in seconds.
const LAYER_SECONDS: f64 = 1.0e-4;

/// What was measured. It is kept, and measured anew where the processor, its instructions or
/// the threads are others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// What it was measured with; another one is another pace.
    pub machine: String,
    /// Multiply-adds in a second in products of a narrow and of a wide layer.
    products: [f64; 2],
    /// Multiply-adds in a second in attention.
    attention: f64,
    /// Bytes of weights in a second that one token reads.
    stream: f64,
}

impl Pace {
    fn machine(threads: usize) -> String {
        format!("{} {} {threads}", std::env::consts::ARCH, Isa::current().name())
    }

    /// Whether it was measured with the processor's instructions and threads of now.
    pub fn is_of_this_computer(&self) -> bool {
        self.machine == Self::machine(lectern_kernels::threads())
    }

    /// Measures this processor with the threads that models use. Takes about a second, with all
    /// of them busy.
    pub fn measure() -> Self {
        Self {
            machine: Self::machine(lectern_kernels::threads()),
            products: LAYERS.map(products),
            attention: attention_rate(),
            stream: stream(),
        }
    }

    /// Seconds from a prompt of so many tokens to the first word, once the model is loaded.
    pub fn first_token_seconds(&self, model: &Size, tokens: u64) -> f64 {
        let Shape { layers, width, .. } = model.shape;
        let (rows, columns) = (tokens as f64, width as f64);
        let linear = rows * model.shape.layer_weights() as f64 / self.products_at(width);
        // Queries with keys, and weights with values; half of it is masked and done all the same.
        let heads = (model.shape.heads * model.shape.head_width) as f64;
        let attention = 2. * rows * rows * heads / self.attention;
        let between = rows * columns * BETWEEN_PRODUCTS / self.products[1];
        layers as f64 * (linear + attention + between) + self.token_seconds(model)
    }

    /// Seconds in which an embedder reads so many passages of so many tokens each; a fifth too few for
    /// one that is a decoder.
    pub fn passages_seconds(&self, shape: &Shape, passages: u64, tokens: f64) -> f64 {
        // What an encoder does not have that a decoder has: a gate in each layer.
        let weights = shape.layer_weights() - shape.width * shape.feed_forward;
        let linear = weights as f64 / self.products_at(shape.width);
        let attention = 2. * tokens * (shape.heads * shape.head_width) as f64 / self.attention;
        let between = shape.width as f64 * BETWEEN_PASSAGES / self.products[1];
        passages as f64 * tokens * shape.layers as f64 * (linear + attention + between)
    }

    /// Tokens that are written in a second, after a prompt of usual length.
    pub fn tokens_per_second(&self, model: &Size) -> f64 {
        1. / self.token_seconds(model)
    }

    fn token_seconds(&self, model: &Size) -> f64 {
        model.bytes as f64 / self.stream + model.shape.layers as f64 * LAYER_SECONDS
    }

    /// Between the widths that were measured the rate grows about as their logarithm.
    fn products_at(&self, width: u64) -> f64 {
        let [narrow, wide] = LAYERS.map(|width| (width as f64).ln());
        let place = (((width as f64).ln() - narrow) / (wide - narrow)).clamp(0., 1.);
        self.products[0] + place * (self.products[1] - self.products[0])
    }
}

/// How many threads models use.
pub fn threads() -> usize {
    lectern_kernels::threads()
}

/// Has models use so many threads; false where one was used already.
pub fn use_threads(threads: u32) -> bool {
    let threads = usize::try_from(threads).ok().and_then(NonZeroUsize::new);
    threads.is_some_and(lectern_kernels::set_threads)
}

/// The name of the processor's instructions that are used.
pub fn instructions() -> &'static str {
    Isa::current().name()
}

/// What a model's pace depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The sizes of its layers.
    pub shape: Shape,
    /// The bytes of its weights.
    pub bytes: u64,
}

/// The least time that `work` takes, of a first run and as many as there is time for. Others use
/// the processor too, and only ever make it slower.
fn least_seconds(mut work: impl FnMut() -> bool) -> f64 {
    // The first one fills caches and wakes threads.
    let mut least = f64::INFINITY;
    let mut began = None;
    loop {
        let start = Instant::now();
        if !work() {
            return f64::INFINITY;
        }
        if began.is_some() {
            least = least.min(start.elapsed().as_secs_f64());
        }
        let began = *began.get_or_insert(start);
        if began.elapsed() > LIMIT && least.is_finite() {
            return least;
        }
    }
}

fn weights(bytes: usize) -> Vec<u8> {
    // Scales that are small numbers, so that nothing is slow for being large.
    (0..bytes).map(|at| (at % 16) as u8).collect()
}

fn products(k: usize) -> f64 {
    let n = COLUMNS;
    let rhs = weights(n * Format::Q4K.row_bytes(k).unwrap_or(0));
    let (lhs, mut dst) = (vec![0.5; ROWS * k], vec![0.; ROWS * n]);
    let seconds =
        least_seconds(|| matmul(Format::Q4K, (ROWS, k, n), &lhs, &rhs, None, &mut dst).is_ok());
    (ROWS * k * n) as f64 / seconds
}

fn attention_rate() -> f64 {
    let (q_heads, kv_heads, head_dim) = (12, 2, 64);
    let (q, kv) =
        (vec![0.01; TOKENS * q_heads * head_dim], vec![0x2000; TOKENS * kv_heads * head_dim]);
    let mask: Vec<f32> = (0..TOKENS * TOKENS)
        .map(|at| if at % TOKENS > at / TOKENS { f32::NEG_INFINITY } else { 0. })
        .collect();
    let mut out = vec![0.; q.len()];
    // As the engine has them: heads one after the other.
    let strides = |heads: usize| [heads * TOKENS * head_dim, head_dim, TOKENS * head_dim];
    let of = Attention {
        q: &q,
        k: Values::F16(&kv),
        v: Values::F16(&kv),
        q_strides: strides(q_heads),
        k_strides: strides(kv_heads),
        v_strides: strides(kv_heads),
        out_strides: strides(q_heads),
        batch: 1,
        q_heads,
        kv_heads,
        q_len: TOKENS,
        kv_len: TOKENS,
        head_dim,
        mask: Some(&mask),
        scale: 0.125,
    };
    let seconds = least_seconds(|| attention(&of, &mut out).is_ok());
    (2 * TOKENS * TOKENS * q_heads * head_dim) as f64 / seconds
}

fn stream() -> f64 {
    let (k, n) = (1536, 8960);
    let bytes = n * Format::Q4K.row_bytes(k).unwrap_or(0);
    let rhs = weights(bytes * (STREAM_BYTES / bytes.max(1)));
    let (lhs, mut dst) = (vec![0.5; k], vec![0.; n]);
    let (began, mut least) = (Instant::now(), f64::INFINITY);
    // All of it is walked again and again, so that none of it waits in a cache. A slow processor
    // does not come to its end.
    for window in rhs.chunks_exact(WINDOW * bytes).cycle() {
        let start = Instant::now();
        let mut weights = window.chunks_exact(bytes);
        if !weights.all(|rhs| matmul(Format::Q4K, (1, k, n), &lhs, rhs, None, &mut dst).is_ok()) {
            return 0.;
        }
        least = least.min(start.elapsed().as_secs_f64());
        if began.elapsed() > LIMIT {
            break;
        }
    }
    (WINDOW * bytes) as f64 / least
}
