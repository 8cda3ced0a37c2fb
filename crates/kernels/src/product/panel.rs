//! Weights unpacked for the dot-product instructions.

use crate::aligned::Buffer;
use crate::format::{Format, Unpacked, unpack};
use crate::rows::{GROUP, Tiles};

/// Some columns of the product, `len` weights of each.
pub(super) struct Panel {
    /// Columns, those included that are beyond the matrix.
    pub(super) columns: usize,
    /// Weights of each column.
    pub(super) len: usize,
    /// How many weights share a scale: 16 or 32.
    pub(super) group: usize,
    /// Whether `quants` are signed; their minima are then zero.
    pub(super) signed: bool,
    /// The largest of `quants` where they are unsigned.
    pub(super) largest: u8,
    /// Four weights of the first column, four of the second, …, then the next
    /// four of the first.
    pub(super) quants: Buffer<u8>,
    /// A scale per column, then those of the next group.
    pub(super) scales: Buffer<f32>,
    /// As `scales`.
    pub(super) minima: Buffer<f32>,
}

/// Which weights to unpack.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) format: Format,
    /// The columns' weights, one column after the other; at most as many columns
    /// as the panel has.
    pub(super) rows: &'a [u8],
    pub(super) row_bytes: usize,
    /// Where to begin in each, a whole number of blocks.
    pub(super) depth: usize,
    /// How many of each, a whole number of blocks.
    pub(super) len: usize,
    /// Whether the dot product takes unsigned bytes above 127.
    pub(super) full_range: bool,
}

/// A tile of rows, and where its product with a panel goes.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) tiles: &'a Tiles,
    /// Which of the tiles.
    pub(super) index: usize,
    /// How many of its rows there are.
    pub(super) count: usize,
    /// Which of the rows' values the panel's first weights belong to.
    pub(super) depth: usize,
    /// The element of the first row and the panel's first column.
    pub(super) dst: *mut f32,
    /// From a row of the destination to the next.
    pub(super) stride: usize,
    /// Whether the destination holds nothing yet; otherwise it is added to.
    pub(super) fresh: bool,
    /// What a fresh sum begins with, for each of the panel's columns; null for zero.
    pub(super) bias: *const f32,
}

impl Tile<'_> {
    /// The tile's values from `depth` on: four of each row, then the next four.
    #[inline(always)]
    pub(super) fn values(&self) -> &[i8] {
        &self.tiles.quants[(self.index * self.tiles.k + self.depth) * self.tiles.height..]
    }

    /// Their scales: one of each row, then those of the next group of 32.
    #[inline(always)]
    pub(super) fn scales(&self) -> &[f32] {
        let groups = (self.index * self.tiles.k + self.depth) / GROUP;
        &self.tiles.scales[groups * self.tiles.height..]
    }

    /// Their sums: one of each row, then those of the next group of weights.
    #[inline(always)]
    pub(super) fn totals(&self) -> &[f32] {
        let groups = (self.index * self.tiles.k + self.depth) / self.tiles.group;
        &self.tiles.totals[groups * self.tiles.height..]
    }

    /// Where the sums begin, and from a row to the next; zeros where there is nothing.
    #[inline(always)]
    pub(super) fn start(&self) -> Option<(*const f32, usize)> {
        if !self.fresh {
            return Some((self.dst, self.stride));
        }
        (!self.bias.is_null()).then_some((self.bias, 0))
    }
}

impl Panel {
    pub(super) fn new(format: Format, columns: usize, len: usize) -> Self {
        let group = format.group_len();
        Self {
            columns,
            len: 0,
            group,
            signed: false,
            largest: match format {
                Format::Q4_0 | Format::Q4_1 | Format::Q4K => 15,
                Format::Q5_0 | Format::Q5_1 | Format::Q5K => 31,
                Format::Q6K => 63,
                Format::Q8_0 => 255,
            },
            quants: Buffer::new(columns * len),
            scales: Buffer::new(columns * len / group),
            minima: Buffer::new(columns * len / group),
        }
    }

    /// To be inlined into a function that names the instructions it may use.
    #[inline(always)]
    pub(super) fn fill(&mut self, weights: Weights<'_>) {
        let Weights { format, depth, len, .. } = weights;
        self.len = len;
        self.signed = self.largest == 255 && !weights.full_range;
        // One loop per format, so that the compiler sees its blocks.
        match format {
            Format::Q4_0 => self.fill_with::<{ Format::Q4_0 as u8 }>(weights),
            Format::Q4_1 => self.fill_with::<{ Format::Q4_1 as u8 }>(weights),
            Format::Q5_0 => self.fill_with::<{ Format::Q5_0 as u8 }>(weights),
            Format::Q5_1 => self.fill_with::<{ Format::Q5_1 as u8 }>(weights),
            Format::Q8_0 => self.fill_with::<{ Format::Q8_0 as u8 }>(weights),
            Format::Q4K => self.fill_with::<{ Format::Q4K as u8 }>(weights),
            Format::Q5K => self.fill_with::<{ Format::Q5K as u8 }>(weights),
            Format::Q6K => self.fill_with::<{ Format::Q6K as u8 }>(weights),
        }
        debug_assert!(depth.is_multiple_of(format.block_len()));
    }

    #[inline(always)]
    fn fill_with<const FORMAT: u8>(&mut self, weights: Weights<'_>) {
        let format = const { Format::ALL[FORMAT as usize] };
        let Weights { rows, row_bytes, depth, len, .. } = weights;
        let (block_len, block_bytes) = (format.block_len(), format.block_bytes());
        let columns = self.columns;
        let groups = block_len / self.group;
        let mut block = Unpacked::default();
        for (column, row) in rows.chunks_exact(row_bytes).enumerate() {
            let row = &row[depth / block_len * block_bytes..][..len / block_len * block_bytes];
            for (index, bytes) in row.chunks_exact(block_bytes).enumerate() {
                unpack(format, bytes, &mut block);
                if self.signed {
                    block.quants[..block_len].iter_mut().for_each(|quant| *quant ^= 0x80);
                    block.minima[..groups].fill(0.0);
                }
                let start = index * block_len * columns + column * 4;
                for (four, quants) in block.quants[..block_len].chunks_exact(4).enumerate() {
                    let at = start + four * 4 * columns;
                    self.quants[at..at + 4].copy_from_slice(quants);
                }
                for group in 0..groups {
                    let at = (index * groups + group) * columns + column;
                    self.scales[at] = block.scales[group];
                    self.minima[at] = block.minima[group];
                }
            }
        }
    }
}
