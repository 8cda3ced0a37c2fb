//! The reference in plain Rust.

use super::Kernels;
use super::panel::{Panel, Tile, Weights};
use crate::format::{Format, Unpacked, unpack};
use crate::rows::{GROUP, Row, RowMut};

pub(super) static SCALAR: Kernels = Kernels {
    // One column with one row: both then lie in memory without gaps, and the compiler
    // finds the instructions that every processor has.
    columns: 1,
    rows: 1,
    full_range: true,
    quantize,
    unpack: fill,
    dot,
    tile,
};

fn quantize(values: &[f32], row: &mut RowMut<'_>) {
    row.fill(values);
}

fn fill(panel: &mut Panel, weights: Weights<'_>) {
    panel.fill(weights);
}

/// The product of one group.
#[inline(always)]
fn dot_group(weights: &[u8], values: &[i8]) -> f32 {
    let products = weights.iter().zip(values);
    products.map(|(weight, value)| i32::from(*weight) * i32::from(*value)).sum::<i32>() as f32
}

fn dot(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    let group = format.group_len();
    let totals = if group == GROUP { row.sums } else { row.half_sums };
    let mut block = Unpacked::default();
    let mut sum = 0.0;
    for (index, bytes) in weights.chunks_exact(format.block_bytes()).enumerate() {
        unpack(format, bytes, &mut block);
        let start = index * format.block_len();
        for at in (0..format.block_len()).step_by(group) {
            let dot = dot_group(&block.quants[at..at + group], &row.quants[start + at..]);
            let scale = row.scales[(start + at) / GROUP] * block.scales[at / group];
            sum += scale * dot - block.minima[at / group] * totals[(start + at) / group];
        }
    }
    sum
}

fn tile(panel: &Panel, tile: Tile<'_>) {
    let (values, scales, totals) = (tile.values(), tile.scales(), tile.totals());
    // SAFETY: the caller's tile has one row and one column, and so has what it begins
    // with.
    let mut sum = tile.start().map_or(0.0, |(start, _)| unsafe { *start });
    for group in 0..panel.len / panel.group {
        let at = group * panel.group;
        let dot = dot_group(&panel.quants[at..at + panel.group], &values[at..]);
        let scale = scales[at / GROUP] * panel.scales[group];
        sum += scale * dot - panel.minima[group] * totals[group];
    }
    // SAFETY: as above.
    unsafe { *tile.dst = sum };
}
