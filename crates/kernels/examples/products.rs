//! Measures the products of a model on this processor: `products [ROWS]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use lectern_kernels::{Format, Isa, matmul_on, threads};

fn main() {
    let rows = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(512);
    println!("{} threads; {rows} rows and 1 row", threads());
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        for format in Format::ALL {
            let (k, n) = (1536, 8960);
            let bytes = n * format.row_bytes(k).unwrap_or(0);
            // More than a cache holds: a token reads all weights from memory.
            let copies = (256 << 20) / bytes;
            let rhs: Vec<u8> = (0..bytes * copies).map(|i| (i % 16) as u8).collect();
            let lhs = vec![0.5; rows * k];
            let mut dst = vec![0.0; rows * n];
            let mut best = f64::MAX;
            for _ in 0..if isa == Isa::Scalar { 1 } else { 5 } {
                let start = Instant::now();
                let done =
                    matmul_on(isa, format, (rows, k, n), &lhs, &rhs[..bytes], None, &mut dst);
                best = best.min(start.elapsed().as_secs_f64());
                assert!(done.is_ok());
            }
            let many = (rows * k * n) as f64 / best / 1e9;
            let mut best = f64::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                for weights in rhs.chunks_exact(bytes) {
                    let done =
                        matmul_on(isa, format, (1, k, n), &lhs[..k], weights, None, &mut dst[..n]);
                    assert!(done.is_ok());
                }
                best = best.min(start.elapsed().as_secs_f64());
            }
            let one = (bytes * copies) as f64 / best / 1e9;
            println!("{:8} {format:?}\t{many:7.1} G products/s\t{one:6.1} GB/s", isa.name());
        }
    }
}
