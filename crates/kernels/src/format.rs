//! The block formats of GGUF, written from the format's specification
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md> and the block
//! structures it names).
//!
//! Every format comes down to the same thing: groups of 16 or 32 unsigned
//! integers `q` with one scale and one minimum each, the weight being
//! `scale * q - minimum`. The kernels know only this.

/// How a matrix of weights is stored: rows of blocks, a block being 32 or 256
/// consecutive weights of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 4 bits, a scale per 32 weights, centred on 8.
    Q4_0,
    /// 4 bits, a scale and a minimum per 32 weights.
    Q4_1,
    /// 5 bits, a scale per 32 weights, centred on 16.
    Q5_0,
    /// 5 bits, a scale and a minimum per 32 weights.
    Q5_1,
    /// 8 bits, a scale per 32 weights, signed.
    Q8_0,
    /// 4 bits, blocks of 256: a 6-bit scale and minimum per 32 weights.
    Q4K,
    /// 5 bits, blocks of 256: a 6-bit scale and minimum per 32 weights.
    Q5K,
    /// 6 bits, blocks of 256: an 8-bit scale per 16 weights, centred on 32.
    Q6K,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 8] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// How many weights a block holds.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// How many bytes a block takes.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// How many bytes a row of `k` weights takes; `None` where `k` is no whole
    /// number of blocks.
    pub const fn row_bytes(self, k: usize) -> Option<usize> {
        if k.is_multiple_of(self.block_len()) {
            Some(k / self.block_len() * self.block_bytes())
        } else {
            None
        }
    }

    /// Writes the weights of `bytes`, whole blocks, to `out`.
    ///
    /// # Panics
    ///
    /// Where `bytes` and `out` are not of the same number of blocks.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(self.row_bytes(out.len()), Some(bytes.len()), "not the same blocks");
        let (blocks, out) =
            (bytes.chunks_exact(self.block_bytes()), out.chunks_exact_mut(self.block_len()));
        let mut block = Unpacked::default();
        for (bytes, out) in blocks.zip(out) {
            unpack(self, bytes, &mut block);
            let group = self.group_len();
            for (index, (value, quant)) in out.iter_mut().zip(&block.quants).enumerate() {
                let group = index / group;
                *value = block.scales[group] * f32::from(*quant) - block.minima[group];
            }
        }
    }

    /// How many weights share a scale.
    pub(crate) const fn group_len(self) -> usize {
        match self {
            Self::Q6K => 16,
            _ => 32,
        }
    }
}

/// A block as the kernels want it; of the smaller blocks only the start is used.
pub(crate) struct Unpacked {
    pub(crate) quants: [u8; 256],
    pub(crate) scales: [f32; 16],
    pub(crate) minima: [f32; 16],
}

impl Default for Unpacked {
    fn default() -> Self {
        Self { quants: [0; 256], scales: [0.0; 16], minima: [0.0; 16] }
    }
}

/// IEEE 754 half precision to single; there are no infinities among scales.
#[inline(always)]
pub(crate) fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    // The exponents' biases differ by 112; multiplying instead of adding it to
    // the exponent brings the subnormal numbers right.
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// Single precision to half, to the nearest; for magnitudes below 65,504.
pub(crate) fn to_half(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = f32::from_bits(bits & 0x7fff_ffff);
    let rounded = if magnitude < f32::from_bits(113 << 23) {
        // Subnormal: units of 2^-24, rounded by the adder.
        (magnitude + 0.5).to_bits() - 0.5_f32.to_bits()
    } else {
        let bits = magnitude.to_bits();
        (bits + 0xfff + (bits >> 13 & 1) - (112 << 23)) >> 13
    };
    (sign | rounded as u16).to_le_bytes()
}

/// The eight 6-bit scales and the eight 6-bit minima of a block of Q4_K or Q5_K,
/// one per byte, from their twelve bytes.
#[inline(always)]
pub(crate) fn six_bit_scales(bytes: &[u8]) -> (u64, u64) {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (first, second, third) = (word(0), word(4), word(8));
    let low = |word: u32| word & 0x3f3f_3f3f;
    let high = |word: u32| (word >> 6 & 0x0303_0303) << 4;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    (
        join(low(first), third & 0x0f0f_0f0f | high(first)),
        join(low(second), third >> 4 & 0x0f0f_0f0f | high(second)),
    )
}

/// Unpacks one block.
#[inline(always)]
pub(crate) fn unpack(format: Format, block: &[u8], out: &mut Unpacked) {
    match format {
        Format::Q4_0 => {
            nibbles(&block[2..18], &mut out.quants);
            centred(half(block), 8.0, out);
        }
        Format::Q4_1 => {
            nibbles(&block[4..20], &mut out.quants);
            (out.scales[0], out.minima[0]) = (half(block), -half(&block[2..]));
        }
        Format::Q5_0 => {
            nibbles(&block[6..22], &mut out.quants);
            fifth_bits(&block[2..6], &mut out.quants);
            centred(half(block), 16.0, out);
        }
        Format::Q5_1 => {
            nibbles(&block[8..24], &mut out.quants);
            fifth_bits(&block[4..8], &mut out.quants);
            (out.scales[0], out.minima[0]) = (half(block), -half(&block[2..]));
        }
        Format::Q8_0 => {
            for (quant, byte) in out.quants.iter_mut().zip(&block[2..34]) {
                *quant = byte ^ 0x80;
            }
            centred(half(block), 128.0, out);
        }
        Format::Q4K | Format::Q5K => {
            let quants = if format == Format::Q4K { &block[16..144] } else { &block[48..176] };
            for (pair, bytes) in out.quants.chunks_exact_mut(64).zip(quants.chunks_exact(32)) {
                let (low, high) = pair.split_at_mut(32);
                for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
                    (*low, *high) = (byte & 15, byte >> 4);
                }
            }
            if format == Format::Q5K {
                for (group, quants) in out.quants.chunks_exact_mut(32).enumerate() {
                    for (quant, bits) in quants.iter_mut().zip(&block[16..48]) {
                        *quant |= (bits >> group & 1) << 4;
                    }
                }
            }
            let (scale, minimum) = (half(block), half(&block[2..]));
            let (scales, minima) = six_bit_scales(&block[4..16]);
            for (group, (s, m)) in
                scales.to_le_bytes().into_iter().zip(minima.to_le_bytes()).enumerate()
            {
                out.scales[group] = scale * f32::from(s);
                out.minima[group] = minimum * f32::from(m);
            }
        }
        Format::Q6K => {
            let (low, rest) = block.split_at(128);
            let (high, rest) = rest.split_at(64);
            for (half, quants) in out.quants.chunks_exact_mut(128).enumerate() {
                let (low, high) = (&low[half * 64..][..64], &high[half * 32..][..32]);
                for index in 0..32 {
                    let bits = high[index];
                    quants[index] = low[index] & 15 | (bits & 3) << 4;
                    quants[index + 32] = low[index + 32] & 15 | (bits >> 2 & 3) << 4;
                    quants[index + 64] = low[index] >> 4 | (bits >> 4 & 3) << 4;
                    quants[index + 96] = low[index + 32] >> 4 | (bits >> 6) << 4;
                }
            }
            let scale = half(&rest[16..]);
            for (group, byte) in rest[..16].iter().enumerate() {
                let scale = scale * f32::from(byte.cast_signed());
                (out.scales[group], out.minima[group]) = (scale, 32.0 * scale);
            }
        }
    }
}

#[inline(always)]
fn nibbles(bytes: &[u8], quants: &mut [u8; 256]) {
    for (index, byte) in bytes.iter().enumerate() {
        quants[index] = byte & 15;
        quants[index + 16] = byte >> 4;
    }
}

#[inline(always)]
fn fifth_bits(bytes: &[u8], quants: &mut [u8; 256]) {
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    for (index, quant) in quants[..32].iter_mut().enumerate() {
        *quant |= (bits >> index & 1) as u8 * 16;
    }
}

#[inline(always)]
fn centred(scale: f32, centre: f32, out: &mut Unpacked) {
    (out.scales[0], out.minima[0]) = (scale, scale * centre);
}

/// Quantises weights to [`Format::Q8_0`], each group of 32 by its largest
/// magnitude. `None` where one is no number or too large for the format, so more
/// than some eight million.
///
/// # Panics
///
/// Where `weights` is no whole number of groups.
pub fn quantize_q8_0(weights: &[f32]) -> Option<Vec<u8>> {
    /// The largest number of half precision.
    const LARGEST: f32 = 65_504.0;
    assert!(weights.len().is_multiple_of(32), "Q8_0 holds groups of 32 weights");
    let mut bytes = Vec::with_capacity(weights.len() / 32 * 34);
    for group in weights.chunks_exact(32) {
        let largest = group.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
        // `max` passes NaN over, the sum does not.
        if largest / 127.0 > LARGEST || !group.iter().sum::<f32>().is_finite() {
            return None;
        }
        let scale = to_half(largest / 127.0);
        bytes.extend_from_slice(&scale);
        // By the scale that will be read, not the one that was meant.
        let scale = half(&scale);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        bytes.extend(group.iter().map(|weight| {
            let quant = (weight * inverse).round().clamp(-127.0, 127.0);
            (quant as i8).cast_unsigned()
        }));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_keep_weights_to_half_a_step() {
        for size in [1e-6, 0.02, 1.0, 8_000_000.0] {
            let weights: Vec<f32> =
                (0..64).map(|i| ((i * 37 % 64) as f32 / 31.5 - 1.0) * size).collect();
            let bytes = quantize_q8_0(&weights).unwrap_or_default();
            let mut again = vec![0.0; 64];
            Format::Q8_0.dequantize(&bytes, &mut again);
            for (weight, again) in weights.iter().zip(again) {
                // The scale has eleven bits itself, fewer where it is subnormal.
                let step = size / 127.0;
                let tolerance = step * 0.51 + size * 1e-3 + 127.0 * 6e-8;
                assert!((weight - again).abs() <= tolerance, "{weight} became {again}");
            }
        }
        assert_eq!(quantize_q8_0(&[0.0; 32]).map(|bytes| bytes[2..].to_vec()), Some(vec![0; 32]));
        for bad in [f32::NAN, f32::INFINITY, -1e30] {
            let mut weights = [1.0; 32];
            weights[3] = bad;
            assert_eq!(quantize_q8_0(&weights), None, "{bad}");
        }
    }
}
