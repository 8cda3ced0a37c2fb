//! `dst = lhs * rhsᵀ`, the right-hand side quantised.
//!
//! Few rows on the left (a token at a time): each row of weights is read once and
//! multiplied from registers. Many rows (a prompt): the weights are unpacked, some
//! hundred at a time, into *panels* that lie as the dot-product instruction wants
//! them, and each panel is multiplied with all rows. Weights are read from memory
//! once either way.

#[cfg(target_arch = "aarch64")]
mod neon;
mod panel;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use panel::{Panel, Tile};

use crate::cpu::Isa;
use crate::format::Format;
use crate::pool::pool;
use crate::rows::{Row, RowMut, Rows, Tiles};

/// From this many rows on, unpacking the weights first pays.
const PANEL_ROWS: usize = 5;
/// How many weights of a column a panel holds: 32 columns of them fit in the first
/// level of cache beside the activations.
const PANEL_DEPTH: usize = 512;
/// How many columns share the reading of an activation from the second level of
/// cache, at most.
const GROUP_COLUMNS: usize = 128;
/// Bytes of weights that one part of a product with few rows reads, at least: what
/// takes longer than handing it over.
const PART_BYTES: usize = 1 << 16;

/// The kernels of one instruction set.
struct Kernels {
    /// Columns of a panel.
    columns: usize,
    /// Rows of a tile, at most.
    rows: usize,
    /// Whether the dot product takes unsigned bytes above 127.
    full_range: bool,
    /// Quantises a row of activations.
    quantize: unsafe fn(&[f32], &mut RowMut<'_>),
    /// Unpacks a part of the weights.
    unpack: unsafe fn(&mut Panel, panel::Weights<'_>),
    /// The dot product of a row of weights and a row of activations.
    dot: unsafe fn(Format, &[u8], Row<'_>) -> f32,
    /// A panel times some rows, added to the destination.
    tile: unsafe fn(&Panel, Tile<'_>),
}

fn kernels(isa: Isa) -> &'static Kernels {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &x86::AVX2,
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => &x86::AVX_VNNI,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &x86::AVX512,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &neon::NEON,
        _ => &scalar::SCALAR,
    }
}

/// Why an operation cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeError;

impl std::fmt::Display for ShapeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the operands' sizes do not fit each other")
    }
}

impl std::error::Error for ShapeError {}

/// `dst[i][j] = bias[j] + Σ lhs[i][l] · rhs[j][l]` for `m` rows `i`, `n` columns `j`
/// and `k` terms: `lhs` is `m × k`, `dst` is `m × n`, `rhs` is `n` rows of `k` weights
/// in `format`, all without gaps.
///
/// The rows of `lhs` are quantised to 8 bits with a scale per 32 values, so the
/// result differs from the exact one by about 0.5% of a term's size.
///
/// # Errors
///
/// Where the slices are not of these sizes, or `k` is no whole number of blocks.
pub fn matmul(
    format: Format,
    (m, k, n): (usize, usize, usize),
    lhs: &[f32],
    rhs: &[u8],
    bias: Option<&[f32]>,
    dst: &mut [f32],
) -> Result<(), ShapeError> {
    matmul_on(Isa::current(), format, (m, k, n), lhs, rhs, bias, dst)
}

/// [`matmul`] on instructions of one's choice.
///
/// # Errors
///
/// As [`matmul`].
///
/// # Panics
///
/// Where this processor does not have them.
pub fn matmul_on(
    isa: Isa,
    format: Format,
    (m, k, n): (usize, usize, usize),
    lhs: &[f32],
    rhs: &[u8],
    bias: Option<&[f32]>,
    dst: &mut [f32],
) -> Result<(), ShapeError> {
    assert!(isa.available(), "this processor has no {}", isa.name());
    let row_bytes = format.row_bytes(k).ok_or(ShapeError)?;
    let fits = |len: usize, rows: usize, row: usize| rows.checked_mul(row) == Some(len);
    if !fits(lhs.len(), m, k) || !fits(rhs.len(), n, row_bytes) || !fits(dst.len(), m, n) {
        return Err(ShapeError);
    }
    if bias.is_some_and(|bias| bias.len() != n) || k == 0 {
        return Err(ShapeError);
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    let kernels = kernels(isa);
    let weights = Columns { format, bytes: rhs, row_bytes, bias, n };
    let dst = Matrix { start: dst.as_mut_ptr(), stride: n };
    if m < PANEL_ROWS {
        few_rows(kernels, &quantize(kernels, k, lhs), &weights, &dst);
    } else {
        let tiles = tiles(kernels, k, lhs, format.group_len());
        many_rows(kernels, &tiles, &weights, &dst);
    }
    Ok(())
}

/// The right-hand side.
struct Columns<'a> {
    format: Format,
    bytes: &'a [u8],
    row_bytes: usize,
    bias: Option<&'a [f32]>,
    n: usize,
}

/// The destination, which the parts of a product write to side by side.
struct Matrix {
    start: *mut f32,
    stride: usize,
}

// SAFETY: each part writes to columns of its own.
unsafe impl Sync for Matrix {}

impl Matrix {
    /// # Safety
    ///
    /// The element must be inside the matrix.
    unsafe fn at(&self, row: usize, column: usize) -> *mut f32 {
        self.start.add(row * self.stride + column)
    }
}

fn quantize(kernels: &Kernels, k: usize, lhs: &[f32]) -> Rows {
    let mut rows = Rows::new(k, lhs.len() / k);
    for (mut row, values) in rows.parts().zip(lhs.chunks_exact(k)) {
        // SAFETY: `kernels` are of instructions that are there.
        unsafe { (kernels.quantize)(values, &mut row) };
    }
    rows
}

fn tiles(kernels: &Kernels, k: usize, lhs: &[f32], group: usize) -> Tiles {
    let mut tiles = Tiles::new(k, kernels.rows, lhs.len() / k, group);
    let parts: Vec<_> =
        tiles.parts().zip(lhs.chunks(kernels.rows * k)).map(std::sync::Mutex::new).collect();
    pool().run(parts.len(), |index| {
        // Each part is taken once, so nobody waits.
        let mut part = parts[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (tile, values) = &mut *part;
        let rows = quantize(kernels, k, values);
        for row in 0..rows.len() {
            tile.put(row, rows.row(row));
        }
    });
    drop(parts);
    tiles
}

fn few_rows(kernels: &Kernels, rows: &Rows, weights: &Columns<'_>, dst: &Matrix) {
    let &Columns { format, bytes, row_bytes, bias, n } = weights;
    let part = (PART_BYTES / row_bytes).clamp(1, n);
    pool().run(n.div_ceil(part), |index| {
        for column in index * part..((index + 1) * part).min(n) {
            let weights = &bytes[column * row_bytes..][..row_bytes];
            let bias = bias.map_or(0.0, |bias| bias[column]);
            for row in 0..rows.len() {
                // SAFETY: `kernels` are of instructions that are there, and the
                // element is inside `dst`.
                unsafe {
                    *dst.at(row, column) = bias + (kernels.dot)(format, weights, rows.row(row));
                }
            }
        }
    });
}

fn many_rows(kernels: &Kernels, rows: &Tiles, weights: &Columns<'_>, dst: &Matrix) {
    let &Columns { format, bytes, row_bytes, bias, n } = weights;
    let k = rows.k;
    let width = kernels.columns;
    let panels = n.div_ceil(width);
    // Some parts for each thread, so that none waits long for the last one.
    let share = panels.div_ceil(crate::pool::threads() * 3).clamp(1, GROUP_COLUMNS / width);
    pool().run(panels.div_ceil(share), |index| {
        let first = index * share;
        let count = share.min(panels - first);
        let mut unpacked: Vec<Panel> =
            (0..count).map(|_| Panel::new(format, width, PANEL_DEPTH.min(k))).collect();
        // Where the last panel is not full, its tiles are made here.
        let mut spare = vec![0.0; kernels.rows * width];
        let mut spare_bias = vec![0.0; width];

        for depth in (0..k).step_by(PANEL_DEPTH) {
            let len = PANEL_DEPTH.min(k - depth);
            for (panel, unpacked) in unpacked.iter_mut().enumerate() {
                let column = (first + panel) * width;
                let weights = panel::Weights {
                    format,
                    rows: &bytes[column * row_bytes..((column + width).min(n)) * row_bytes],
                    row_bytes,
                    depth,
                    len,
                    full_range: kernels.full_range,
                };
                // SAFETY: `kernels` are of instructions that are there.
                unsafe { (kernels.unpack)(unpacked, weights) };
            }
            for (panel, unpacked) in unpacked.iter().enumerate() {
                let column = (first + panel) * width;
                let full = column + width <= n;
                if let Some(bias) = bias {
                    let columns = width.min(n - column);
                    spare_bias[..columns].copy_from_slice(&bias[column..column + columns]);
                }
                for row in (0..rows.rows).step_by(kernels.rows) {
                    let count = kernels.rows.min(rows.rows - row);
                    // SAFETY: the tile is inside `dst`, or is `spare`, which is as
                    // large as a tile; the columns are this part's own.
                    unsafe {
                        let there = dst.at(row, column);
                        let tile = |start, stride| Tile {
                            tiles: rows,
                            index: row / kernels.rows,
                            count,
                            depth,
                            dst: start,
                            stride,
                            fresh: depth == 0,
                            bias: match bias {
                                Some(_) => spare_bias.as_ptr(),
                                None => std::ptr::null(),
                            },
                        };
                        if full {
                            (kernels.tile)(unpacked, tile(there, dst.stride));
                            continue;
                        }
                        let columns = n - column;
                        for index in 0..count {
                            let line = there.add(index * dst.stride);
                            let copy = spare.as_mut_ptr().add(index * width);
                            std::ptr::copy_nonoverlapping(line, copy, columns);
                        }
                        (kernels.tile)(unpacked, tile(spare.as_mut_ptr(), width));
                        for index in 0..count {
                            let line = there.add(index * dst.stride);
                            let copy = spare.as_ptr().add(index * width);
                            std::ptr::copy_nonoverlapping(copy, line, columns);
                        }
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests;
