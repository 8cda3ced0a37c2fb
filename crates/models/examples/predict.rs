//! Says for GGUF files how fast they would be here: `predict THREADS TOKENS FILE…`. For comparing
//! with what `measure` of `lectern-inference` says of the same files.
#![allow(clippy::print_stdout)]

use std::path::Path;

use lectern_gguf::Header;
use lectern_models::{Pace, Size};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: predict THREADS TOKENS FILE…";
    lectern_models::use_threads(arguments.next().ok_or(usage)?.parse()?);
    let tokens = arguments.next().ok_or(usage)?.parse()?;
    let pace = Pace::measure();
    println!("{}", serde_json::to_string(&pace)?);
    for file in arguments {
        let header = Header::read(Path::new(&file))?;
        let size = Size { shape: header.shape()?, bytes: header.file_bytes() };
        println!(
            "first word after {:.2} s, {:.1} tokens/s\t{file}",
            pace.first_token_seconds(&size, tokens),
            pace.tokens_per_second(&size)
        );
    }
    Ok(())
}
