//! That pictures of pages are recognised after all else, page by page, and lose nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::atomic::Ordering;

use common::World;
use lectern_extract::worker::ReadFailureReason;
use lectern_ingest::Until;
use tokio_util::sync::CancellationToken;

/// A TIFF file of so many white pictures of one pixel (TIFF 6.0, section 4).
fn scan(pages: u32, colour: u8) -> Vec<u8> {
    const ENTRIES: [(u16, u16, u32); 9] = [
        (256, 3, 1),
        (257, 3, 1),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, 1),
        (279, 4, 1),
    ];
    let length = 2 + 12 * ENTRIES.len() as u32 + 4;
    let mut file = b"II*\0\x0C\0\0\0".to_vec();
    file.extend([colour, 0, 0, 0]);
    for page in 1..=pages {
        file.extend((ENTRIES.len() as u16).to_le_bytes());
        for (tag, kind, value) in ENTRIES {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let next = if page == pages { 0 } else { 12 + page * length };
        file.extend(next.to_le_bytes());
    }
    file
}

fn words(page: u32) -> Result<String, ReadFailureReason> {
    Ok(format!("Words of picture {page}."))
}

impl World {
    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder().join(name), bytes).unwrap();
    }

    /// How many pages of each file wait for OCR, by path.
    fn unrecognised(&self) -> Vec<u32> {
        self.catalog.files(None).unwrap().iter().map(|file| file.unrecognised).collect()
    }
}

#[tokio::test]
async fn a_scan_waits_for_the_model_and_is_read_after_all_else() {
    let world = World::new();
    world.put("a.tif", &scan(3, 255));
    world.write("b.md", "Words of a text.");
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.tif skipped", "b.md ready"]);
    assert_eq!((world.unrecognised(), world.catalog.waiting_scans().unwrap()), (vec![3, 0], 3));
    world.ocr.install(words);
    // The text is new too; it comes first.
    world.write("c.md", "Words of another.");
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.tif ready", "b.md ready", "c.md ready"]);
    assert_eq!((world.unrecognised(), world.ocr.asked()), (vec![0, 0, 0], vec![1, 2, 3]));
    let scanned = "Words of picture 1.\n\nWords of picture 2.\n\nWords of picture 3.";
    assert!(world.indexed().iter().any(|text| text.ends_with(scanned)), "{:?}", world.indexed());
    assert_eq!(world.index.vectors.lock().unwrap().len(), world.indexed().len());
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
    world.run().await.unwrap();
    assert!(world.ocr.asked().is_empty());
}

#[tokio::test]
async fn what_was_stopped_goes_on_with_the_page_it_was_at() {
    let world = World::new();
    world.put("a.tif", &scan(3, 255));
    world.ocr.install(words);
    let cancel = CancellationToken::new();
    *world.ocr.stop_at.lock().unwrap() = Some((2, cancel.clone()));
    world.indexer(cancel).run(Until::Idle).await.unwrap();
    assert_eq!((world.ocr.asked(), world.unrecognised()), (vec![1, 2], vec![2]));
    world.run().await.unwrap();
    assert_eq!((world.ocr.asked(), world.states()), (vec![2, 3], vec!["a.tif ready".to_owned()]));
}

#[tokio::test]
async fn one_content_is_recognised_once_whatever_its_names() {
    let world = World::new();
    world.ocr.install(words);
    world.put("a.tif", &scan(2, 255));
    world.put("b.tif", &scan(2, 255));
    world.run().await.unwrap();
    assert_eq!(world.ocr.asked(), [1, 2]);
    assert_eq!(world.states(), ["a.tif ready", "b.tif ready"]);
    world.put("c.tif", &scan(2, 255));
    world.run().await.unwrap();
    assert!(world.ocr.asked().is_empty());
    assert_eq!(world.states(), ["a.tif ready", "b.tif ready", "c.tif ready"]);
    assert_eq!(world.indexed().len(), 1);
}

#[tokio::test]
async fn pages_that_cannot_be_recognised_cost_only_themselves() {
    type Case = (fn(u32) -> Result<String, ReadFailureReason>, &'static str);
    let cases: [Case; 3] = [
        (
            |page| if page == 1 { Err(ReadFailureReason::Crashed) } else { words(page) },
            "a.tif ready",
        ),
        (|_| Err(ReadFailureReason::TimedOut), "a.tif skipped"),
        (|_| Ok(String::new()), "a.tif skipped"),
    ];
    for (sees, state) in cases {
        let world = World::new();
        world.ocr.install(sees);
        world.put("a.tif", &scan(2, 255));
        world.run().await.unwrap();
        assert_eq!(world.states(), [state]);
        assert_eq!((world.ocr.asked(), world.unrecognised()), (vec![1, 2], vec![0]));
        let file = &world.catalog.files(None).unwrap()[0];
        assert_eq!(file.reason.is_some(), state.ends_with("skipped"), "{:?}", file.reason);
    }
}

#[tokio::test]
async fn a_model_that_does_not_work_leaves_the_pages_waiting() {
    let world = World::new();
    world.ocr.install(|_| Err(ReadFailureReason::NeedsOcr));
    world.put("a.tif", &scan(2, 255));
    world.run().await.unwrap();
    assert_eq!((world.ocr.asked(), world.unrecognised()), (vec![1], vec![2]));
    assert_eq!(world.states(), ["a.tif skipped"]);
}

#[tokio::test]
async fn a_scan_that_was_changed_or_forgotten_leaves_nothing() {
    let world = World::new();
    world.put("a.tif", &scan(3, 255));
    world.run().await.unwrap();
    world.put("a.tif", &scan(2, 7));
    world.ocr.install(words);
    world.run().await.unwrap();
    assert_eq!((world.ocr.asked(), world.states()), (vec![1, 2], vec!["a.tif ready".to_owned()]));
    let path = world.folder().join("a.tif");
    world.catalog.remove_path(path.to_str().unwrap()).unwrap();
    world.run().await.unwrap();
    assert!(world.indexed().is_empty());
    assert_eq!(world.catalog.waiting_scans().unwrap(), 0);
}
