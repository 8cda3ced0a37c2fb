#![allow(clippy::unwrap_used)]

use super::*;

/// A small generator of numbers that look random (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Random blocks whose scales are of a size that weights have.
fn weights(format: Format, rows: usize, k: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; rows * format.row_bytes(k).unwrap()];
    bytes.iter_mut().for_each(|byte| *byte = (random.next() >> 32) as u8);
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        // Half precision: 2^-10 and about, of either sign for scales.
        let mut scale = |at: usize| {
            let bits = (random.next() >> 32) as u16 & 0x83ff | 0x1400;
            block[at..at + 2].copy_from_slice(&bits.to_le_bytes());
        };
        match format {
            Format::Q6K => scale(208),
            Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => scale(0),
            Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => {
                scale(0);
                scale(2);
            }
        }
    }
    bytes
}

fn exact(m: usize, k: usize, n: usize, lhs: &[f32], rhs: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut products = Vec::with_capacity(m * n);
    let mut sizes = Vec::with_capacity(m * n);
    for row in lhs.chunks_exact(k) {
        for column in rhs.chunks_exact(k) {
            let terms = row.iter().zip(column).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.push(terms.clone().sum::<f64>() as f32);
            sizes.push(terms.map(|term| term * term).sum::<f64>().sqrt() as f32);
        }
    }
    (products, sizes)
}

/// Rows, terms, columns: one and few rows, a full tile of each kind and one more,
/// depths of one block, of a panel, of several and a part, columns that fill no panel.
fn shapes(format: Format) -> Vec<(usize, usize, usize)> {
    let panel = PANEL_DEPTH / format.block_len();
    let mut shapes = vec![
        (13, panel * format.block_len(), 300),
        (7, (panel + 1) * format.block_len(), 33),
        (8, (2 * panel + 1) * format.block_len(), 16),
        (1, (2 * panel + 1) * format.block_len(), 5),
    ];
    for m in [1, 2, 4, 5, 6, 7, 13, 30] {
        for blocks in [1, 2, 9] {
            for n in [1, 7, 16, 33, 96] {
                shapes.push((m, blocks * format.block_len(), n));
            }
        }
    }
    shapes
}

#[test]
fn every_kernel_agrees_with_the_reference_and_with_floats() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for format in Format::ALL {
        for (m, k, n) in shapes(format) {
            let lhs: Vec<f32> = (0..m * k).map(|_| random.float() * 3.0).collect();
            let rhs = weights(format, n, k, &mut random);
            let mut floats = vec![0.0; n * k];
            format.dequantize(&rhs, &mut floats);
            let biases: Vec<f32> = (0..n).map(|_| random.float()).collect();
            let bias = m.is_multiple_of(2).then_some(biases.as_slice());
            let (mut exact, sizes) = exact(m, k, n, &lhs, &floats);
            for (index, value) in exact.iter_mut().enumerate() {
                *value += bias.map_or(0.0, |bias| bias[index % n]);
            }
            let mut reference = vec![f32::NAN; m * n];
            matmul_on(Isa::Scalar, format, (m, k, n), &lhs, &rhs, bias, &mut reference).unwrap();
            for (index, value) in reference.iter().enumerate() {
                // Each of the terms is off by at most 1/254 of the largest value of
                // its group, and the errors are independent.
                let tolerance = sizes[index] * 0.02 + 1e-6;
                let (exact, off) = (exact[index], (value - exact[index]).abs());
                assert!(
                    off <= tolerance,
                    "{format:?} {m}x{k}x{n} [{index}]: {value}, exactly {exact}"
                );
            }
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                let mut dst = vec![f32::NAN; m * n];
                matmul_on(isa, format, (m, k, n), &lhs, &rhs, bias, &mut dst).unwrap();
                for (index, (value, expected)) in dst.iter().zip(&reference).enumerate() {
                    // The same integers; only the floats are added in another order.
                    let tolerance = sizes[index] * 1e-4 + 1e-5;
                    assert!(
                        (value - expected).abs() <= tolerance,
                        "{} {format:?} {m}x{k}x{n} [{index}]: {value}, expected {expected}",
                        isa.name()
                    );
                }
            }
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let cases = [
        ("no whole block", Format::Q4K, (1, 128, 1), 128, 72, 1),
        ("too little on the left", Format::Q8_0, (2, 32, 1), 32, 34, 2),
        ("too few weights", Format::Q8_0, (1, 32, 2), 32, 34, 2),
        ("too many weights", Format::Q8_0, (1, 32, 1), 32, 68, 1),
        ("too little room", Format::Q8_0, (1, 32, 2), 32, 68, 1),
        ("sizes beyond measure", Format::Q8_0, (usize::MAX, 32, 2), 32, 68, 1),
    ];
    for (name, format, mkn, lhs, rhs, dst) in cases {
        let result = matmul(format, mkn, &vec![0.0; lhs], &vec![0; rhs], None, &mut vec![0.0; dst]);
        assert_eq!(result, Err(ShapeError), "{name}");
    }
    let biased = matmul(Format::Q8_0, (1, 32, 1), &[0.0; 32], &[0; 34], Some(&[]), &mut [0.0]);
    assert_eq!(biased, Err(ShapeError));
    assert_eq!(matmul(Format::Q8_0, (1, 0, 1), &[], &[], None, &mut [0.0]), Err(ShapeError));
    assert_eq!(matmul(Format::Q8_0, (0, 32, 1), &[], &[0; 34], None, &mut []), Ok(()));
}

#[test]
fn a_row_with_a_value_that_is_no_number_has_no_numbers_and_the_others_are_well() {
    for format in Format::ALL {
        let k = 2 * format.block_len();
        let rhs = weights(format, 3, k, &mut Random(7));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                for m in [2, 7] {
                    let mut lhs = vec![-1.0; m * k];
                    (lhs[k + 5], lhs[k + 6]) = (value, value);
                    let mut dst = vec![0.0; m * 3];
                    matmul_on(isa, format, (m, k, 3), &lhs, &rhs, None, &mut dst).unwrap();
                    for (index, result) in dst.iter().enumerate() {
                        let of_bad_row = index / 3 == 1;
                        assert_eq!(
                            result.is_nan(),
                            of_bad_row,
                            "{} {format:?} {value}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

/// All bits set and none, the sign alone: the largest sums there can be.
#[test]
fn the_largest_sums_do_not_overflow() {
    for format in Format::ALL {
        let k = 2 * format.block_len();
        for byte in [0x00, 0x0f, 0x7f, 0x80, 0xf0, 0xff] {
            let mut rhs = vec![byte; 3 * format.row_bytes(k).unwrap()];
            for block in rhs.chunks_exact_mut(format.block_bytes()) {
                let scales: &[usize] = match format {
                    Format::Q6K => &[208],
                    Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
                    _ => &[0, 2],
                };
                scales.iter().for_each(|at| block[*at..at + 2].copy_from_slice(&[0, 0x3c]));
            }
            let mut floats = vec![0.0; 3 * k];
            format.dequantize(&rhs, &mut floats);
            for sign in [1.0, -1.0] {
                for m in [1, 13] {
                    let lhs = vec![sign; m * k];
                    let (exact, sizes) = exact(m, k, 3, &lhs, &floats);
                    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                        let mut dst = vec![f32::NAN; m * 3];
                        matmul_on(isa, format, (m, k, 3), &lhs, &rhs, None, &mut dst).unwrap();
                        for index in 0..dst.len() {
                            let off = (dst[index] - exact[index]).abs();
                            let name = isa.name();
                            assert!(
                                off <= sizes[index] * 1e-4 + 1e-3,
                                "{name} {format:?} {byte:x}"
                            );
                        }
                    }
                }
            }
        }
    }
}
