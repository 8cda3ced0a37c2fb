//! Buffers that begin at a cache line, so that no wide load crosses two.

/// A cache line, and the widest register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers for which all bit patterns are values and zero is zero.
///
/// # Safety
///
/// Only for such types, without padding, aligned to 64 bytes or less.
pub(crate) unsafe trait Number: Copy {}

// SAFETY, of these three: all bit patterns are values, and there is no padding.
unsafe impl Number for u8 {}
unsafe impl Number for i8 {}
unsafe impl Number for f32 {}

/// Zeros at first.
pub(crate) struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    of: std::marker::PhantomData<T>,
}

impl<T: Number> Buffer<T> {
    pub(crate) fn new(len: usize) -> Self {
        // `vec!` sees to it that the lines fit the address space.
        let Some(bytes) = len.checked_mul(size_of::<T>()) else {
            panic!("a buffer of {len} numbers is larger than the address space");
        };
        let lines = bytes.div_ceil(64);
        Self { lines: vec![Line([0; 64]); lines], len, of: std::marker::PhantomData }
    }
}

impl<T: Number> std::ops::Deref for Buffer<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold `len` numbers, of any bit pattern.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Number> std::ops::DerefMut for Buffer<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
