//! AVX2, AVX-VNNI and AVX-512.
//!
//! The functions marked `inline(always)` have no instructions of their own: they
//! are compiled into the functions at the end, which name theirs.

use std::arch::x86_64::*;

use super::Kernels;
use super::panel::{Panel, Tile, Weights};
use crate::format::{Format, six_bit_scales};
use crate::rows::{GROUP, Row, RowMut, inverse, scale};
use crate::vector::x86::{floats, load};

/// The dot product of groups of four bytes.
trait Dot {
    /// Whether unsigned bytes may be above 127; otherwise the sum of two products
    /// must fit in 16 bits.
    const FULL_RANGE: bool;

    /// Adds `Σ u·s` over each four bytes, unsigned times signed, to 32-bit lanes.
    unsafe fn dot(sum: __m256i, u: __m256i, s: __m256i) -> __m256i;
}

struct Maddubs;

impl Dot for Maddubs {
    const FULL_RANGE: bool = false;

    #[inline(always)]
    unsafe fn dot(sum: __m256i, u: __m256i, s: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(u, s);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// VEX-coded, for processors without AVX-512.
struct Vnni;

impl Dot for Vnni {
    const FULL_RANGE: bool = true;

    #[inline(always)]
    unsafe fn dot(sum: __m256i, u: __m256i, s: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(sum, u, s)
    }
}

/// EVEX-coded.
struct Vnni512;

impl Dot for Vnni512 {
    const FULL_RANGE: bool = true;

    #[inline(always)]
    unsafe fn dot(sum: __m256i, u: __m256i, s: __m256i) -> __m256i {
        _mm256_dpbusd_epi32(sum, u, s)
    }
}

// ---- Blocks of weights -------------------------------------------------------

/// The low halves of 16 bytes, then their high halves.
#[inline(always)]
unsafe fn nibbles(at: *const u8) -> __m256i {
    let bytes = _mm_loadu_si128(at.cast());
    let both = _mm256_set_m128i(_mm_srli_epi16::<4>(bytes), bytes);
    _mm256_and_si256(both, _mm256_set1_epi8(15))
}

/// 16 in each byte whose bit of the 32 at `at` is set.
#[inline(always)]
unsafe fn fifth_bits(at: *const u8) -> __m256i {
    let word = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
    let spread =
        _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
    let bytes = _mm256_and_si256(_mm256_shuffle_epi8(word, spread), bits);
    _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bits), _mm256_set1_epi8(16))
}

/// The quants of 32 weights, those of Q8_0 signed: the `group`th of the blocks
/// that begin at `at`.
#[inline(always)]
unsafe fn quants(format: Format, at: *const u8, group: usize) -> __m256i {
    let groups = format.block_len() / GROUP;
    let block = at.add(group / groups * format.block_bytes());
    let group = group % groups;
    let low = _mm256_set1_epi8(15);
    let nibbles_of = |from: *const u8| {
        let bytes = load(from.add(group / 2 * 32));
        let half = if group.is_multiple_of(2) { bytes } else { _mm256_srli_epi16::<4>(bytes) };
        _mm256_and_si256(half, low)
    };
    match format {
        Format::Q4_0 => nibbles(block.add(2)),
        Format::Q4_1 => nibbles(block.add(4)),
        Format::Q5_0 => _mm256_or_si256(nibbles(block.add(6)), fifth_bits(block.add(2))),
        Format::Q5_1 => _mm256_or_si256(nibbles(block.add(8)), fifth_bits(block.add(4))),
        Format::Q8_0 => load(block.add(2)),
        Format::Q4K => nibbles_of(block.add(16)),
        Format::Q5K => {
            // One more bit of each weight lies in 32 bytes of their own, a bit per group.
            let bit = _mm256_set1_epi8((1_i32 << group) as i8);
            let set = _mm256_cmpeq_epi8(_mm256_and_si256(load(block.add(16)), bit), bit);
            let fifth = _mm256_and_si256(set, _mm256_set1_epi8(16));
            _mm256_or_si256(nibbles_of(block.add(48)), fifth)
        }
        Format::Q6K => {
            let (half, group) = (group / 4, group % 4);
            let lows = load(block.add(half * 64 + group % 2 * 32));
            let highs = load(block.add(128 + half * 32));
            let lows = if group < 2 { lows } else { _mm256_srli_epi16::<4>(lows) };
            let highs = match group {
                0 => _mm256_slli_epi16::<4>(highs),
                1 => _mm256_slli_epi16::<2>(highs),
                2 => highs,
                _ => _mm256_srli_epi16::<2>(highs),
            };
            _mm256_or_si256(
                _mm256_and_si256(lows, low),
                _mm256_and_si256(highs, _mm256_set1_epi8(0x30)),
            )
        }
    }
}

#[inline(always)]
unsafe fn half_at(at: *const u8) -> f32 {
    let bits = i32::from(at.cast::<u16>().read_unaligned());
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)))
}

/// Eight numbers of half precision, the lower halves of 32-bit lanes.
#[inline(always)]
unsafe fn halves(lanes: __m256i) -> __m256 {
    let packed = _mm256_packus_epi32(lanes, lanes);
    let packed = _mm256_permute4x64_epi64::<0b1000>(packed);
    _mm256_cvtph_ps(_mm256_castsi256_si128(packed))
}

/// The scales and minima of the eight groups of 32 that begin at `at`, of any
/// format but Q6_K; Q8_0 is signed and has no minima.
#[inline(always)]
unsafe fn scales(format: Format, at: *const u8) -> (__m256, __m256) {
    if matches!(format, Format::Q4K | Format::Q5K) {
        let (scales, minima) = six_bit_scales(std::slice::from_raw_parts(at.add(4), 12));
        let eight = |bytes: u64| {
            let bytes = _mm_cvtsi64_si128(bytes.cast_signed());
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
        };
        return (
            _mm256_mul_ps(eight(scales), _mm256_set1_ps(half_at(at))),
            _mm256_mul_ps(eight(minima), _mm256_set1_ps(half_at(at.add(2)))),
        );
    }
    let bytes = format.block_bytes() as i32;
    let lanes =
        _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(bytes));
    // The scale, and behind it the minimum or something else of the block.
    let words = _mm256_i32gather_epi32::<1>(at.cast(), lanes);
    let scales = halves(_mm256_and_si256(words, _mm256_set1_epi32(0xffff)));
    let minima = match format {
        Format::Q4_0 => _mm256_mul_ps(scales, _mm256_set1_ps(8.0)),
        Format::Q5_0 => _mm256_mul_ps(scales, _mm256_set1_ps(16.0)),
        Format::Q4_1 | Format::Q5_1 => {
            let negative = _mm256_xor_si256(words, _mm256_set1_epi32(i32::MIN));
            halves(_mm256_srli_epi32::<16>(negative))
        }
        _ => _mm256_setzero_ps(),
    };
    (scales, minima)
}

/// [`scales`] of fewer than eight groups; the others are zero.
#[inline(always)]
unsafe fn some_scales(format: Format, at: *const u8, groups: usize) -> (__m256, __m256) {
    let (mut scales, mut minima) = ([0.0; 8], [0.0; 8]);
    for group in 0..groups {
        let block = at.add(group * format.block_bytes());
        scales[group] = half_at(block);
        minima[group] = match format {
            Format::Q4_0 => scales[group] * 8.0,
            Format::Q5_0 => scales[group] * 16.0,
            Format::Q4_1 | Format::Q5_1 => -half_at(block.add(2)),
            _ => 0.0,
        };
    }
    (floats(scales.as_ptr()), floats(minima.as_ptr()))
}

/// The scales of the 16 groups of a block of Q6_K.
#[inline(always)]
unsafe fn scales_q6k(block: *const u8) -> [__m256; 2] {
    let scale = _mm256_set1_ps(half_at(block.add(208)));
    let eight = |at| {
        let bytes = _mm_loadl_epi64(block.add(at).cast());
        _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), scale)
    };
    [eight(192), eight(200)]
}

// ---- A row of weights with a row of activations ------------------------------

#[inline(always)]
unsafe fn sum_lanes(value: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps::<1>(value));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// How far ahead of what is used weights are asked for: the rows lie one after the
/// other, but the processor does not look beyond a page by itself.
const AHEAD: usize = 4_096;

/// Asks for the memory that is `len` bytes long and begins [`AHEAD`] of `at`. There
/// need not be any.
#[inline(always)]
unsafe fn prefetch(at: *const u8, len: usize) {
    for line in 0..len.div_ceil(64) {
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + line * 64).cast());
    }
}

/// The formats with a scale per 32 weights.
#[inline(always)]
unsafe fn dot_32<D: Dot>(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    let groups = row.scales.len();
    // Alternating, so that a sum need not wait for the one before it.
    let mut sums = [_mm256_setzero_ps(); 2];
    let mut minima = _mm256_setzero_ps();
    let mut group = 0;
    let mut at = weights.as_ptr();
    let span_bytes = 256 / format.block_len() * format.block_bytes();
    while group + 8 <= groups {
        prefetch(at, span_bytes);
        let (scales, mins) = scales(format, at);
        minima = _mm256_fmadd_ps(mins, floats(row.sums.as_ptr().add(group)), minima);
        let row_scales = floats(row.scales.as_ptr().add(group));
        let scales = _mm256_mul_ps(scales, row_scales);
        for index in 0..8 {
            let dot = dot_group::<D>(format, at, index, row, group);
            let scale = _mm256_permutevar8x32_ps(scales, _mm256_set1_epi32(index as i32));
            sums[index % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums[index % 2]);
        }
        group += 8;
        at = at.add(span_bytes);
    }
    let rest = groups - group;
    let mut rest_minima = 0.0;
    if rest > 0 {
        let (scales, mins) = some_scales(format, at, rest);
        let (mut lanes, mut mins_of) = ([0.0; 8], [0.0; 8]);
        _mm256_storeu_ps(lanes.as_mut_ptr(), scales);
        _mm256_storeu_ps(mins_of.as_mut_ptr(), mins);
        for index in 0..rest {
            let dot = dot_group::<D>(format, at, index, row, group);
            let scale = _mm256_set1_ps(lanes[index] * row.scales[group + index]);
            sums[0] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums[0]);
            rest_minima += mins_of[index] * row.sums[group + index];
        }
    }
    sum_lanes(_mm256_sub_ps(_mm256_add_ps(sums[0], sums[1]), minima)) - rest_minima
}

/// The products of the `index`th group of the weights at `at`, which belong to
/// the row's `group`th and following.
#[inline(always)]
unsafe fn dot_group<D: Dot>(
    format: Format,
    at: *const u8,
    index: usize,
    row: Row<'_>,
    group: usize,
) -> __m256i {
    let quants = quants(format, at, index);
    let values = load(row.quants.as_ptr().add((group + index) * GROUP).cast());
    let zero = _mm256_setzero_si256();
    if format == Format::Q8_0 {
        // The sign moves to the other factor, so that this one is at most 128.
        return D::dot(zero, _mm256_abs_epi8(quants), _mm256_sign_epi8(values, quants));
    }
    D::dot(zero, quants, values)
}

#[inline(always)]
unsafe fn dot_q6k<D: Dot>(weights: &[u8], row: Row<'_>) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    let mut minima = _mm256_setzero_ps();
    for index in 0..weights.len() / 210 {
        let block = weights.as_ptr().add(index * 210);
        prefetch(block, 210);
        let row_scales = floats(row.scales.as_ptr().add(index * 8));
        for (half, scales) in scales_q6k(block).into_iter().enumerate() {
            let totals = row.half_sums.as_ptr().add(index * 16 + half * 8);
            minima = _mm256_fmadd_ps(scales, floats(totals), minima);
            let doubled = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
            let doubled = _mm256_add_epi32(doubled, _mm256_set1_epi32(4 * half as i32));
            let doubled = _mm256_permutevar8x32_ps(row_scales, doubled);
            let scales = _mm256_mul_ps(scales, doubled);
            for group in 0..4 {
                let dot = dot_group::<D>(Format::Q6K, block, half * 4 + group, row, index * 8);
                let (one, other) = (2 * group as i32, 2 * group as i32 + 1);
                let lanes = _mm256_setr_epi32(one, one, one, one, other, other, other, other);
                sums[group % 2] = _mm256_fmadd_ps(
                    _mm256_cvtepi32_ps(dot),
                    _mm256_permutevar8x32_ps(scales, lanes),
                    sums[group % 2],
                );
            }
        }
    }
    let minima = _mm256_mul_ps(minima, _mm256_set1_ps(32.0));
    sum_lanes(_mm256_sub_ps(_mm256_add_ps(sums[0], sums[1]), minima))
}

/// The quants of 64 weights, the `pair`th two groups of a block of Q4_K, Q5_K or Q6_K.
#[inline(always)]
unsafe fn quants_512(format: Format, block: *const u8, pair: usize) -> __m512i {
    /// `first` in the 16-bit lanes of the first group, `second` in the others.
    #[inline(always)]
    unsafe fn lanes(first: u16, second: u16) -> __m512i {
        let four = |lane: u16| (u64::from(lane) * 0x0001_0001_0001_0001).cast_signed();
        let (first, second) = (four(first), four(second));
        _mm512_setr_epi64(first, first, first, first, second, second, second, second)
    }
    let twice = |at: *const u8| _mm512_broadcast_i64x4(load(at));
    let low = _mm512_set1_epi8(15);
    if format == Format::Q6K {
        let (half, pair) = (pair / 2, pair % 2);
        let lows = _mm512_loadu_si512(block.add(half * 64).cast());
        let highs = twice(block.add(128 + half * 32));
        let (lows, highs) = if pair == 0 {
            (lows, _mm512_sllv_epi16(highs, lanes(4, 2)))
        } else {
            (_mm512_srli_epi16::<4>(lows), _mm512_srlv_epi16(highs, lanes(0, 2)))
        };
        let highs = _mm512_and_si512(highs, _mm512_set1_epi8(0x30));
        return _mm512_or_si512(_mm512_and_si512(lows, low), highs);
    }
    let nibbles = if format == Format::Q4K { block.add(16) } else { block.add(48) };
    let nibbles = _mm512_srlv_epi16(twice(nibbles.add(pair * 32)), lanes(0, 4));
    let nibbles = _mm512_and_si512(nibbles, low);
    if format == Format::Q4K {
        return nibbles;
    }
    // One more bit of each weight lies in 32 bytes of their own, a bit per group.
    let bit = 1_u16 << (pair * 2);
    let set = _mm512_test_epi8_mask(twice(block.add(16)), lanes(bit * 0x101, bit * 0x202));
    _mm512_mask_add_epi8(nibbles, set, nibbles, _mm512_set1_epi8(16))
}

/// [`dot`] of Q4_K, Q5_K and Q6_K in wide registers.
#[inline(always)]
unsafe fn dot_512(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    // Alternating, so that a sum need not wait for the one before it.
    let mut sums = [_mm512_setzero_ps(); 2];
    let mut minima = _mm512_setzero_ps();
    let block_bytes = format.block_bytes();
    for index in 0..weights.len() / block_bytes {
        let block = weights.as_ptr().add(index * block_bytes);
        prefetch(block, block_bytes);
        let row_scales = _mm512_castps256_ps512(floats(row.scales.as_ptr().add(index * 8)));
        // In Q6_K 16 weights share a scale, in the others 32.
        let (scales, minimum, lanes) = if format == Format::Q6K {
            let bytes = _mm_loadu_si128(block.add(192).cast());
            let scale = _mm512_set1_ps(half_at(block.add(208)));
            let scales = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), scale);
            let doubled = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
            let row_scales = _mm512_permutexvar_ps(doubled, row_scales);
            let totals = _mm512_loadu_ps(row.half_sums.as_ptr().add(index * 16));
            let minimum = _mm512_mul_ps(scales, totals);
            let lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            (_mm512_mul_ps(scales, row_scales), minimum, lanes)
        } else {
            let (scales, minima) = scales(format, block);
            let minimum = _mm256_mul_ps(minima, floats(row.sums.as_ptr().add(index * 8)));
            let scales = _mm512_mul_ps(_mm512_castps256_ps512(scales), row_scales);
            let lanes = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
            (scales, _mm512_zextps256_ps512(minimum), lanes)
        };
        minima = _mm512_add_ps(minima, minimum);
        for pair in 0..4 {
            let quants = quants_512(format, block, pair);
            let values = row.quants.as_ptr().add((index * 8 + pair * 2) * GROUP);
            let dot = _mm512_dpbusd_epi32(
                _mm512_setzero_si512(),
                quants,
                _mm512_loadu_si512(values.cast()),
            );
            let first = if format == Format::Q6K { pair * 4 } else { pair * 2 };
            let lanes = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
            let scale = _mm512_permutexvar_ps(lanes, scales);
            sums[pair % 2] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sums[pair % 2]);
        }
    }
    // In Q6_K the weights are 32 less than their quants.
    let centre = if format == Format::Q6K { 32.0 } else { 1.0 };
    let sums = _mm512_add_ps(sums[0], sums[1]);
    _mm512_reduce_add_ps(_mm512_fnmadd_ps(minima, _mm512_set1_ps(centre), sums))
}

/// Calls a function with the format as a constant, so that it is compiled for each.
macro_rules! for_format {
    ($format:expr, $call:ident ( $($argument:expr),* )) => {
        match $format {
            Format::Q4_0 => $call(Format::Q4_0, $($argument),*),
            Format::Q4_1 => $call(Format::Q4_1, $($argument),*),
            Format::Q5_0 => $call(Format::Q5_0, $($argument),*),
            Format::Q5_1 => $call(Format::Q5_1, $($argument),*),
            Format::Q8_0 => $call(Format::Q8_0, $($argument),*),
            Format::Q4K => $call(Format::Q4K, $($argument),*),
            Format::Q5K => $call(Format::Q5K, $($argument),*),
            Format::Q6K => $call(Format::Q6K, $($argument),*),
        }
    };
}

#[inline(always)]
unsafe fn dot<D: Dot>(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    #[inline(always)]
    unsafe fn of<D: Dot>(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
        if format == Format::Q6K {
            dot_q6k::<D>(weights, row)
        } else {
            dot_32::<D>(format, weights, row)
        }
    }
    let of = of::<D>;
    for_format!(format, of(weights, row))
}

// ---- Activations --------------------------------------------------------------

/// As [`RowMut::fill`].
#[inline(always)]
unsafe fn quantize(values: &[f32], row: &mut RowMut<'_>) {
    let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    // Packing twice leaves the four registers' lanes in this order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (index, values) in values.chunks_exact(GROUP).enumerate() {
        let mut parts = [_mm256_setzero_ps(); 4];
        let (mut largest, mut nan) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        for (at, part) in parts.iter_mut().enumerate() {
            *part = floats(values.as_ptr().add(at * 8));
            // In this order NaN is passed over.
            largest = _mm256_max_ps(_mm256_and_ps(*part, magnitude), largest);
            nan = _mm256_or_ps(nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(*part, *part));
        }
        let largest = _mm256_max_ps(largest, _mm256_permute2f128_ps::<1>(largest, largest));
        let largest = _mm256_max_ps(largest, _mm256_permute_ps::<0b0100_1110>(largest));
        let largest = _mm256_max_ps(largest, _mm256_permute_ps::<0b1011_0001>(largest));
        let largest = _mm256_cvtss_f32(largest);
        let scale = scale(largest, _mm256_movemask_ps(nan) != 0);
        let inverse = inverse(scale);
        let mut whole = [_mm256_setzero_si256(); 4];
        for (whole, part) in whole.iter_mut().zip(parts) {
            *whole = _mm256_cvtps_epi32(_mm256_mul_ps(part, _mm256_set1_ps(inverse)));
        }
        let words =
            [_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3])];
        let bytes = _mm256_packs_epi16(words[0], words[1]);
        let bytes = _mm256_permutevar8x32_epi32(bytes, order);
        _mm256_storeu_si256(row.quants.as_mut_ptr().add(index * GROUP).cast(), bytes);

        // The first half of the group is in the first two registers.
        let halves = [_mm256_add_epi32(whole[0], whole[1]), _mm256_add_epi32(whole[2], whole[3])];
        let sums = _mm256_hadd_epi32(halves[0], halves[1]);
        let sums = _mm256_hadd_epi32(sums, sums);
        let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let (first, second) = (_mm_cvtsi128_si32(sums), _mm_extract_epi32::<1>(sums));
        row.scales[index] = scale;
        // Of NaN the integers are anything, and the scale is NaN.
        row.sums[index] = scale * first.wrapping_add(second) as f32;
        row.half_sums[index * 2] = scale * first as f32;
        row.half_sums[index * 2 + 1] = scale * second as f32;
    }
}

// ---- Panels ------------------------------------------------------------------

/// Turns eight registers, each of a column, into eight of four weights of each
/// column.
#[inline(always)]
unsafe fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut pairs = [_mm256_setzero_si256(); 8];
    for index in 0..4 {
        pairs[index * 2] = _mm256_unpacklo_epi32(rows[index * 2], rows[index * 2 + 1]);
        pairs[index * 2 + 1] = _mm256_unpackhi_epi32(rows[index * 2], rows[index * 2 + 1]);
    }
    let mut fours = [_mm256_setzero_si256(); 8];
    for half in 0..2 {
        for index in 0..2 {
            let (one, other) = (pairs[half * 4 + index], pairs[half * 4 + index + 2]);
            fours[half * 4 + index * 2] = _mm256_unpacklo_epi64(one, other);
            fours[half * 4 + index * 2 + 1] = _mm256_unpackhi_epi64(one, other);
        }
    }
    let mut columns = [_mm256_setzero_si256(); 8];
    for index in 0..4 {
        columns[index] = _mm256_permute2x128_si256::<0x20>(fours[index], fours[index + 4]);
        columns[index + 4] = _mm256_permute2x128_si256::<0x31>(fours[index], fours[index + 4]);
    }
    columns
}

#[inline(always)]
unsafe fn unpack_any(panel: &mut Panel, weights: Weights<'_>) {
    panel.len = weights.len;
    panel.signed = weights.format == Format::Q8_0 && !weights.full_range;
    let format = weights.format;
    for_format!(format, unpack_format(panel, weights));
}

#[inline(always)]
unsafe fn unpack_format(format: Format, panel: &mut Panel, weights: Weights<'_>) {
    let (block_len, block_bytes) = (format.block_len(), format.block_bytes());
    let columns = panel.columns;
    let start = weights.depth / block_len * block_bytes;
    let last = weights.rows.len() / weights.row_bytes - 1;
    // A column beyond the last is the last again: nobody looks at its products.
    let column_at =
        |column: usize| weights.rows.as_ptr().add(column.min(last) * weights.row_bytes + start);
    let groups = weights.len / GROUP;

    for column in (0..columns).step_by(8) {
        for group in 0..groups {
            let mut rows = [_mm256_setzero_si256(); 8];
            for (index, row) in rows.iter_mut().enumerate() {
                let span = group / 8 * (256 / block_len * block_bytes);
                *row = quants_at(format, column_at(column + index).add(span), group % 8);
                if format == Format::Q8_0 && !panel.signed {
                    *row = _mm256_xor_si256(*row, _mm256_set1_epi8(i8::MIN));
                }
            }
            let to = panel.quants.as_mut_ptr().add(group * GROUP * columns + column * 4);
            for (four, quants) in transpose(rows).into_iter().enumerate() {
                _mm256_storeu_si256(to.add(four * columns * 4).cast(), quants);
            }
        }
    }

    // Of Q8_0 as unsigned numbers: they are 128 too large.
    let centre = _mm256_set1_ps(if panel.signed { 0.0 } else { 128.0 });
    for column in 0..columns {
        let from = column_at(column);
        for span in 0..groups.div_ceil(8) {
            let at = from.add(span * (256 / block_len * block_bytes));
            let of_span = 256 / panel.group;
            let to = span * of_span * columns + column;
            if format == Format::Q6K {
                for (half, scales) in scales_q6k(at).into_iter().enumerate() {
                    let minima = _mm256_mul_ps(scales, _mm256_set1_ps(32.0));
                    put_scales(panel, to + half * 8 * columns, 8, scales, minima);
                }
                continue;
            }
            let count = (groups - span * 8).min(8);
            let (scales, mut minima) =
                if count == 8 { scales(format, at) } else { some_scales(format, at, count) };
            if format == Format::Q8_0 {
                minima = _mm256_mul_ps(scales, centre);
            }
            put_scales(panel, to, count, scales, minima);
        }
    }
}

/// Writes `count` scales and minima of a column, from `to` on.
#[inline(always)]
unsafe fn put_scales(panel: &mut Panel, to: usize, count: usize, scales: __m256, minima: __m256) {
    let (mut scales_of, mut minima_of) = ([0.0; 8], [0.0; 8]);
    _mm256_storeu_ps(scales_of.as_mut_ptr(), scales);
    _mm256_storeu_ps(minima_of.as_mut_ptr(), minima);
    for index in 0..count {
        panel.scales[to + index * panel.columns] = scales_of[index];
        panel.minima[to + index * panel.columns] = minima_of[index];
    }
}

/// [`quants`] with a group known only at run time.
#[inline(always)]
unsafe fn quants_at(format: Format, at: *const u8, group: usize) -> __m256i {
    if format.block_len() == GROUP {
        return quants(format, at.add(group * format.block_bytes()), 0);
    }
    match group {
        0 => quants(format, at, 0),
        1 => quants(format, at, 1),
        2 => quants(format, at, 2),
        3 => quants(format, at, 3),
        4 => quants(format, at, 4),
        5 => quants(format, at, 5),
        6 => quants(format, at, 6),
        _ => quants(format, at, 7),
    }
}

/// Rows of a tile with 512-bit registers: 24 sums, and what is loaded, are in
/// registers.
const HEIGHT_512: usize = 6;
/// Rows of a tile with 256-bit registers: twice as many integer sums hide the
/// latency of the dot product.
const HEIGHT_256: usize = 4;

// ---- A panel with some rows -------------------------------------------------

/// 32 columns, two registers, with `ROWS` rows.
#[inline(always)]
unsafe fn tile_512<const ROWS: usize>(panel: &Panel, tile: &Tile<'_>) {
    let height = HEIGHT_512;
    let (values, row_scales) = (tile.values().as_ptr(), tile.scales().as_ptr());
    let totals = tile.totals().as_ptr();
    // Known only at run time, on purpose: where the compiler unrolls this loop, it has no registers
    // left for the sums.
    let fours = panel.group / 4;
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    if let Some((start, stride)) = tile.start() {
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = start.add(row * stride);
            *sums = [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16))];
        }
    }
    for group in 0..panel.len / (fours * 4) {
        let mut dots = [[_mm512_setzero_si512(); 2]; ROWS];
        let quants = panel.quants.as_ptr().add(group * fours * 128);
        let values = values.add(group * fours * 4 * height);
        for four in 0..fours {
            let weights = [
                _mm512_loadu_si512(quants.add(four * 128).cast()),
                _mm512_loadu_si512(quants.add(four * 128 + 64).cast()),
            ];
            for (row, dots) in dots.iter_mut().enumerate() {
                let at = values.add((four * height + row) * 4).cast::<i32>();
                let values = _mm512_set1_epi32(at.read_unaligned());
                dots[0] = _mm512_dpbusd_epi32(dots[0], weights[0], values);
                dots[1] = _mm512_dpbusd_epi32(dots[1], weights[1], values);
            }
        }
        let scales = panel.scales.as_ptr().add(group * 32);
        let minima = panel.minima.as_ptr().add(group * 32);
        let row_scales = row_scales.add(group * fours / 8 * height);
        let totals = totals.add(group * height);
        for (row, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
            let scale = _mm512_set1_ps(*row_scales.add(row));
            let total = _mm512_set1_ps(*totals.add(row));
            for half in 0..2 {
                let scales = _mm512_mul_ps(_mm512_loadu_ps(scales.add(half * 16)), scale);
                let minima = _mm512_loadu_ps(minima.add(half * 16));
                sums[half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[half]), scales, sums[half]);
                sums[half] = _mm512_fnmadd_ps(minima, total, sums[half]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let at = tile.dst.add(row * tile.stride);
        _mm512_storeu_ps(at, sums[0]);
        _mm512_storeu_ps(at.add(16), sums[1]);
    }
}

/// 16 columns, two registers, with `ROWS` rows. `SIGNED` weights have the sign
/// moved to the other factor.
#[inline(always)]
unsafe fn tile_256<D: Dot, const ROWS: usize, const SIGNED: bool>(panel: &Panel, tile: &Tile<'_>) {
    let height = HEIGHT_256;
    let (values, row_scales) = (tile.values().as_ptr(), tile.scales().as_ptr());
    let totals = tile.totals().as_ptr();
    let fours = panel.group / 4;
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    if let Some((start, stride)) = tile.start() {
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = start.add(row * stride);
            *sums = [floats(at), floats(at.add(8))];
        }
    }
    for group in 0..panel.len / (fours * 4) {
        let mut dots = [[_mm256_setzero_si256(); 2]; ROWS];
        let quants = panel.quants.as_ptr().add(group * fours * 64);
        let values = values.add(group * fours * 4 * height);
        for four in 0..fours {
            let weights = [load(quants.add(four * 64)), load(quants.add(four * 64 + 32))];
            for (row, dots) in dots.iter_mut().enumerate() {
                let at = values.add((four * height + row) * 4).cast::<i32>();
                let values = _mm256_set1_epi32(at.read_unaligned());
                for half in 0..2 {
                    dots[half] = if SIGNED {
                        let magnitude = _mm256_abs_epi8(weights[half]);
                        D::dot(dots[half], magnitude, _mm256_sign_epi8(values, weights[half]))
                    } else {
                        D::dot(dots[half], weights[half], values)
                    };
                }
            }
        }
        let scales = panel.scales.as_ptr().add(group * 16);
        let minima = panel.minima.as_ptr().add(group * 16);
        let row_scales = row_scales.add(group * fours / 8 * height);
        let totals = totals.add(group * height);
        for (row, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
            let scale = _mm256_set1_ps(*row_scales.add(row));
            let total = _mm256_set1_ps(*totals.add(row));
            for half in 0..2 {
                let scales = _mm256_mul_ps(floats(scales.add(half * 8)), scale);
                let minima = floats(minima.add(half * 8));
                sums[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[half]), scales, sums[half]);
                sums[half] = _mm256_fnmadd_ps(minima, total, sums[half]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let at = tile.dst.add(row * tile.stride);
        _mm256_storeu_ps(at, sums[0]);
        _mm256_storeu_ps(at.add(8), sums[1]);
    }
}

#[inline(always)]
unsafe fn tile_256_rows<D: Dot, const SIGNED: bool>(panel: &Panel, tile: &Tile<'_>) {
    match tile.count {
        1 => tile_256::<D, 1, SIGNED>(panel, tile),
        2 => tile_256::<D, 2, SIGNED>(panel, tile),
        3 => tile_256::<D, 3, SIGNED>(panel, tile),
        _ => tile_256::<D, HEIGHT_256, SIGNED>(panel, tile),
    }
}

#[inline(always)]
unsafe fn tile_256_any<D: Dot>(panel: &Panel, tile: &Tile<'_>) {
    if panel.signed {
        tile_256_rows::<D, true>(panel, tile);
    } else {
        tile_256_rows::<D, false>(panel, tile);
    }
}

#[inline(always)]
unsafe fn tile_512_rows(panel: &Panel, tile: &Tile<'_>) {
    match tile.count {
        1 => tile_512::<1>(panel, tile),
        2 => tile_512::<2>(panel, tile),
        3 => tile_512::<3>(panel, tile),
        4 => tile_512::<4>(panel, tile),
        5 => tile_512::<5>(panel, tile),
        _ => tile_512::<HEIGHT_512>(panel, tile),
    }
}

// ---- The instructions -------------------------------------------------------

macro_rules! kernels {
    ($name:ident, $module:ident, $dot:ty, $features:literal) => {
        pub(super) static $name: Kernels = Kernels {
            columns: 16,
            rows: HEIGHT_256,
            full_range: <$dot>::FULL_RANGE,
            quantize: $module::quantize,
            unpack: $module::unpack,
            dot: $module::dot,
            tile: $module::tile,
        };

        mod $module {
            use super::*;

            #[target_feature(enable = $features)]
            pub(super) unsafe fn quantize(values: &[f32], row: &mut RowMut<'_>) {
                super::quantize(values, row);
            }

            #[target_feature(enable = $features)]
            pub(super) unsafe fn unpack(panel: &mut Panel, weights: Weights<'_>) {
                unpack_any(panel, weights);
            }

            #[target_feature(enable = $features)]
            pub(super) unsafe fn dot(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
                super::dot::<$dot>(format, weights, row)
            }

            #[target_feature(enable = $features)]
            pub(super) unsafe fn tile(panel: &Panel, tile: Tile<'_>) {
                tile_256_any::<$dot>(panel, &tile);
            }
        }
    };
}

kernels!(AVX2, avx2, Maddubs, "avx2,fma,f16c");
kernels!(AVX_VNNI, avx_vnni, Vnni, "avx2,fma,f16c,avxvnni");
kernels!(
    AVX512_WITH_256,
    avx512_with_256,
    Vnni512,
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
);

pub(super) static AVX512: Kernels = Kernels {
    columns: 32,
    rows: HEIGHT_512,
    dot: dot_avx512,
    tile: tile_avx512,
    ..AVX512_WITH_256
};

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn dot_avx512(format: Format, weights: &[u8], row: Row<'_>) -> f32 {
    match format {
        Format::Q4K => dot_512(Format::Q4K, weights, row),
        Format::Q5K => dot_512(Format::Q5K, weights, row),
        Format::Q6K => dot_512(Format::Q6K, weights, row),
        format => dot::<Vnni512>(format, weights, row),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn tile_avx512(panel: &Panel, tile: Tile<'_>) {
    tile_512_rows(panel, &tile);
}
