//! What lies between the products of a model, row by row.

use std::sync::{Mutex, PoisonError};

use crate::cpu::Isa;
use crate::pool::pool;
use crate::product::ShapeError;
use crate::vector::{Vector, dispatch, lanes};

/// Floats that one thread takes at a time.
const PART: usize = 1 << 14;

/// `out[i] = silu(gate[i]) · up[i]` with `silu(x) = x / (1 + e^-x)` (Shazeer, "GLU
/// Variants Improve Transformer", 2020).
///
/// # Errors
///
/// Where the slices differ in length.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
    if gate.len() != up.len() || gate.len() != out.len() {
        return Err(ShapeError);
    }
    let isa = Isa::current();
    for_rows(PART, out, |part, out| {
        let (gate, up) = (&gate[part * PART..], &up[part * PART..]);
        // SAFETY: `isa` is there.
        unsafe { dispatch!(isa, fn silu_mul_body(gate: &[f32], up: &[f32], out: &mut [f32])) }
    });
    Ok(())
}

#[inline(always)]
unsafe fn silu_mul_body<V: Vector>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let one = V::splat(1.0);
    for at in lanes::<V>(out.len()) {
        let x = at.load(gate);
        let exp = V::zero().sub(x).exp();
        // `exp` ends at e^88, which would not be enough below.
        let x = x.max(V::splat(-100.0));
        at.store(x.div(one.add(exp)).mul(at.load(up)), out);
    }
}

/// The Gaussian error linear unit, `x · Φ(x)`, in place (Hendrycks and Gimpel,
/// 2016). Φ is by formula 7.1.26 of Abramowitz and Stegun, whose error is below
/// 1.5e-7.
pub fn gelu(values: &mut [f32]) {
    let isa = Isa::current();
    for_rows(PART, values, |_, values| {
        // SAFETY: `isa` is there.
        unsafe { dispatch!(isa, fn gelu_body(values: &mut [f32])) }
    });
}

#[inline(always)]
unsafe fn gelu_body<V: Vector>(values: &mut [f32]) {
    let one = V::splat(1.0);
    for at in lanes::<V>(values.len()) {
        let x = at.load(values);
        // At most 20, where Φ is 0 or 1 already, so that infinities come out right.
        let most = V::zero().sub(V::zero().sub(x.max(V::zero().sub(x))).max(V::splat(-20.0)));
        let size = most.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = one.div(size.fma(V::splat(0.327_591_1), one));
        let mut sum = V::splat(1.061_405_4);
        for coefficient in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
            sum = sum.fma(t, V::splat(coefficient));
        }
        // 1 - erf(|x|/√2)
        let rest = sum.mul(t).mul(V::zero().sub(size.mul(size)).exp());
        // x·Φ(x) = max(x, 0) - |x|·rest/2
        at.store(x.max(V::zero()).sub(most.mul(rest).mul(V::splat(0.5))), values);
    }
}

/// Each row divided by the root of its mean square, times `weight` (Zhang and
/// Sennrich, "Root Mean Square Layer Normalization", 2019). Rows are as long as
/// `weight`.
///
/// # Errors
///
/// Where the slices are of no whole number of rows, or differ.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> Result<(), ShapeError> {
    let width = weight.len();
    if width == 0 || x.len() != out.len() || !x.len().is_multiple_of(width) {
        return Err(ShapeError);
    }
    let isa = Isa::current();
    let rows = (PART / width).max(1);
    for_rows(rows * width, out, |part, out| {
        for (row, out) in x[part * rows * width..].chunks(width).zip(out.chunks_mut(width)) {
            // SAFETY: `isa` is there.
            unsafe {
                dispatch!(isa, fn rms_norm_body(row: &[f32], weight: &[f32], eps: f32, out: &mut [f32]));
            }
        }
    });
    Ok(())
}

#[inline(always)]
unsafe fn rms_norm_body<V: Vector>(row: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mut sum = V::zero();
    for at in lanes::<V>(row.len()) {
        let x = at.load(row);
        sum = x.fma(x, sum);
    }
    let mean = sum.total() / row.len() as f32;
    let scale = V::splat(1.0 / (mean + eps).sqrt());
    for at in lanes::<V>(out.len()) {
        at.store(at.load(row).mul(scale).mul(at.load(weight)), out);
    }
}

/// `x + residual`, normalised row by row to mean 0 and variance 1, times `weight`
/// plus `bias`, in the place of `x` (Ba, Kiros and Hinton, "Layer Normalization",
/// 2016). Rows are as long as `weight`.
///
/// # Errors
///
/// Where the slices are of no whole number of rows, or differ.
pub fn add_layer_norm(
    x: &mut [f32],
    residual: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) -> Result<(), ShapeError> {
    let width = weight.len();
    if width == 0
        || bias.len() != width
        || x.len() != residual.len()
        || !x.len().is_multiple_of(width)
    {
        return Err(ShapeError);
    }
    let isa = Isa::current();
    let rows = (PART / width).max(1);
    for_rows(rows * width, x, |part, x| {
        for (x, residual) in x.chunks_mut(width).zip(residual[part * rows * width..].chunks(width))
        {
            // SAFETY: `isa` is there.
            unsafe {
                dispatch!(
                    isa,
                    fn layer_norm_body(
                        x: &mut [f32],
                        residual: &[f32],
                        weight: &[f32],
                        bias: &[f32],
                        eps: f32,
                    )
                );
            }
        }
    });
    Ok(())
}

#[inline(always)]
unsafe fn layer_norm_body<V: Vector>(
    x: &mut [f32],
    residual: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) {
    let mut sum = V::zero();
    for at in lanes::<V>(x.len()) {
        let value = at.load(x).add(at.load(residual));
        sum = sum.add(value);
        at.store(value, x);
    }
    let width = x.len() as f32;
    let mean = sum.total() / width;
    let mut squares = V::zero();
    // Not the lanes beyond the row, which are zero and would not be without the mean.
    let whole = x.len() / V::LANES * V::LANES;
    for at in lanes::<V>(whole) {
        let value = at.load(x).sub(V::splat(mean));
        squares = value.fma(value, squares);
    }
    let rest: f32 = x[whole..].iter().map(|value| (value - mean) * (value - mean)).sum();
    let variance = (squares.total() + rest) / width;
    let (mean, scale) = (V::splat(mean), V::splat(1.0 / (variance + eps).sqrt()));
    for at in lanes::<V>(x.len()) {
        let value = at.load(x).sub(mean).mul(scale).fma(at.load(weight), at.load(bias));
        at.store(value, x);
    }
}

/// Calls `task` with parts of `out` of `len` floats and their numbers, on all
/// threads.
fn for_rows(len: usize, out: &mut [f32], task: impl Fn(usize, &mut [f32]) + Sync) {
    let parts: Vec<_> = out.chunks_mut(len).map(Mutex::new).collect();
    pool().run(parts.len(), |index| {
        // Each part is taken once, so nobody waits.
        task(index, &mut parts[index].lock().unwrap_or_else(PoisonError::into_inner));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn values(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 40.0).collect()
    }

    fn near(value: f32, expected: f64, name: &str) {
        let off = (f64::from(value) - expected).abs();
        assert!(off <= expected.abs() * 3e-6 + 3e-6, "{name}: {value}, expected {expected}");
    }

    /// The error function by its series (Abramowitz and Stegun, 7.1.5).
    fn erf(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn activations_are_what_their_formulas_say() {
        for len in [1, 7, 8, 16, 33, 40_000] {
            let (gate, up) = (values(len), values(len + 3)[3..].to_vec());
            let mut out = vec![f32::NAN; len];
            silu_mul(&gate, &up, &mut out).unwrap();
            for i in 0..len {
                let x = f64::from(gate[i]);
                near(out[i], x / (1.0 + (-x).exp()) * f64::from(up[i]), "silu");
            }
            let mut out = gate.clone();
            gelu(&mut out);
            for i in 0..len {
                let x = f64::from(gate[i]);
                near(out[i], x * 0.5 * (1.0 + erf(x / 2.0_f64.sqrt())), "gelu");
            }
        }
        let far = [f32::MIN, -1e30, -200.0, -88.5, 88.5, 200.0];
        let mut out = [0.0; 6];
        silu_mul(&far, &[1.0; 6], &mut out).unwrap();
        assert!(out[..4].iter().all(|value| value.abs() < 1e-30), "{out:?}");
        assert_eq!(out[4..], [88.5, 200.0]);
        let mut out = [f32::NEG_INFINITY, f32::MIN, -30.0, 30.0, f32::MAX, f32::INFINITY];
        gelu(&mut out);
        assert!(out[..3].iter().all(|value| value.abs() < 1e-30), "{out:?}");
        assert_eq!(out[3..], [30.0, f32::MAX, f32::INFINITY]);
    }

    #[test]
    fn norms_are_what_their_formulas_say() {
        for width in [1, 5, 16, 17, 576] {
            for rows in [1, 3, 70] {
                let x = values(rows * width);
                let weight: Vec<f32> = values(width + 1)[1..].to_vec();
                let bias: Vec<f32> = values(width + 2)[2..].to_vec();
                let mut out = vec![f32::NAN; x.len()];
                rms_norm(&x, &weight, 1e-6, &mut out).unwrap();
                for (row, out) in x.chunks(width).zip(out.chunks(width)) {
                    let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                    let root = (squares / width as f64 + 1e-6).sqrt();
                    for i in 0..width {
                        near(out[i], f64::from(row[i]) / root * f64::from(weight[i]), "rms");
                    }
                }
                let residual = values(x.len() + 5)[5..].to_vec();
                let mut out = x.clone();
                add_layer_norm(&mut out, &residual, &weight, &bias, 1e-5).unwrap();
                for (row, out) in (0..rows).zip(out.chunks(width)) {
                    let sums: Vec<f64> = (0..width)
                        .map(|i| f64::from(x[row * width + i] + residual[row * width + i]))
                        .collect();
                    let mean = sums.iter().sum::<f64>() / width as f64;
                    let squares: f64 = sums.iter().map(|x| (x - mean).powi(2)).sum();
                    let root = (squares / width as f64 + 1e-5).sqrt();
                    for i in 0..width {
                        let expected = (sums[i] - mean) / root * f64::from(weight[i]);
                        near(out[i], expected + f64::from(bias[i]), "layer norm");
                    }
                }
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert_eq!(silu_mul(&[0.0], &[0.0; 2], &mut [0.0]), Err(ShapeError));
        assert_eq!(rms_norm(&[0.0; 3], &[1.0; 2], 0.1, &mut [0.0; 3]), Err(ShapeError));
        assert_eq!(rms_norm(&[], &[], 0.1, &mut []), Err(ShapeError));
        let short = add_layer_norm(&mut [0.0; 4], &[0.0; 4], &[1.0; 2], &[1.0], 0.1);
        assert_eq!(short, Err(ShapeError));
    }
}
