//! Registers of 32-bit floats, for what is written once for all instruction sets.
//!
//! All functions are to be inlined into one that names the instructions it uses.

use crate::format::half;

/// A register.
///
/// # Safety
///
/// The methods must only be called where the processor has the instructions, and
/// with pointers to as many floats as there are lanes.
pub(crate) trait Vector: Copy {
    /// Floats in the register.
    const LANES: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn store(self, at: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn fma(self, factor: Self, addend: Self) -> Self;
    /// As many halves, widened.
    unsafe fn load_halves(at: *const Half) -> Self;
    /// 2 to the power of each lane, which is a whole number between -127 and 127
    /// plus 1.5 · 2^23; 0 for -127.
    unsafe fn exp2_shifted(self) -> Self;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The sum of the lanes.
    #[inline(always)]
    unsafe fn total(self) -> f32 {
        let mut lanes = [0.0; 16];
        self.store(lanes.as_mut_ptr());
        lanes[..Self::LANES].iter().sum()
    }

    /// The largest lane.
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; 16];
        self.store(lanes.as_mut_ptr());
        lanes[..Self::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// The exponential, to within two units of the last place; of what is below
    /// -87 it is next to nothing, of what is above 88 it is e^88.
    ///
    /// The argument is split as n·ln 2 + r, |r| ≤ ln 2 / 2, and e^r is the
    /// polynomial of Cephes' `expf` (Moshier).
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        const SHIFT: f32 = 12_582_912.0;
        let x = self.max(Self::splat(-87.3));
        // The smaller of two, as there is no `min`.
        let x = Self::zero().sub(Self::zero().sub(x).max(Self::splat(-88.0)));
        let shifted = x.fma(Self::splat(std::f32::consts::LOG2_E), Self::splat(SHIFT));
        let whole = shifted.sub(Self::splat(SHIFT));
        let rest = whole.fma(Self::splat(-0.693_359_4), x);
        let rest = whole.fma(Self::splat(2.121_944_4e-4), rest);
        let mut sum = Self::splat(1.987_569_1e-4);
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            sum = sum.fma(rest, Self::splat(coefficient));
        }
        let sum = sum.fma(rest.mul(rest), rest).add(Self::splat(1.0));
        sum.mul(shifted.exp2_shifted())
    }
}

/// The bits of a number in half precision.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Half(u16);

/// The same bits, with their meaning.
pub(crate) fn halves(bits: &[u16]) -> &[Half] {
    // SAFETY: `Half` is represented as what it holds.
    unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
}

/// What a register of floats can be loaded from.
pub(crate) trait Element: Copy + Sync {
    /// # Safety
    ///
    /// As the methods of [`Vector`].
    unsafe fn load<V: Vector>(at: *const Self) -> V;
    fn float(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(at: *const Self) -> V {
        V::load(at)
    }

    #[inline(always)]
    fn float(self) -> f32 {
        self
    }
}

impl Element for Half {
    #[inline(always)]
    unsafe fn load<V: Vector>(at: *const Self) -> V {
        V::load_halves(at)
    }

    #[inline(always)]
    fn float(self) -> f32 {
        // All ones in the exponent are an infinity or no number.
        if self.0 & 0x7c00 == 0x7c00 {
            let bits = u32::from(self.0);
            return f32::from_bits((bits & 0x8000) << 16 | 0x7f80_0000 | (bits & 0x3ff) << 13);
        }
        half(&self.0.to_le_bytes())
    }
}

/// The places of `len` floats, a register at a time; the last may not be full.
#[inline(always)]
pub(crate) fn lanes<V: Vector>(len: usize) -> Lanes<V> {
    Lanes { next: 0, len, of: std::marker::PhantomData }
}

/// See [`lanes`]. Not an adaptor with a closure: that would be a function of its own,
/// without the instructions of the one around it.
pub(crate) struct Lanes<V> {
    next: usize,
    len: usize,
    of: std::marker::PhantomData<V>,
}

impl<V: Vector> Iterator for Lanes<V> {
    type Item = Place<V>;

    #[inline(always)]
    fn next(&mut self) -> Option<Place<V>> {
        let start = self.next;
        let len = V::LANES.min(self.len - start);
        self.next += len;
        (len > 0).then_some(Place { start, len, of: self.of })
    }
}

/// A register's place in slices.
pub(crate) struct Place<V> {
    start: usize,
    len: usize,
    of: std::marker::PhantomData<V>,
}

impl<V: Vector> Place<V> {
    /// What is there; zeros in the lanes beyond the end.
    #[inline(always)]
    pub(crate) unsafe fn load(&self, from: &[f32]) -> V {
        let from = &from[self.start..self.start + self.len];
        if from.len() == V::LANES {
            return V::load(from.as_ptr());
        }
        let mut lanes = [0.0; 16];
        lanes[..from.len()].copy_from_slice(from);
        V::load(lanes.as_ptr())
    }

    #[inline(always)]
    pub(crate) unsafe fn store(&self, value: V, to: &mut [f32]) {
        let to = &mut to[self.start..self.start + self.len];
        if to.len() == V::LANES {
            return value.store(to.as_mut_ptr());
        }
        let mut lanes = [0.0; 16];
        value.store(lanes.as_mut_ptr());
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

/// Plain Rust: the reference.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn map(self, of: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(of))
    }

    #[inline(always)]
    fn zip(self, other: Self, of: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| of(self.0[lane], other.0[lane])))
    }
}

/// What the bits of a number plus 1.5 · 2^23 say of it, as the exponent of a float.
#[inline(always)]
fn exponent(bits: u32) -> u32 {
    bits.wrapping_add(127) << 23
}

impl Vector for Plain {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        Self(at.cast::<[f32; 8]>().read_unaligned())
    }

    #[inline(always)]
    unsafe fn load_halves(at: *const Half) -> Self {
        Self(at.cast::<[Half; 8]>().read_unaligned().map(Element::float))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        at.cast::<[f32; 8]>().write_unaligned(self.0);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        self.mul(factor).add(addend)
    }

    #[inline(always)]
    unsafe fn exp2_shifted(self) -> Self {
        self.map(|value| f32::from_bits(exponent(value.to_bits())))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use std::arch::x86_64::*;

    use super::{Half, Vector};

    /// 32 bytes. Not by `_mm256_loadu_si256`, of which the compiler makes two loads and an insertion:
    /// it compiles for the oldest processor that the program runs on, and there these were faster.
    #[inline(always)]
    pub(crate) unsafe fn load(at: *const u8) -> __m256i {
        _mm256_lddqu_si256(at.cast())
    }

    /// Eight numbers.
    #[inline(always)]
    pub(crate) unsafe fn floats(at: *const f32) -> __m256 {
        _mm256_castsi256_ps(load(at.cast()))
    }

    impl Vector for __m256 {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            _mm256_set1_ps(value)
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            floats(at)
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const Half) -> Self {
            _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            _mm256_storeu_ps(at, self);
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm256_add_ps(self, other)
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            _mm256_sub_ps(self, other)
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            _mm256_mul_ps(self, other)
        }

        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            _mm256_div_ps(self, other)
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            _mm256_max_ps(self, other)
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, addend: Self) -> Self {
            _mm256_fmadd_ps(self, factor, addend)
        }

        #[inline(always)]
        unsafe fn exp2_shifted(self) -> Self {
            let biased = _mm256_add_epi32(_mm256_castps_si256(self), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        }
    }

    impl Vector for __m512 {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            _mm512_set1_ps(value)
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            _mm512_loadu_ps(at)
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const Half) -> Self {
            _mm512_cvtph_ps(load(at.cast()))
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            _mm512_storeu_ps(at, self);
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm512_add_ps(self, other)
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            _mm512_sub_ps(self, other)
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            _mm512_mul_ps(self, other)
        }

        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            _mm512_div_ps(self, other)
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            _mm512_max_ps(self, other)
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, addend: Self) -> Self {
            _mm512_fmadd_ps(self, factor, addend)
        }

        #[inline(always)]
        unsafe fn exp2_shifted(self) -> Self {
            let biased = _mm512_add_epi32(_mm512_castps_si512(self), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Half, Vector};

    impl Vector for float32x4_t {
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            vdupq_n_f32(value)
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            vld1q_f32(at)
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const Half) -> Self {
            vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at.cast())))
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            vst1q_f32(at, self);
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            vaddq_f32(self, other)
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            vsubq_f32(self, other)
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            vmulq_f32(self, other)
        }

        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            vdivq_f32(self, other)
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            vmaxq_f32(self, other)
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, addend: Self) -> Self {
            vfmaq_f32(addend, self, factor)
        }

        #[inline(always)]
        unsafe fn exp2_shifted(self) -> Self {
            let biased = vaddq_s32(vreinterpretq_s32_f32(self), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        }
    }
}

/// Compiles a body, generic in its [`Vector`], once per instruction set, and calls
/// the one for `isa`. The processor must have it.
macro_rules! dispatch {
    (
        $isa:expr,
        fn $body:ident $(<$of:ident: $bound:ident>)? ( $($name:ident : $type:ty),* $(,)? )
    ) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn avx2 $(<$of: $bound>)? ($($name: $type),*) {
            $body::<std::arch::x86_64::__m256 $(, $of)?>($($name),*);
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn avx512 $(<$of: $bound>)? ($($name: $type),*) {
            $body::<std::arch::x86_64::__m512 $(, $of)?>($($name),*);
        }
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx2 | $crate::cpu::Isa::AvxVnni => avx2($($name),*),
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx512 => avx512($($name),*),
            // NEON belongs to every 64-bit ARM processor.
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::Isa::Neon => $body::<std::arch::aarch64::float32x4_t $(, $of)?>($($name),*),
            _ => $body::<$crate::vector::Plain $(, $of)?>($($name),*),
        }
    }};
}

pub(crate) use dispatch;
