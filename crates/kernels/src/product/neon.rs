//! ARM's 128 bits with the dot product of four bytes (`FEAT_DotProd`).
//!
//! Unpacking is the plain code, which the compiler turns into 128-bit instructions
//! by itself.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Kernels;
use super::panel::{Panel, Tile, Weights};
use crate::format::{Format, Unpacked, unpack};
use crate::rows::{GROUP, Row, RowMut};

pub(super) static NEON: Kernels =
    Kernels { columns: 16, rows: 4, full_range: false, quantize, unpack: fill, dot, tile };

/// Adds `Σ a·b` over each four bytes to the lanes of `sum`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add_dots(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // The intrinsic is not stable.
    asm!(
        "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
        sum = inout(vreg) sum,
        a = in(vreg) a,
        b = in(vreg) b,
        options(pure, nomem, nostack, preserves_flags)
    );
    sum
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn quantize(values: &[f32], row: &mut RowMut<'_>) {
    row.fill(values);
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn fill(panel: &mut Panel, weights: Weights<'_>) {
    panel.fill(weights);
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn dot(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    let mut block = Unpacked::default();
    let mut sums = vdupq_n_f32(0.0);
    let mut minima = 0.0;
    for (index, bytes) in weights.chunks_exact(format.block_bytes()).enumerate() {
        unpack(format, bytes, &mut block);
        let start = index * format.block_len();
        for at in (0..format.block_len()).step_by(16) {
            let mut quants = vld1q_u8(block.quants.as_ptr().add(at));
            if format == Format::Q8_0 {
                // Signed again: 8 bits and a sign do not fit the product.
                quants = veorq_u8(quants, vdupq_n_u8(0x80));
            }
            let values = vld1q_s8(row.quants.as_ptr().add(start + at));
            let dots = add_dots(vdupq_n_s32(0), vreinterpretq_s8_u8(quants), values);
            let group = at / format.group_len();
            let scale = row.scales[(start + at) / GROUP] * block.scales[group];
            sums = vfmaq_n_f32(sums, vcvtq_f32_s32(dots), scale);
            if format != Format::Q8_0 {
                minima += block.minima[group] * row.half_sums[(start + at) / 16];
            }
        }
    }
    vaddvq_f32(sums) - minima
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn tile(panel: &Panel, tile: Tile<'_>) {
    match tile.count {
        1 => tile_of::<1>(panel, &tile),
        2 => tile_of::<2>(panel, &tile),
        3 => tile_of::<3>(panel, &tile),
        _ => tile_of::<4>(panel, &tile),
    }
}

/// 16 columns, four registers, with `ROWS` rows.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile_of<const ROWS: usize>(panel: &Panel, tile: &Tile<'_>) {
    let height = tile.tiles.height;
    let fours = panel.group / 4;
    let values = tile.values().as_ptr();
    let (row_scales, totals) = (tile.scales(), tile.totals());
    let mut sums = [[vdupq_n_f32(0.0); 4]; ROWS];
    if let Some((start, stride)) = tile.start() {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = vld1q_f32(start.add(row * stride + lane * 4));
            }
        }
    }
    for group in 0..panel.len / panel.group {
        let mut dots = [[vdupq_n_s32(0); 4]; ROWS];
        for four in 0..fours {
            let at = group * fours + four;
            let quants = panel.quants.as_ptr().add(at * 64).cast::<i8>();
            let weights: [int8x16_t; 4] =
                std::array::from_fn(|lane| vld1q_s8(quants.add(lane * 16)));
            for (row, dots) in dots.iter_mut().enumerate() {
                let from = values.add((at * height + row) * 4).cast::<i32>();
                let values = vreinterpretq_s8_s32(vdupq_n_s32(from.read_unaligned()));
                for (dot, weights) in dots.iter_mut().zip(weights) {
                    *dot = add_dots(*dot, weights, values);
                }
            }
        }
        for (row, (sums, dots)) in sums.iter_mut().zip(&dots).enumerate() {
            let scale = row_scales[group * panel.group / GROUP * height + row];
            let total = totals[group * height + row];
            for lane in 0..4 {
                let at = group * 16 + lane * 4;
                let scales = vmulq_n_f32(vld1q_f32(panel.scales.as_ptr().add(at)), scale);
                let minima = vld1q_f32(panel.minima.as_ptr().add(at));
                sums[lane] = vfmaq_f32(sums[lane], vcvtq_f32_s32(dots[lane]), scales);
                sums[lane] = vfmsq_n_f32(sums[lane], minima, total);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (lane, sum) in sums.iter().enumerate() {
            vst1q_f32(tile.dst.add(row * tile.stride + lane * 4), *sum);
        }
    }
}
