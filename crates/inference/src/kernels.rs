//! Puts `lectern-kernels` in the place of candle's and mistral.rs's own code for the
//! CPU, and lets a generation be interrupted between two products.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use candle_core::kernels::{self, Kernels};
use candle_core::quantized::GgmlDType;
use candle_core::{Error, Result};
use half::slice::HalfFloatSliceExt;
use lectern_kernels::{Attention, Format, ISA_VARIABLE, ShapeError, Values};

/// The value of [`ISA_VARIABLE`] that leaves everything to candle, for comparisons.
const OFF: &str = "off";

/// What a generation that was interrupted ends with.
const INTERRUPTED: &str = "interrupted";

/// There is one generation at a time in a process, so one flag serves.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// Told when an interruption has ended.
static ENDED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// Lets the running generation end at its next product, until this is dropped.
pub(crate) struct Interrupt;

impl Interrupt {
    pub(crate) fn new() -> Self {
        INTERRUPT.store(true, Ordering::Relaxed);
        Self
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        let _ended = ENDED.0.lock().unwrap_or_else(PoisonError::into_inner);
        INTERRUPT.store(false, Ordering::Relaxed);
        ENDED.1.notify_all();
    }
}

/// Does what is not a generation, and again where one was interrupted meanwhile.
pub(crate) fn again_where_interrupted<T, E: Display>(
    work: impl Fn() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    loop {
        match work() {
            Err(error) if error.to_string().contains(INTERRUPTED) => {
                let guard = ENDED.0.lock().unwrap_or_else(PoisonError::into_inner);
                let ended = ENDED.1.wait_while(guard, |()| INTERRUPT.load(Ordering::Relaxed));
                drop(ended.unwrap_or_else(PoisonError::into_inner));
            }
            result => return result,
        }
    }
}

/// Puts the kernels to use, once.
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        if std::env::var_os(ISA_VARIABLE).is_some_and(|value| value == OFF) {
            return;
        }
        kernels::install(Kernels { matmul, attention, silu_mul, rms_norm });
    });
}

fn check_interrupt() -> Result<()> {
    if INTERRUPT.load(Ordering::Relaxed) { Err(Error::msg(INTERRUPTED)) } else { Ok(()) }
}

fn matmul(
    dtype: GgmlDType,
    mkn: (usize, usize, usize),
    lhs: &[f32],
    rhs: &[u8],
    dst: &mut [f32],
) -> Result<bool> {
    check_interrupt()?;
    let Some(format) = format(dtype) else { return Ok(false) };
    done(lectern_kernels::matmul(format, mkn, lhs, rhs, None, dst))
}

fn format(dtype: GgmlDType) -> Option<Format> {
    Some(match dtype {
        GgmlDType::Q4_0 => Format::Q4_0,
        GgmlDType::Q4_1 => Format::Q4_1,
        GgmlDType::Q5_0 => Format::Q5_0,
        GgmlDType::Q5_1 => Format::Q5_1,
        GgmlDType::Q8_0 => Format::Q8_0,
        GgmlDType::Q4K => Format::Q4K,
        GgmlDType::Q5K => Format::Q5K,
        GgmlDType::Q6K => Format::Q6K,
        _ => return None,
    })
}

fn attention(of: &kernels::Attention<'_>, out: &mut [f32]) -> Result<bool> {
    check_interrupt()?;
    if of.softcap.is_some() {
        return Ok(false);
    }
    let of = Attention {
        q: of.q,
        k: values(of.k),
        v: values(of.v),
        q_strides: of.q_strides,
        k_strides: of.k_strides,
        v_strides: of.v_strides,
        out_strides: [of.q_heads * of.q_len * of.head_dim, of.head_dim, of.q_len * of.head_dim],
        batch: of.batch,
        q_heads: of.q_heads,
        kv_heads: of.kv_heads,
        q_len: of.q_len,
        kv_len: of.kv_len,
        head_dim: of.head_dim,
        mask: of.mask,
        scale: of.scale,
    };
    done(lectern_kernels::attention(&of, out))
}

fn values(of: kernels::Values<'_>) -> Values<'_> {
    match of {
        kernels::Values::F32(values) => Values::F32(values),
        kernels::Values::F16(values) => Values::F16(values.reinterpret_cast()),
    }
}

fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) -> Result<bool> {
    done(lectern_kernels::silu_mul(gate, up, out))
}

fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> Result<bool> {
    done(lectern_kernels::rms_norm(x, weight, eps, out))
}

/// What a kernel refuses is left to candle, which handles more or says what is wrong.
fn done(result: std::result::Result<(), ShapeError>) -> Result<bool> {
    Ok(result.is_ok())
}
