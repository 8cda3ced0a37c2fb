//! How the library bears up under numbers: `scale start FILES` reads a folder of so many small
//! files, and measures what a start costs when nothing has changed, and what the idle program
//! costs; `scale edits EDITS` edits one file so often, and measures what is left of it.
//!
//! The index is kept in memory, so that what is measured is the catalogue and the look at the
//! disk. Linux only: it reads `/proc`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

#[path = "../tests/common/mod.rs"]
mod common;

use common::World;
use lectern_ingest::Until;
use tokio_util::sync::CancellationToken;

/// Seconds of processor time and mebibytes of memory of this process.
fn used() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (ticks / 100., kib / 1024.)
}

fn megabytes_below(folder: &Path) -> f64 {
    let bytes: u64 = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum();
    bytes as f64 / 1e6
}

async fn timed(world: &World, what: &str) {
    let (start, (before, _)) = (Instant::now(), used());
    world.run().await.unwrap();
    let (wall, processor) = (start.elapsed().as_secs_f64(), used().0 - before);
    println!("{what}: {wall:.2} s, {processor:.2} s of processor time");
}

async fn start(files: usize) {
    let world = World::new();
    for n in 0..files {
        world.write(
            &format!("{}/{}/{n}.md", n % 50, n / 50 % 40),
            &format!("# Note {n}\n\nThe keeper wrote down number {n}."),
        );
    }
    timed(&world, "reading all").await;
    timed(&world, "a start where nothing has changed, files just written").await;
    timed(&world, "a start where nothing has changed").await;
    world.write("0/0/new.md", "A new note.");
    timed(&world, "a start with one new file").await;

    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let begin = Instant::now();
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    // Settled once a file that comes is read.
    world.write("0/0/last.md", "The last note.");
    world.wait_for(|world| world.states().iter().any(|state| state == "0/0/last.md ready")).await;
    println!("a start that goes on to watch: {:.2} s", begin.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, _) = used();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (after, memory) = used();
    println!("idle: {:.3} s of processor time in 30 s, {memory:.0} MiB", after - before);
    cancel.cancel();
    running.await.unwrap().unwrap();
}

async fn edits(count: usize) {
    let world = World::new();
    let story = "The keeper of the lighthouse wrote down what the night had brought. ".repeat(60);
    for n in 0..100 {
        world.write(&format!("{n}.md"), &format!("# Note {n}\n\n{story}{n}"));
    }
    world.run().await.unwrap();
    let library = world.directory.path();
    println!("fresh: {:.2} MB", megabytes_below(library));
    for edit in 1..=count {
        world.write("7.md", &format!("# Note 7\n\n{story}Edit {edit}."));
        world.run().await.unwrap();
        if edit % (count / 4).max(1) == 0 {
            let begin = Instant::now();
            let files = world.catalog.files(None).unwrap();
            let counts = world.catalog.counts(None).unwrap();
            println!(
                "{edit} edits: {:.2} MB, {} files, {} chunks, counted in {:.1} ms",
                megabytes_below(library),
                files.len(),
                counts.chunks,
                begin.elapsed().as_secs_f64() * 1e3
            );
        }
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let number = arguments.next().and_then(|number| number.parse().ok());
    match (what.as_str(), number) {
        ("start", Some(files)) => start(files).await,
        ("edits", Some(count)) => edits(count).await,
        _ => println!("scale start FILES | scale edits EDITS"),
    }
}
