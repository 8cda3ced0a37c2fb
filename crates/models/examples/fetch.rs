//! Fetches a model of the catalogue into a folder: `fetch ID FOLDER`. For trying the network.
#![allow(clippy::print_stdout)]

use lectern_models::{Downloads, ModelStore, Network};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(id), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fetch ID FOLDER".into());
    };
    let downloads = Downloads::new(ModelStore::new(folder), Network::from_environment);
    let mut told = downloads.subscribe();
    let stop = CancellationToken::new();
    let get = downloads.get(&id, &stop);
    tokio::pin!(get);
    loop {
        tokio::select! {
            done = &mut get => return Ok(done?),
            progress = told.recv() => println!("{progress:?}"),
        }
    }
}
