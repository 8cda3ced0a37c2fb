//! The other operand of a product: rows of activations, quantised on the fly.

use crate::aligned::Buffer;

/// How many values share a scale.
pub(crate) const GROUP: usize = 32;

/// Rows of `k` values in 8 bits, a scale per 32 values (as GGUF's `Q8_0`), with
/// the sums that the weights' minima are multiplied by.
pub(crate) struct Rows {
    pub(crate) k: usize,
    /// `rows * k` values between -127 and 127.
    pub(crate) quants: Buffer<i8>,
    /// `rows * k / 32`.
    pub(crate) scales: Buffer<f32>,
    /// Of the quantised values of each group of 32, scaled; `rows * k / 32`.
    pub(crate) sums: Buffer<f32>,
    /// The same for each half of a group; `rows * k / 16`. The weights' groups are
    /// that small in one format.
    pub(crate) half_sums: Buffer<f32>,
}

/// One row of [`Rows`].
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) quants: &'a [i8],
    pub(crate) scales: &'a [f32],
    pub(crate) sums: &'a [f32],
    pub(crate) half_sums: &'a [f32],
}

impl Rows {
    pub(crate) fn new(k: usize, rows: usize) -> Self {
        debug_assert!(k.is_multiple_of(GROUP));
        let groups = rows * k / GROUP;
        Self {
            k,
            quants: Buffer::new(rows * k),
            scales: Buffer::new(groups),
            sums: Buffer::new(groups),
            half_sums: Buffer::new(groups * 2),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.quants.len() / self.k
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        let groups = self.k / GROUP;
        Row {
            quants: &self.quants[row * self.k..][..self.k],
            scales: &self.scales[row * groups..][..groups],
            sums: &self.sums[row * groups..][..groups],
            half_sums: &self.half_sums[row * groups * 2..][..groups * 2],
        }
    }

    /// The rows as parts of one each, to be filled independently.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = RowMut<'_>> {
        let groups = self.k / GROUP;
        let quants = self.quants.chunks_exact_mut(self.k);
        let scales = self.scales.chunks_exact_mut(groups);
        let sums = self.sums.chunks_exact_mut(groups);
        let half_sums = self.half_sums.chunks_exact_mut(groups * 2);
        quants
            .zip(scales)
            .zip(sums.zip(half_sums))
            .map(|((quants, scales), (sums, half_sums))| RowMut { quants, scales, sums, half_sums })
    }
}

/// One row of [`Rows`], to be written.
pub(crate) struct RowMut<'a> {
    pub(crate) quants: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [f32],
    pub(crate) half_sums: &'a mut [f32],
}

impl RowMut<'_> {
    /// Quantises `values`, as many as there is room for. To be inlined into a
    /// function that names the instructions it may use.
    #[inline(always)]
    pub(crate) fn fill(&mut self, values: &[f32]) {
        let groups = values.chunks_exact(GROUP).zip(self.quants.chunks_exact_mut(GROUP));
        for (index, (values, quants)) in groups.enumerate() {
            let mut largest = [0.0_f32; 8];
            for part in values.chunks_exact(8) {
                for lane in 0..8 {
                    let value = part[lane].abs();
                    // Not `f32::max`, which takes extra instructions for NaN.
                    largest[lane] = if value > largest[lane] { value } else { largest[lane] };
                }
            }
            let largest = largest.into_iter().fold(0.0, f32::max);
            let scale = scale(largest, values.iter().any(|value| value.is_nan()));
            let inverse = inverse(scale);
            let mut sums = [0; 2];
            for half in 0..2 {
                for lane in half * 16..half * 16 + 16 {
                    // Rounds to the nearest by adding 1.5 * 2^23, whose unit is 1; of NaN, whose
                    // scale is NaN, any byte will do.
                    let rounded = values[lane] * inverse + 12_582_912.0;
                    let quant = rounded.to_bits() as i8;
                    quants[lane] = quant;
                    sums[half] += i32::from(quant);
                }
            }
            self.scales[index] = scale;
            self.sums[index] = scale * (sums[0] + sums[1]) as f32;
            self.half_sums[index * 2] = scale * sums[0] as f32;
            self.half_sums[index * 2 + 1] = scale * sums[1] as f32;
        }
    }
}

/// The scale of a group by its largest magnitude. What is no number makes all of it
/// none, so that a fault is seen and does not look like a result.
#[inline(always)]
pub(crate) fn scale(largest: f32, nan: bool) -> f32 {
    if nan { f32::NAN } else { largest / 127.0 }
}

/// What values are multiplied by; zero where they are next to nothing or no numbers.
#[inline(always)]
pub(crate) fn inverse(scale: f32) -> f32 {
    if scale > f32::MIN_POSITIVE && scale.is_finite() { 1.0 / scale } else { 0.0 }
}

/// Many rows, interleaved for tiles of `height` rows: what a tile reads lies in the
/// order in which it reads it. The last tile is filled up with zeros.
pub(crate) struct Tiles {
    pub(crate) k: usize,
    pub(crate) height: usize,
    pub(crate) rows: usize,
    /// How many values share a total: what shares a scale among the weights.
    pub(crate) group: usize,
    /// Four values of each row, then the next four.
    pub(crate) quants: Buffer<i8>,
    /// A scale of each row, then those of the next group of 32.
    pub(crate) scales: Buffer<f32>,
    /// A sum of each row, then those of the next group.
    pub(crate) totals: Buffer<f32>,
}

impl Tiles {
    pub(crate) fn new(k: usize, height: usize, rows: usize, group: usize) -> Self {
        let room = rows.next_multiple_of(height) * k;
        Self {
            k,
            height,
            rows,
            group,
            quants: Buffer::new(room),
            scales: Buffer::new(room / GROUP),
            totals: Buffer::new(room / group),
        }
    }

    /// The tiles, to be filled independently.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = TileMut<'_>> {
        let (k, height, group) = (self.k, self.height, self.group);
        let quants = self.quants.chunks_exact_mut(k * height);
        let scales = self.scales.chunks_exact_mut(k / GROUP * height);
        let totals = self.totals.chunks_exact_mut(k / group * height);
        let parts = quants.zip(scales.zip(totals));
        parts.map(move |(quants, (scales, totals))| TileMut {
            height,
            group,
            quants,
            scales,
            totals,
        })
    }
}

/// One tile of [`Tiles`], to be written.
pub(crate) struct TileMut<'a> {
    height: usize,
    group: usize,
    quants: &'a mut [i8],
    scales: &'a mut [f32],
    totals: &'a mut [f32],
}

impl TileMut<'_> {
    /// Takes a row as the `index`th of the tile.
    pub(crate) fn put(&mut self, index: usize, row: Row<'_>) {
        let height = self.height;
        for (to, from) in self.quants.chunks_exact_mut(4 * height).zip(row.quants.chunks_exact(4)) {
            to[index * 4..index * 4 + 4].copy_from_slice(from);
        }
        for (to, from) in self.scales.chunks_exact_mut(height).zip(row.scales) {
            to[index] = *from;
        }
        let of_group = if self.group == GROUP { row.sums } else { row.half_sums };
        for (to, from) in self.totals.chunks_exact_mut(height).zip(of_group) {
            to[index] = *from;
        }
    }
}
