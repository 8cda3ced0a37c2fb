//! Scaled dot-product attention, without a matrix of scores.
//!
//! The keys are walked in blocks, with a running maximum and sum per row (Milakov
//! and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al.,
//! "FlashAttention", 2022). The queries of all heads that share keys and values are
//! rows of the same products, so each key and value is read once for all of them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::aligned::Buffer;
use crate::cpu::Isa;
use crate::pool::pool;
use crate::product::ShapeError;
use crate::vector::{Element, Vector, dispatch, halves};

/// Keys of a block: a whole number of registers of any kind, two at a time.
const BLOCK: usize = 64;
/// Rows that one part works on, about; their queries and sums fit in the first
/// levels of cache beside a block of keys.
const ROWS: usize = 64;
/// Up to so many rows, transposing the keys costs more than it saves.
const FEW_ROWS: usize = 16;
/// Rows of a tile of a product; with two registers of columns the sums take twelve.
const TILE_ROWS: usize = 6;

/// Keys or values, as they are kept.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 32 bits.
    F32(&'a [f32]),
    /// The bits of numbers in half precision (IEEE 754).
    F16(&'a [u16]),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        }
    }
}

/// Keys and values of one type: what the kernels are compiled for.
#[derive(Clone, Copy)]
struct Cached<'a, E> {
    k: &'a [E],
    v: &'a [E],
}

/// Queries, keys and values, and how they lie in memory: the element of batch `b`,
/// position `i`, head `h` and dimension `d` of the queries is at
/// `b·strides[0] + i·strides[1] + h·strides[2] + d`.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// The queries.
    pub q: &'a [f32],
    /// The keys.
    pub k: Values<'a>,
    /// The values, of the same type.
    pub v: Values<'a>,
    /// Of batch, position and head, in elements.
    pub q_strides: [usize; 3],
    /// Of batch, position and head, in elements.
    pub k_strides: [usize; 3],
    /// Of batch, position and head, in elements.
    pub v_strides: [usize; 3],
    /// Of the result: batch, position and head, in elements.
    pub out_strides: [usize; 3],
    /// Sequences.
    pub batch: usize,
    /// Heads of the queries, a multiple of `kv_heads`.
    pub q_heads: usize,
    /// Heads of the keys and values.
    pub kv_heads: usize,
    /// Positions of the queries.
    pub q_len: usize,
    /// Positions of the keys and values.
    pub kv_len: usize,
    /// Dimensions of a head, of keys and values alike.
    pub head_dim: usize,
    /// Added to the scores of all heads, `q_len × kv_len`: 0, or minus infinity for
    /// what a query must not see.
    pub mask: Option<&'a [f32]>,
    /// Multiplies the products of queries and keys.
    pub scale: f32,
}

/// Writes `softmax(scale · Q · Kᵀ + mask) · V` to `out`, which has the queries' sizes.
/// A query that sees no key gets zeros.
///
/// # Errors
///
/// Where sizes do not fit each other, `head_dim` is no multiple of 16, or two
/// elements of the result would be one.
pub fn attention(of: &Attention<'_>, out: &mut [f32]) -> Result<(), ShapeError> {
    attention_on(Isa::current(), of, out)
}

pub(crate) fn attention_on(
    isa: Isa,
    of: &Attention<'_>,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    of.check(out.len()).ok_or(ShapeError)?;
    match (of.k, of.v) {
        (Values::F32(k), Values::F32(v)) => attend(isa, of, Cached { k, v }, out),
        (Values::F16(k), Values::F16(v)) => {
            attend(isa, of, Cached { k: halves(k), v: halves(v) }, out);
        }
        _ => return Err(ShapeError),
    }
    Ok(())
}

fn attend<E: Element>(isa: Isa, of: &Attention<'_>, cached: Cached<'_, E>, out: &mut [f32]) {
    if of.batch * of.q_heads * of.q_len == 0 {
        return;
    }
    if of.kv_len == 0 {
        for (batch, head) in (0..of.batch).flat_map(|b| (0..of.q_heads).map(move |h| (b, h))) {
            for position in 0..of.q_len {
                out[of.out_at(batch, position, head)..][..of.head_dim].fill(0.0);
            }
        }
        return;
    }
    let out = &Output(out.as_mut_ptr());
    let group = of.q_heads / of.kv_heads;
    // SAFETY, here and below: `isa` is there, and `check` saw that all is inside.
    if of.q_len * group <= FEW_ROWS {
        pool().run(of.batch * of.kv_heads, |index| {
            let (batch, head) = (index / of.kv_heads, index % of.kv_heads);
            unsafe {
                dispatch!(
                    isa,
                    fn few_rows<E: Element>(
                        of: &Attention<'_>,
                        cached: Cached<'_, E>,
                        batch: usize,
                        head: usize,
                        out: &Output,
                    )
                );
            }
        });
        return;
    }

    let blocks = of.kv_len.div_ceil(BLOCK);
    let keys = transposed(of, cached.k, blocks);
    let visible = visible(of);
    let visible = visible.as_slice();
    let positions = ROWS.div_ceil(group).min(of.q_len);
    let per_head = of.q_len.div_ceil(positions);
    let heads = of.batch * of.kv_heads;
    pool().run(per_head * heads, |index| {
        // The last positions see the most keys, so they come first.
        let (part, head) = (per_head - 1 - index / heads, index % heads);
        let (batch, head) = (head / of.kv_heads, head % of.kv_heads);
        let positions = part * positions..((part + 1) * positions).min(of.q_len);
        let len = blocks * BLOCK * of.head_dim;
        let keys = &keys[(batch * of.kv_heads + head) * len..][..len];
        unsafe {
            dispatch!(
                isa,
                fn many_rows<E: Element>(
                    of: &Attention<'_>,
                    cached: Cached<'_, E>,
                    batch: usize,
                    head: usize,
                    positions: Range<usize>,
                    keys: &[f32],
                    visible: &[Range<usize>],
                    out: &Output,
                )
            );
        }
    });
}

impl Attention<'_> {
    fn check(&self, out: usize) -> Option<()> {
        let product = |sizes: &[usize]| {
            sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
        };
        let sizes_fit = self.kv_heads > 0
            && self.q_heads.is_multiple_of(self.kv_heads)
            && self.head_dim > 0
            && self.head_dim.is_multiple_of(16);
        // What is set aside for the transposed keys, and for the scores of few rows.
        let width = self.kv_len.checked_next_multiple_of(BLOCK)?;
        let room = |sizes: &[usize]| Some(product(sizes)? <= isize::MAX as usize / 8);
        let sizes_fit = sizes_fit
            && room(&[self.batch, self.kv_heads, width, self.head_dim])?
            && room(&[FEW_ROWS, width])?;
        let mask_fits = match self.mask {
            Some(mask) => product(&[self.q_len, self.kv_len])? == mask.len(),
            None => true,
        };
        let inside = |len: usize, strides: [usize; 3], positions: usize, heads: usize| {
            if self.batch == 0 || positions == 0 || heads == 0 {
                return Some(true);
            }
            let last = [self.batch - 1, positions - 1, heads - 1];
            let last =
                last.into_iter().zip(strides).try_fold(0_usize, |sum, (index, stride)| {
                    sum.checked_add(index.checked_mul(stride)?)
                })?;
            Some(last.checked_add(self.head_dim)? <= len)
        };
        let all_inside = inside(self.q.len(), self.q_strides, self.q_len, self.q_heads)?
            && inside(self.k.len(), self.k_strides, self.kv_len, self.kv_heads)?
            && inside(self.v.len(), self.v_strides, self.kv_len, self.kv_heads)?
            && inside(out, self.out_strides, self.q_len, self.q_heads)?;
        (sizes_fit && mask_fits && all_inside && self.apart()?).then_some(())
    }

    /// Whether no element of the result is written twice: each stride is at least
    /// what all smaller ones span.
    fn apart(&self) -> Option<bool> {
        let sizes = [self.batch, self.q_len, self.q_heads];
        let mut axes: Vec<_> = self.out_strides.into_iter().zip(sizes).collect();
        axes.sort_unstable();
        let mut span = self.head_dim;
        for (stride, size) in axes.into_iter().filter(|(_, size)| *size > 1) {
            if stride < span {
                return Some(false);
            }
            span = stride.checked_mul(size)?;
        }
        Some(true)
    }

    /// Where a position's result of a head begins.
    fn out_at(&self, batch: usize, position: usize, head: usize) -> usize {
        let [of_batch, of_position, of_head] = self.out_strides;
        batch * of_batch + position * of_position + head * of_head
    }
}

/// The destination, to which parts write side by side.
struct Output(*mut f32);

// SAFETY: each part writes to positions and heads of its own.
unsafe impl Sync for Output {}

fn parts(out: &mut [f32], len: usize) -> Vec<Mutex<&mut [f32]>> {
    out.chunks_mut(len).map(Mutex::new).collect()
}

/// The keys of each sequence and head in blocks, each block a dimension after the
/// other; zeros follow the last key.
fn transposed<E: Element>(of: &Attention<'_>, keys: &[E], blocks: usize) -> Buffer<f32> {
    let from_keys = keys;
    let dim = of.head_dim;
    let mut keys = Buffer::new(of.batch * of.kv_heads * blocks * BLOCK * dim);
    let parts = parts(&mut keys, BLOCK * dim);
    pool().run(parts.len(), |index| {
        let (head, block) = (index / blocks, index % blocks);
        let (batch, head) = (head / of.kv_heads, head % of.kv_heads);
        let start = batch * of.k_strides[0] + head * of.k_strides[2];
        let out = &mut *parts[index].lock().unwrap_or_else(PoisonError::into_inner);
        for key in 0..BLOCK.min(of.kv_len - block * BLOCK) {
            let from = start + (block * BLOCK + key) * of.k_strides[1];
            for (at, value) in from_keys[from..from + dim].iter().enumerate() {
                out[at * BLOCK + key] = value.float();
            }
        }
    });
    drop(parts);
    keys
}

/// For each position of the queries, the first key it sees and the one after the
/// last.
fn visible(of: &Attention<'_>) -> Vec<Range<usize>> {
    let Some(mask) = of.mask else { return vec![0..of.kv_len; of.q_len] };
    let seen = |value: &f32| *value > f32::NEG_INFINITY;
    mask.chunks_exact(of.kv_len)
        .map(|row| match row.iter().position(seen) {
            Some(first) => first..row.iter().rposition(seen).map_or(first, |last| last + 1),
            None => 0..0,
        })
        .collect()
}

/// Adds `rows × depth` of `a` times `depth × columns` of `b` to `c`; `columns` is a
/// multiple of a register's lanes.
#[inline(always)]
unsafe fn product<V: Vector, E: Element>(
    rows: usize,
    depth: usize,
    columns: usize,
    a: (*const f32, usize),
    b: (*const E, usize),
    c: (*mut f32, usize),
) {
    let mut column = 0;
    while column < columns {
        let wide = column + 2 * V::LANES <= columns;
        for row in (0..rows).step_by(TILE_ROWS) {
            let a = (a.0.add(row * a.1), a.1);
            let b = (b.0.add(column), b.1);
            let c = (c.0.add(row * c.1 + column), c.1);
            match (rows - row, wide) {
                (1, true) => tile::<V, E, 1, 2>(depth, a, b, c),
                (2, true) => tile::<V, E, 2, 2>(depth, a, b, c),
                (3, true) => tile::<V, E, 3, 2>(depth, a, b, c),
                (4, true) => tile::<V, E, 4, 2>(depth, a, b, c),
                (5, true) => tile::<V, E, 5, 2>(depth, a, b, c),
                (_, true) => tile::<V, E, TILE_ROWS, 2>(depth, a, b, c),
                (1, false) => tile::<V, E, 1, 1>(depth, a, b, c),
                (2, false) => tile::<V, E, 2, 1>(depth, a, b, c),
                (3, false) => tile::<V, E, 3, 1>(depth, a, b, c),
                (4, false) => tile::<V, E, 4, 1>(depth, a, b, c),
                (5, false) => tile::<V, E, 5, 1>(depth, a, b, c),
                (_, false) => tile::<V, E, TILE_ROWS, 1>(depth, a, b, c),
            }
        }
        column += if wide { 2 * V::LANES } else { V::LANES };
    }
}

#[inline(always)]
unsafe fn tile<V: Vector, E: Element, const ROWS: usize, const WIDTH: usize>(
    depth: usize,
    a: (*const f32, usize),
    b: (*const E, usize),
    c: (*mut f32, usize),
) {
    let mut sums = [[V::zero(); WIDTH]; ROWS];
    for row in 0..ROWS {
        for lane in 0..WIDTH {
            sums[row][lane] = V::load(c.0.add(row * c.1 + lane * V::LANES));
        }
    }
    for at in 0..depth {
        let mut columns = [V::zero(); WIDTH];
        for lane in 0..WIDTH {
            columns[lane] = E::load(b.0.add(at * b.1 + lane * V::LANES));
        }
        for row in 0..ROWS {
            let value = V::splat(*a.0.add(row * a.1 + at));
            for lane in 0..WIDTH {
                sums[row][lane] = value.fma(columns[lane], sums[row][lane]);
            }
        }
    }
    for row in 0..ROWS {
        for lane in 0..WIDTH {
            sums[row][lane].store(c.0.add(row * c.1 + lane * V::LANES));
        }
    }
}

/// Some positions of the queries of the heads that share the keys `head`.
#[inline(always)]
unsafe fn many_rows<V: Vector, E: Element>(
    of: &Attention<'_>,
    cached: Cached<'_, E>,
    batch: usize,
    head: usize,
    positions: Range<usize>,
    keys: &[f32],
    visible: &[Range<usize>],
    out: &Output,
) {
    let dim = of.head_dim;
    let group = of.q_heads / of.kv_heads;
    let rows = positions.len() * group;
    // Row `i·group + g` is position `i` of the `g`th head.
    let mut queries: Buffer<f32> = Buffer::new(rows * dim);
    for (index, position) in positions.clone().enumerate() {
        for member in 0..group {
            let from = batch * of.q_strides[0]
                + position * of.q_strides[1]
                + (head * group + member) * of.q_strides[2];
            let to = (index * group + member) * dim;
            for (to, from) in queries[to..to + dim].iter_mut().zip(&of.q[from..from + dim]) {
                *to = from * of.scale;
            }
        }
    }
    let mut sums: Buffer<f32> = Buffer::new(rows * dim);
    let mut scores: Buffer<f32> = Buffer::new(rows * BLOCK);
    let mut largest = vec![f32::NEG_INFINITY; rows];
    let mut totals = vec![0.0_f32; rows];

    let of_positions = &visible[positions.clone()];
    let first = of_positions.iter().map(|range| range.start).min().unwrap_or(0);
    let last = of_positions.iter().map(|range| range.end).max().unwrap_or(0);
    for block in first / BLOCK..last.div_ceil(BLOCK) {
        let start = block * BLOCK;
        let count = BLOCK.min(last - start);
        scores.fill(0.0);
        product::<V, f32>(
            rows,
            dim,
            BLOCK,
            (queries.as_ptr(), dim),
            (keys.as_ptr().add(start * dim), BLOCK),
            (scores.as_mut_ptr(), BLOCK),
        );
        for row in 0..rows {
            let scores = &mut scores[row * BLOCK..][..BLOCK];
            let position = positions.start + row / group;
            let seen = &visible[position];
            let (from, to) =
                (seen.start.clamp(start, start + count), seen.end.clamp(start, start + count));
            if from >= to {
                scores.fill(0.0);
                continue;
            }
            if let Some(mask) = of.mask {
                let mask = &mask[position * of.kv_len..][from..to];
                for (score, mask) in scores[from - start..].iter_mut().zip(mask) {
                    *score += mask;
                }
            }
            scores[..from - start].fill(f32::NEG_INFINITY);
            scores[to - start..].fill(f32::NEG_INFINITY);
            let scale = softmax_block::<V>(scores, &mut largest[row], &mut totals[row]);
            if scale != 1.0 {
                let scale = V::splat(scale);
                let sums = sums.as_mut_ptr().add(row * dim);
                for at in (0..dim).step_by(V::LANES) {
                    V::load(sums.add(at)).mul(scale).store(sums.add(at));
                }
            }
        }
        let from = batch * of.v_strides[0] + head * of.v_strides[2] + start * of.v_strides[1];
        product::<V, E>(
            rows,
            count,
            dim,
            (scores.as_ptr(), BLOCK),
            (cached.v.as_ptr().add(from), of.v_strides[1]),
            (sums.as_mut_ptr(), dim),
        );
    }
    for row in 0..rows {
        let (position, member) = (positions.start + row / group, row % group);
        let to = of.out_at(batch, position, head * group + member);
        write::<V>(&sums[row * dim..][..dim], totals[row], out.0.add(to));
    }
}

/// Replaces scores by their exponentials, less the largest so far, and returns what
/// earlier sums are to be multiplied by.
#[inline(always)]
unsafe fn softmax_block<V: Vector>(scores: &mut [f32], largest: &mut f32, total: &mut f32) -> f32 {
    let at = scores.as_mut_ptr();
    let mut most = V::splat(*largest);
    for index in (0..scores.len()).step_by(V::LANES) {
        most = most.max(V::load(at.add(index)));
    }
    let most = most.largest();
    if most == f32::NEG_INFINITY {
        scores.fill(0.0);
        return 1.0;
    }
    let shift = V::splat(most);
    let mut sum = V::zero();
    for index in (0..scores.len()).step_by(V::LANES) {
        // Below e^-87 there is nothing: `exp` would give a little instead of it.
        let score = V::load(at.add(index)).sub(shift);
        let value = score.exp().sub(V::splat(1.25e-38)).max(V::zero());
        sum = sum.add(value);
        value.store(at.add(index));
    }
    let scale = if *largest == f32::NEG_INFINITY { 0.0 } else { (*largest - most).exp() };
    *total = *total * scale + sum.total();
    *largest = most;
    scale
}

#[inline(always)]
unsafe fn write<V: Vector>(sums: &[f32], total: f32, out: *mut f32) {
    let scale = V::splat(if total > 0.0 { 1.0 / total } else { 0.0 });
    for at in (0..sums.len()).step_by(V::LANES) {
        V::load(sums.as_ptr().add(at)).mul(scale).store(out.add(at));
    }
}

/// All queries of the heads that share the keys `head`, where these are few: each
/// key is multiplied as it lies.
#[inline(always)]
unsafe fn few_rows<V: Vector, E: Element>(
    of: &Attention<'_>,
    cached: Cached<'_, E>,
    batch: usize,
    head: usize,
    out: &Output,
) {
    let dim = of.head_dim;
    let rows = of.q_heads / of.kv_heads * of.q_len;
    // Of whole registers, zeros at the end.
    let width = of.kv_len.next_multiple_of(BLOCK);
    let mut queries: Buffer<f32> = Buffer::new(rows * dim);
    for row in 0..rows {
        let (member, position) = (row / of.q_len, row % of.q_len);
        let from = batch * of.q_strides[0]
            + position * of.q_strides[1]
            + (head * (rows / of.q_len) + member) * of.q_strides[2];
        for (to, from) in queries[row * dim..][..dim].iter_mut().zip(&of.q[from..from + dim]) {
            *to = from * of.scale;
        }
    }
    let mut scores: Buffer<f32> = Buffer::new(rows * width);
    let keys = cached.k.as_ptr().add(batch * of.k_strides[0] + head * of.k_strides[2]);
    for key in 0..of.kv_len {
        let key_at = keys.add(key * of.k_strides[1]);
        for row in 0..rows {
            let query = queries.as_ptr().add(row * dim);
            let mut sum = V::zero();
            for at in (0..dim).step_by(V::LANES) {
                let key: V = E::load(key_at.add(at));
                sum = V::load(query.add(at)).fma(key, sum);
            }
            scores[row * width + key] = sum.total();
        }
    }
    let mut totals = vec![0.0; rows];
    for row in 0..rows {
        let scores = &mut scores[row * width..][..width];
        scores[of.kv_len..].fill(f32::NEG_INFINITY);
        if let Some(mask) = of.mask {
            let mask = &mask[row % of.q_len * of.kv_len..][..of.kv_len];
            for (score, mask) in scores.iter_mut().zip(mask) {
                *score += mask;
            }
        }
        softmax_block::<V>(scores, &mut f32::NEG_INFINITY.clone(), &mut totals[row]);
    }
    let values = batch * of.v_strides[0] + head * of.v_strides[2];
    let mut sums: Buffer<f32> = Buffer::new(rows * dim);
    product::<V, E>(
        rows,
        of.kv_len,
        dim,
        (scores.as_ptr(), width),
        (cached.v.as_ptr().add(values), of.v_strides[1]),
        (sums.as_mut_ptr(), dim),
    );
    for row in 0..rows {
        let (member, position) = (row / of.q_len, row % of.q_len);
        let to = of.out_at(batch, position, head * (rows / of.q_len) + member);
        write::<V>(&sums[row * dim..][..dim], totals[row], out.0.add(to));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Case {
        batch: usize,
        heads: (usize, usize),
        q_len: usize,
        kv_len: usize,
        dim: usize,
        window: Option<usize>,
    }

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    /// Query `i` stands at the place `i + kv_len - q_len` and sees the `window` keys
    /// up to there.
    fn causal(case: &Case, window: usize) -> Vec<f32> {
        let mut mask = Vec::new();
        for i in 0..case.q_len {
            let place = i + case.kv_len - case.q_len;
            mask.extend(
                (0..case.kv_len).map(|j| {
                    if j <= place && j + window > place { 0.0 } else { f32::NEG_INFINITY }
                }),
            );
        }
        mask
    }

    fn floats(of: Values<'_>) -> Vec<f32> {
        match of {
            Values::F32(values) => values.to_vec(),
            Values::F16(bits) => {
                bits.iter().map(|bits| crate::format::half(&bits.to_le_bytes())).collect()
            }
        }
    }

    fn exact(of: &Attention<'_>) -> Vec<f64> {
        let (keys, values) = (floats(of.k), floats(of.v));
        let mut out = Vec::new();
        let at = |slice: &[f32], strides: [usize; 3], place: [usize; 3], d: usize| {
            let offset: usize = strides.iter().zip(place).map(|(s, p)| s * p).sum();
            f64::from(slice[offset + d])
        };
        for b in 0..of.batch {
            for h in 0..of.q_heads {
                let kv = h / (of.q_heads / of.kv_heads);
                for i in 0..of.q_len {
                    let scores: Vec<f64> = (0..of.kv_len)
                        .map(|j| {
                            let products = (0..of.head_dim).map(|d| {
                                at(of.q, of.q_strides, [b, i, h], d)
                                    * at(&keys, of.k_strides, [b, j, kv], d)
                            });
                            let mask = of.mask.map_or(0.0, |m| f64::from(m[i * of.kv_len + j]));
                            products.sum::<f64>() * f64::from(of.scale) + mask
                        })
                        .collect();
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for d in 0..of.head_dim {
                        let sum: f64 = (0..of.kv_len)
                            .map(|j| weights[j] * at(&values, of.v_strides, [b, j, kv], d))
                            .sum();
                        out.push(if most == f64::NEG_INFINITY { 0.0 } else { sum / total });
                    }
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_formula_in_double_precision() {
        let case = |batch, heads, q_len, kv_len, dim, window| Case {
            batch,
            heads,
            q_len,
            kv_len,
            dim,
            window,
        };
        let cases = [
            case(1, (1, 1), 1, 1, 16, None),
            case(1, (12, 2), 1, 131, 128, None),
            case(2, (4, 4), 3, 70, 32, None),
            case(1, (9, 3), 5, 5, 64, Some(usize::MAX / 2)),
            case(1, (14, 2), 67, 67, 64, Some(usize::MAX / 2)),
            case(1, (12, 2), 64, 200, 128, Some(usize::MAX / 2)),
            case(1, (2, 1), 150, 150, 80, Some(40)),
            case(3, (4, 4), 65, 65, 32, None),
            case(1, (4, 1), 4, 300, 96, Some(17)),
        ];
        for (index, case) in cases.iter().enumerate() {
            let (q_heads, kv_heads) = case.heads;
            // Keys and values as in a cache with room for more, queries by position.
            let room = case.kv_len + 9;
            let q = values(case.batch * case.q_len * q_heads * case.dim, 1);
            let k = values(case.batch * kv_heads * room * case.dim, 2);
            let v = values(case.batch * kv_heads * room * case.dim, 3);
            let mask = case.window.map(|window| causal(case, window));
            let strides = [kv_heads * room * case.dim, case.dim, room * case.dim];
            let bits = |values: &[f32]| -> Vec<u16> {
                values.iter().map(|x| u16::from_le_bytes(crate::format::to_half(*x))).collect()
            };
            let (half_k, half_v) = (bits(&k), bits(&v));
            let of_floats = Attention {
                q: &q,
                k: Values::F32(&k),
                v: Values::F32(&v),
                q_strides: [case.q_len * q_heads * case.dim, q_heads * case.dim, case.dim],
                k_strides: strides,
                v_strides: strides,
                out_strides: [q_heads * case.q_len * case.dim, case.dim, case.q_len * case.dim],
                batch: case.batch,
                q_heads,
                kv_heads,
                q_len: case.q_len,
                kv_len: case.kv_len,
                head_dim: case.dim,
                mask: mask.as_deref(),
                scale: 1.0,
            };
            let of_halves =
                Attention { k: Values::F16(&half_k), v: Values::F16(&half_v), ..of_floats };
            for of in [of_floats, of_halves] {
                let exact = exact(&of);
                for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                    let mut out = vec![f32::NAN; exact.len()];
                    attention_on(isa, &of, &mut out).unwrap();
                    for (at, (value, expected)) in out.iter().zip(&exact).enumerate() {
                        let off = (f64::from(*value) - expected).abs();
                        assert!(
                            off < 2e-5,
                            "{} case {index} [{at}]: {value}, expected {expected}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_query_that_sees_nothing_gets_zeros() {
        for q_len in [1, 40] {
            let case = Case { batch: 1, heads: (1, 1), q_len, kv_len: 40, dim: 16, window: None };
            let (q, k) = (values(q_len * 16, 1), values(40 * 16, 2));
            let mut mask = causal(&case, 100);
            mask[..40].fill(f32::NEG_INFINITY);
            let of = Attention {
                q: &q,
                k: Values::F32(&k),
                v: Values::F32(&k),
                q_strides: [0, 16, 0],
                k_strides: [0, 16, 0],
                v_strides: [0, 16, 0],
                out_strides: [0, 16, 0],
                batch: 1,
                q_heads: 1,
                kv_heads: 1,
                q_len,
                kv_len: 40,
                head_dim: 16,
                mask: Some(&mask),
                scale: 1.0,
            };
            let mut out = vec![f32::NAN; q_len * 16];
            attention(&of, &mut out).unwrap();
            assert_eq!(out[..16], [0.0; 16]);
            assert!(out.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn without_keys_there_are_zeros() {
        let values = [1.0; 20 * 16];
        for q_len in [2, 20] {
            let of = Attention {
                q: &values,
                k: Values::F32(&[]),
                v: Values::F32(&[]),
                q_strides: [0, 16, 0],
                k_strides: [0, 16, 0],
                v_strides: [0, 16, 0],
                out_strides: [0, 16, 0],
                batch: 1,
                q_heads: 1,
                kv_heads: 1,
                q_len,
                kv_len: 0,
                head_dim: 16,
                mask: Some(&[]),
                scale: 1.0,
            };
            let mut out = vec![f32::NAN; q_len * 16];
            attention(&of, &mut out).unwrap();
            assert_eq!(out, vec![0.0; q_len * 16]);
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let values = [0.0; 64];
        let of = Attention {
            q: &values,
            k: Values::F32(&values),
            v: Values::F32(&values),
            q_strides: [64, 16, 16],
            k_strides: [64, 16, 16],
            v_strides: [64, 16, 16],
            out_strides: [64, 16, 64],
            batch: 1,
            q_heads: 1,
            kv_heads: 1,
            q_len: 4,
            kv_len: 4,
            head_dim: 16,
            mask: None,
            scale: 1.0,
        };
        assert_eq!(attention(&of, &mut [0.0; 64]), Ok(()));
        let cases = [
            ("a smaller result", of, 48),
            ("results in one place", Attention { out_strides: [64, 8, 64], ..of }, 64),
            ("more positions than there are", Attention { q_len: 5, ..of }, 80),
            ("more keys than there are", Attention { kv_len: 5, ..of }, 64),
            ("heads that cannot be shared", Attention { kv_heads: 2, ..of }, 64),
            ("no heads", Attention { kv_heads: 0, ..of }, 64),
            ("no dimension", Attention { head_dim: 0, ..of }, 64),
            (
                "more keys than memory can hold",
                Attention { kv_len: 1 << 62, k_strides: [0; 3], v_strides: [0; 3], ..of },
                64,
            ),
            ("an odd dimension", Attention { head_dim: 8, ..of }, 64),
            ("a mask of another size", Attention { mask: Some(&values[..15]), ..of }, 64),
            ("keys and values of two types", Attention { k: Values::F16(&[0; 64]), ..of }, 64),
            ("strides beyond measure", Attention { q_strides: [0, usize::MAX, 0], ..of }, 64),
        ];
        for (name, of, len) in cases {
            assert_eq!(attention(&of, &mut vec![0.0; len]), Err(ShapeError), "{name}");
        }
    }
}
