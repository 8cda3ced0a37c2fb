//! The indexer's promises, on real files and a real catalogue. The index is kept in
//! memory and documents are read in the test's own process, so that each test takes
//! milliseconds.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{LazyEmbedder, MemoryIndex, World};
use lectern_catalog::FileState;
use lectern_domain::{ChunkId, DocumentId};
use lectern_ingest::{IngestError, LibraryLock, PAUSED_SETTING, Successor, Until};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn reads_indexes_and_embeds_all_there_is() {
    let world = World::new();
    world.write("a.md", "# Alpha\n\nThe first.");
    world.write("sub/b.txt", "The second.");
    world.write("empty.md", "");
    world.write("bad.pdf", "%PDF-1.4 no");
    world.run().await.unwrap();
    let states = ["a.md ready", "bad.pdf failed", "empty.md skipped", "sub/b.txt ready"];
    assert_eq!(world.states(), states);
    let counts = world.catalog.counts(None).unwrap();
    assert_eq!((counts.chunks, counts.embedded_chunks), (2, 2));
    // Headings and names are searchable with the words below them.
    assert_eq!(world.indexed(), ["a\nAlpha\n\nThe first.", "b\nThe second."]);
}

#[tokio::test]
async fn an_unchanged_library_is_not_read_again() {
    let world = World::new();
    world.write("a.md", "One.");
    world.write("copy of a.md", "One.");
    world.run().await.unwrap();
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "a copy is not read twice");
    world.run().await.unwrap();
    fs::rename(world.folder().join("a.md"), world.folder().join("moved.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "nor is a moved file");
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
    assert_eq!(world.states(), ["copy of a.md ready", "moved.md ready"]);
}

#[tokio::test]
async fn follows_edits_and_removals_between_two_runs() {
    let world = World::new();
    world.write("a.md", "Old.");
    world.write("b.md", "Stays.");
    world.write("c.md", "Goes.");
    world.run().await.unwrap();
    world.write("a.md", "New words.");
    fs::remove_file(world.folder().join("c.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.indexed(), ["a\nNew words.", "b\nStays."]);
    assert_eq!(world.index.vectors.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_found_keeps_its_files() {
    let world = World::new();
    world.write("a.md", "Kept.");
    world.run().await.unwrap();
    let away = world.directory.path().join("away");
    fs::rename(world.folder(), &away).unwrap();
    world.run().await.unwrap();
    assert!(world.catalog.folders().unwrap()[0].missing);
    assert_eq!(world.indexed(), ["a\nKept."]);
    fs::rename(&away, world.folder()).unwrap();
    world.run().await.unwrap();
    assert!(!world.catalog.folders().unwrap()[0].missing);
    assert_eq!(world.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_an_embedder_words_are_searchable_and_vectors_come_later() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.embedder.missing.store(true, Ordering::SeqCst);
    assert!(matches!(world.run().await, Err(IngestError::Embedder(_))));
    assert_eq!(world.states(), ["a.md ready"]);
    assert_eq!(world.indexed(), ["a\nWords."]);
    world.embedder.missing.store(false, Ordering::SeqCst);
    world.run().await.unwrap();
    assert_eq!(world.catalog.counts(None).unwrap().embedded_chunks, 1);
}

#[tokio::test]
async fn an_embedder_that_panics_is_one_that_fails() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.embedder.breaks.store(true, Ordering::SeqCst);
    let Err(IngestError::Embedder(error)) = world.run().await else { panic!("it did not fail") };
    assert!(error.message.contains("a bug of the embedder"), "{error}");
    assert_eq!(world.indexed(), ["a\nWords."]);
    world.embedder.breaks.store(false, Ordering::SeqCst);
    world.run().await.unwrap();
    assert_eq!(world.catalog.counts(None).unwrap().embedded_chunks, 1);
}

#[tokio::test]
async fn a_failing_index_loses_nothing() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.index.broken.store(true, Ordering::SeqCst);
    assert!(matches!(world.run().await, Err(IngestError::Index(_))));
    world.index.broken.store(false, Ordering::SeqCst);
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.md ready"]);
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "what was read is used");
}

#[tokio::test]
async fn a_lost_index_is_made_again_without_reading() {
    let world = World::new();
    world.write("a.md", "One.");
    world.write("b.md", "Two.");
    world.run().await.unwrap();
    world.index.texts.lock().unwrap().clear();
    world.index.vectors.lock().unwrap().pop_first();
    world.run().await.unwrap();
    assert_eq!(world.indexed(), ["a\nOne.", "b\nTwo."]);
    assert_eq!(world.index.vectors.lock().unwrap().len(), 2);
    assert_eq!(world.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn watching_follows_the_disk_and_a_pause_holds_it() {
    let world = World::new();
    world.write("a.md", "First.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["a.md ready"]).await;
    world.write("b.md", "Second.");
    world.wait_for(|world| world.states() == ["a.md ready", "b.md ready"]).await;
    fs::remove_file(world.folder().join("a.md")).unwrap();
    world.wait_for(|world| world.indexed() == ["b\nSecond."]).await;

    world.catalog.set_setting(PAUSED_SETTING, "true").unwrap();
    world.wake.notify_one();
    world.write("c.md", "Third.");
    world.wait_for(|world| world.states() == ["b.md ready", "c.md pending"]).await;
    world.catalog.set_setting(PAUSED_SETTING, "false").unwrap();
    world.wake.notify_one();
    world.wait_for(|world| world.states() == ["b.md ready", "c.md ready"]).await;

    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_folder_that_was_away_is_followed_again() {
    let world = World::new();
    world.write("a.md", "First.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["a.md ready"]).await;
    let away = world.directory.path().join("away");
    fs::rename(world.folder(), &away).unwrap();
    world.wait_for(|world| world.catalog.folders().unwrap()[0].missing).await;
    fs::rename(&away, world.folder()).unwrap();
    world.wait_for(|world| !world.catalog.folders().unwrap()[0].missing).await;
    world.write("b.md", "Second.");
    world.wait_for(|world| world.states() == ["a.md ready", "b.md ready"]).await;
    assert_eq!(world.reads.load(Ordering::SeqCst), 2);
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn cancelled_at_any_moment_the_next_run_completes_it() {
    let world = World::new();
    for n in 0..40 {
        world.write(&format!("{n}.md"), &format!("Number {n}."));
    }
    for files in [1, 2, 5, 11] {
        let cancel = CancellationToken::new();
        let mut indexer = world.indexer(cancel.clone());
        let running = tokio::spawn(async move { indexer.run(Until::Idle).await });
        let before = world.reads.load(Ordering::SeqCst);
        world
            .wait_for(|world| {
                world.reads.load(Ordering::SeqCst) >= before + files
                    || world.catalog.counts(None).unwrap().ready == 40
            })
            .await;
        cancel.cancel();
        running.await.unwrap().unwrap();
    }
    world.run().await.unwrap();
    let files = world.catalog.files(None).unwrap();
    assert!(files.iter().all(|file| file.state == FileState::Ready && file.embedded_chunks == 1));
    assert_eq!(world.indexed().len(), 40);
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
}

#[test]
fn one_process_at_a_time_has_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let first = LibraryLock::try_acquire(directory.path()).unwrap();
    assert!(first.is_some());
    assert!(LibraryLock::try_acquire(directory.path()).unwrap().is_none());
    drop(first);
    assert!(LibraryLock::try_acquire(directory.path()).unwrap().is_some());
}

#[test]
fn others_see_whether_the_one_who_has_the_lock_works() {
    let directory = tempfile::tempdir().unwrap();
    let is_at_rest = || LibraryLock::is_at_rest(directory.path()).unwrap();
    assert!(is_at_rest());
    let lock = LibraryLock::try_acquire(directory.path()).unwrap().unwrap();
    assert!(!is_at_rest());
    lock.rest();
    assert!(is_at_rest());
    lock.work();
    assert!(!is_at_rest());
    drop(lock);
    assert!(is_at_rest());
}

#[tokio::test]
async fn what_was_just_edited_does_not_wait_for_what_is_being_read() {
    let world = World::new();
    world.write("slow.md", "A book of a thousand pages.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["slow.md reading"]).await;
    world.write("note.md", "A short note.");
    world
        .wait_for(|world| {
            let vectors = world.catalog.counts(None).unwrap().embedded_chunks;
            world.states() == ["note.md ready", "slow.md reading"] && vectors == 1
        })
        .await;
    world.gate.send_replace(true);
    world.wait_for(|world| world.states() == ["note.md ready", "slow.md ready"]).await;
    assert_eq!(world.reads.load(Ordering::SeqCst), 2, "the book was not begun anew");
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_just_edited_does_not_wait_until_the_index_is_in_order() {
    let world = World::new();
    world.write("old.md", "From before.");
    world.run().await.unwrap();
    // As after many commits.
    world.catalog.set_setting("commits", "1000").unwrap();
    world.index.untidy.store(true, Ordering::SeqCst);
    let mut begun = world.index.maintenance.subscribe();
    let mut indexer = world.indexer(CancellationToken::new());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    for (number, name) in ["a.md", "b.md", "c.md"].into_iter().enumerate() {
        begun.wait_for(|begun| *begun == number + 1).await.unwrap();
        world.write(name, &format!("New words {number}."));
        world.wait_for(|world| world.states().contains(&format!("{name} ready"))).await;
    }
    // Then it is brought to its end, or it would never be.
    begun.wait_for(|begun| *begun == 4).await.unwrap();
    world.write("d.md", "The last words.");
    world.index.untidy.store(false, Ordering::SeqCst);
    running.abort();
    let _ = running.await;
    world.run().await.unwrap();
    assert_eq!(
        world.states(),
        ["a.md", "b.md", "c.md", "d.md", "old.md"].map(|name| format!("{name} ready"))
    );
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_was_just_edited_is_found_by_its_words_while_the_embedder_is_loaded() {
    let world = World::new();
    world.write("note.md", "A short note.");
    let folder = &world.catalog.folders().unwrap()[0];
    lectern_ingest::look(&world.catalog, folder, &world.folder()).await.unwrap();
    assert!(world.catalog.hurry(world.folder().join("note.md").to_str().unwrap(), 1).unwrap());
    world.embedder.loading.send_replace(true);
    let mut indexer = world.indexer(CancellationToken::new());
    let running = tokio::spawn(async move { indexer.run(Until::Idle).await });
    world.wait_for(|world| world.states() == ["note.md ready"]).await;
    assert_eq!(world.indexed().len(), 1);
    assert_eq!(world.reads.load(Ordering::SeqCst), 1);
    // Its chunks were cut by an estimate; the embedder cuts them once it is there.
    world.embedder.loading.send_replace(false);
    running.await.unwrap().unwrap();
    // Once more where it was written within the tick of the clock in which it was read.
    let reads = world.reads.load(Ordering::SeqCst);
    assert!((2..=3).contains(&reads), "{reads}");
    assert_eq!(world.indexed().len(), 1);
    world.run().await.unwrap();
    assert_eq!(world.reads.load(Ordering::SeqCst), reads);
}

#[tokio::test]
async fn on_battery_only_what_was_just_edited_gets_its_vectors() {
    let world = World::new();
    world.on_battery.store(true, Ordering::SeqCst);
    world.write("old.md", "From before.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["old.md ready"]).await;
    world.write("new.md", "Just now.");
    let embedded = |world: &World| -> Vec<u32> {
        world.catalog.files(None).unwrap().iter().map(|file| file.embedded_chunks).collect()
    };
    world.wait_for(|world| embedded(world) == [1, 0]).await;
    world.on_battery.store(false, Ordering::SeqCst);
    world.wake.notify_one();
    world.wait_for(|world| embedded(world) == [1, 1]).await;
    // What was asked for does not wait.
    cancel.cancel();
    running.await.unwrap().unwrap();
    world.on_battery.store(true, Ordering::SeqCst);
    world.write("asked.md", "Asked for.");
    world.run().await.unwrap();
    assert_eq!(embedded(&world), [1, 1, 1]);
}

#[tokio::test]
async fn while_somebody_waits_for_an_answer_only_what_was_just_edited_is_read() {
    let world = World::new();
    world.write("old.md", "From before.");
    world.awaited.send_replace(1);
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["old.md pending"]).await;
    world.awaited.send_replace(0);
    world.wait_for(|world| world.states() == ["old.md ready"]).await;
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_is_renamed_while_the_program_runs_is_not_read_again() {
    let world = World::new();
    for name in ["z/one.md", "z/two.md"] {
        world.write(name, name);
    }
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["z/one.md ready", "z/two.md ready"]).await;
    // The new name comes before the old one and after it.
    let steps: [(&str, &str, &[&str]); 3] = [
        ("z", "a", &["a/one.md ready", "a/two.md ready"]),
        ("a/one.md", "a/zwei.md", &["a/two.md ready", "a/zwei.md ready"]),
        ("a/zwei.md", "a/eins.md", &["a/eins.md ready", "a/two.md ready"]),
    ];
    for (from, to, states) in steps {
        fs::rename(world.folder().join(from), world.folder().join(to)).unwrap();
        world.wait_for(|world| world.states() == states).await;
    }
    assert_eq!(world.reads.load(Ordering::SeqCst), 2);
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_place_where_a_drive_was_keeps_its_files_until_something_else_is_there() {
    let world = World::new();
    world.write("drive/a.md", "On a drive.");
    world.run().await.unwrap();
    let drive = world.folder().join("drive");
    world.catalog.set_mount(drive.to_str().unwrap(), Some(false)).unwrap();
    // What is left of a drive that was unmounted.
    fs::remove_file(drive.join("a.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.states(), ["drive/a.md ready"]);
    assert!(world.catalog.files(None).unwrap()[0].away);
    world.write("drive/b.md", "Not on that drive.");
    world.run().await.unwrap();
    assert_eq!(world.states(), ["drive/b.md ready"]);
    assert!(!world.catalog.files(None).unwrap()[0].away);
}

#[tokio::test]
async fn a_link_that_is_made_while_the_program_runs_is_not_followed() {
    let world = World::new();
    let outside = world.folder().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.md"), "Nobody may read this.").unwrap();
    world.write("a.md", "First.");
    let cancel = CancellationToken::new();
    let mut indexer = world.indexer(cancel.clone());
    let running = tokio::spawn(async move { indexer.run(Until::Cancelled).await });
    world.wait_for(|world| world.states() == ["a.md ready"]).await;
    #[cfg(unix)]
    for (to, name) in [(outside.join("secret.md"), "b.md"), (outside, "c"), (world.folder(), "d")] {
        std::os::unix::fs::symlink(to, world.folder().join(name)).unwrap();
    }
    world.write("z.md", "Last.");
    world.wait_for(|world| world.states().last().is_some_and(|last| last == "z.md ready")).await;
    assert_eq!(world.states(), ["a.md ready", "z.md ready"]);
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_only_the_index_knows_goes_at_the_next_start() {
    let world = World::new();
    world.write("a.md", "Words.");
    world.run().await.unwrap();
    // As after a power cut that took the catalogue's last moments.
    let stranger = (DocumentId(70), "Lost.".to_owned());
    world.index.texts.lock().unwrap().insert(ChunkId(70), stranger);
    world.write("b.md", "More.");
    world.run().await.unwrap();
    assert_eq!(world.indexed(), ["a\nWords.", "b\nMore."]);
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn another_embedder_takes_over_when_its_vectors_are_complete_and_not_before() {
    let world = World::new();
    // More than are committed at once.
    for n in 0..300 {
        world.write(&format!("{n}.md"), &format!("Number {n}."));
    }
    world.catalog.set_embedder("length").unwrap();
    world.run().await.unwrap();
    let index = Arc::new(MemoryIndex::default());
    let missing = AtomicBool::new(true);
    let embedder = Arc::new(LazyEmbedder { id: "other", missing, ..LazyEmbedder::default() });
    let successor = || Successor { index: index.clone(), embedder: embedder.clone() };
    let chosen = || world.catalog.embedder().unwrap().unwrap();

    // It cannot be had: the old one answers, also for what is new.
    *world.successor.lock().unwrap() = Some(successor());
    world.write("new.md", "Number 301.");
    world.run().await.unwrap();
    assert_eq!((chosen().as_str(), index.vectors.lock().unwrap().len()), ("length", 0));
    assert_eq!(world.catalog.counts(None).unwrap().embedded_chunks, 301);

    // Ended in between, nothing has changed.
    embedder.missing.store(false, Ordering::SeqCst);
    *world.successor.lock().unwrap() = Some(successor());
    let mut indexer = world.indexer(CancellationToken::new());
    tokio::select! {
        _ = indexer.run(Until::Idle) => {}
        () = world.wait_for(|_| !index.vectors.lock().unwrap().is_empty()) => {}
    }
    drop(indexer);
    assert_eq!(chosen(), "length");
    assert_eq!(world.index.vectors.lock().unwrap().len(), 301);
    *world.successor.lock().unwrap() = Some(successor());
    fs::remove_file(world.folder().join("7.md")).unwrap();
    world.run().await.unwrap();
    assert_eq!((chosen().as_str(), index.vectors.lock().unwrap().len()), ("other", 300));
    assert_eq!(world.catalog.counts(None).unwrap().embedded_chunks, 300);
    assert_eq!(index.twice.load(Ordering::SeqCst), 0);
}
