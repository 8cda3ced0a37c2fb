//! That what is in an archive are files of the library, which come, change and go with it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::{fs, sync::atomic::Ordering};

use common::{World, archive};
use lectern_extract::worker::{ReadFailureReason, read_document};
use lectern_ingest::unlock;

impl World {
    /// Why each file is not ready, by path.
    fn reasons(&self) -> Vec<String> {
        let files = self.catalog.files(None).unwrap().into_iter();
        files.filter_map(|file| file.reason).collect()
    }

    fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::SeqCst)
    }

    fn text_of(&self, name: &str) -> Option<String> {
        let path = self.folder().join(name);
        let document = self.catalog.document_at(path.to_str().unwrap()).unwrap()?;
        self.catalog.text(document.id).unwrap()
    }
}

#[tokio::test]
async fn each_member_is_a_file_with_its_own_state() {
    let world = World::new();
    world.write("plain.md", "The same words.");
    let members: [(&str, &[u8]); 8] = [
        ("copy.md", b"The same words."),
        ("in/deep.txt", b"Deep words."),
        ("in/bad.docx", b"PK\x03\x04 cut"),
        ("in/empty.txt", b""),
        ("in/program.exe", b"MZ\0\0\0\x01\x02\x03"),
        ("in/.hidden.txt", b"Hidden."),
        ("node_modules/a.md", b"Of a program."),
        ("inner.zip", &archive(&[("x.md", "Inner words.")])),
    ];
    world.write("all.zip", archive(&members));
    world.run().await.unwrap();
    assert_eq!(
        world.states(),
        [
            "all.zip ready",
            "all.zip/copy.md ready",
            "all.zip/in/bad.docx failed",
            "all.zip/in/deep.txt ready",
            "all.zip/in/empty.txt skipped",
            "all.zip/in/program.exe skipped",
            "all.zip/inner.zip/x.md ready",
            "plain.md ready",
        ]
    );
    let reasons = world.reasons();
    assert!(reasons[0].starts_with("the file is damaged"), "{reasons:?}");
    assert_eq!(reasons[1..], ["the file is empty", "files of this kind cannot be read"]);
    // The archive itself has nothing to be found, and equal contents are one document.
    let indexed = world.indexed();
    assert_eq!(indexed.len(), 3, "{indexed:?}");
    assert_eq!(world.index.vectors.lock().unwrap().len(), 3);
    // The archive, and of its members the bad one and two whole ones; one of the equal two.
    assert_eq!(world.reads(), 5);
    assert_eq!(world.index.twice.load(Ordering::SeqCst), 0);
    world.run().await.unwrap();
    assert_eq!(world.reads(), 0, "nothing is read again");
}

#[tokio::test]
async fn members_follow_their_archive() {
    let world = World::new();
    world.write("a.zip", archive(&[("a.md", "First."), ("b.md", "Stays."), ("c.md", "Goes.")]));
    world.run().await.unwrap();
    assert_eq!(world.reads(), 4);
    world.write("a.zip", archive(&[("a.md", "Second."), ("b.md", "Stays."), ("d.md", "New.")]));
    world.run().await.unwrap();
    let states = ["a.zip ready", "a.zip/a.md ready", "a.zip/b.md ready", "a.zip/d.md ready"];
    assert_eq!(world.states(), states);
    assert_eq!(world.text_of("a.zip/a.md").as_deref(), Some("Second."));
    assert_eq!(world.indexed(), ["a\nSecond.", "b\nStays.", "d\nNew."]);
    assert_eq!(world.reads(), 3, "what stays is not read again");
    fs::rename(world.folder().join("a.zip"), world.folder().join("moved.zip")).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.states().len(), 4);
    assert_eq!(world.reads(), 0, "nor what is moved");
    world.write("moved.zip", "Words, and no archive.");
    world.run().await.unwrap();
    assert_eq!(world.states(), ["moved.zip ready"]);
    assert_eq!(world.indexed(), ["moved\nWords, and no archive."]);
    world.write("moved.zip", archive(&[("a.md", "Second.")]));
    world.run().await.unwrap();
    fs::remove_file(world.folder().join("moved.zip")).unwrap();
    fs::create_dir(world.folder().join("moved.zip")).unwrap();
    world.write("moved.zip/a.md", "In a folder.");
    world.run().await.unwrap();
    assert_eq!(world.states(), ["moved.zip/a.md ready"]);
    assert_eq!(world.indexed(), ["a\nIn a folder."]);
    fs::remove_dir_all(world.folder().join("moved.zip")).unwrap();
    world.run().await.unwrap();
    assert!(world.states().is_empty() && world.indexed().is_empty());
    assert_eq!(world.catalog.remains("/nowhere").unwrap().documents, 0);
}

#[tokio::test]
async fn a_member_can_be_forgotten_and_comes_back_with_its_folder() {
    let world = World::new();
    world.write("a.zip", archive(&[("a.md", "One."), ("in/b.md", "Two."), ("in/c.md", "Three.")]));
    world.run().await.unwrap();
    let inside = world.folder().join("a.zip/in");
    assert!(world.catalog.remove_path(inside.to_str().unwrap()).unwrap());
    assert_eq!(world.states(), ["a.zip ready", "a.zip/a.md ready"]);
    // Also where the archive changes.
    world.write("a.zip", archive(&[("a.md", "Eins."), ("in/b.md", "Two."), ("d.md", "Four.")]));
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.zip ready", "a.zip/a.md ready", "a.zip/d.md ready"]);
    assert_eq!(world.indexed(), ["a\nEins.", "d\nFour."]);
    world.catalog.add_folder(world.folder().to_str().unwrap(), 0).unwrap();
    world.run().await.unwrap();
    assert_eq!(world.states().len(), 4);
    assert!(world.catalog.remove_path(world.folder().join("a.zip").to_str().unwrap()).unwrap());
    world.run().await.unwrap();
    assert!(world.states().is_empty() && world.indexed().is_empty());
    assert_eq!(world.catalog.remains("/nowhere").unwrap().documents, 0);
}

#[tokio::test]
async fn pictures_in_archives_are_recognised() {
    let world = World::new();
    let picture =
        fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../extract/tests/data/contract.png"));
    world.write("a.zip", archive(&[("scans/contract.png", picture.unwrap())]));
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.zip ready", "a.zip/scans/contract.png skipped"]);
    assert_eq!(world.catalog.waiting_scans().unwrap(), 1);
    world.ocr.install(|page| Ok(format!("Words of picture {page}.")));
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.zip ready", "a.zip/scans/contract.png ready"]);
    assert_eq!(world.indexed(), ["contract\nWords of picture 1."]);
    // One that is gone before it was recognised is asked for no more.
    world.ocr.install(|_| Err(ReadFailureReason::Missing));
    let other = b"\x89PNG\r\n\x1A\n and no more".to_vec();
    world.write("a.zip", archive(&[("scans/other.png", other)]));
    world.run().await.unwrap();
    assert_eq!(world.states(), ["a.zip ready", "a.zip/scans/other.png failed"]);
    assert_eq!(world.catalog.waiting_scans().unwrap(), 0);
}

#[tokio::test]
async fn locked_members_open_with_the_password_of_their_archive() {
    let world = World::new();
    for name in ["locked.zip", "locked.7z"] {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../extract/tests/data/");
        world.write(name, fs::read(format!("{data}{name}")).unwrap());
    }
    world.run().await.unwrap();
    // A zip archive tells what it holds.
    let states = ["locked.7z failed", "locked.zip ready", "locked.zip/note.txt failed"];
    assert_eq!(world.states(), states);
    let try_with = async |name: &str, password: &str| {
        let mut reader = world.reader();
        unlock(&world.catalog, &mut reader, &world.folder().join(name), password).await
    };
    for name in ["locked.7z", "locked.zip", "locked.zip/note.txt"] {
        let refused = try_with(name, "Secret").await.unwrap_err().to_string();
        assert_eq!(refused, "the file is protected by a password", "{name}");
    }
    world.run().await.unwrap();
    assert_eq!(world.states(), states);
    try_with("locked.7z", "secret").await.unwrap();
    try_with("locked.zip", "secret").await.unwrap();
    world.run().await.unwrap();
    let ready = [
        "locked.7z ready",
        "locked.7z/note.txt ready",
        "locked.zip ready",
        "locked.zip/note.txt ready",
    ];
    assert_eq!(world.states(), ready);
    let text = "The heron is kept in a locked archive.";
    for name in ["locked.7z/note.txt", "locked.zip/note.txt"] {
        assert_eq!(world.text_of(name).as_deref(), Some(text), "{name}");
    }
    // A copy is known by its content, and one that has changed asks again.
    for name in ["locked.7z", "locked.zip"] {
        let (from, to) =
            (world.folder().join(name), world.folder().join(format!("copy of {name}")));
        fs::rename(from, to).unwrap();
    }
    world.run().await.unwrap();
    assert_eq!(world.states(), ready.map(|state| format!("copy of {state}")));
}

#[tokio::test]
async fn what_becomes_of_an_archive_while_a_member_waits_is_followed() {
    let world = World::new();
    world.write("a.zip", archive(&[("a.md", "One."), ("b.md", "Two.")]));
    world.run().await.unwrap();
    let member = world.folder().join("a.zip/a.md");
    let member = member.to_str().unwrap();
    // It was called off, and the archive is another one by now.
    world.write("a.zip", archive(&[("a.md", "Eins."), ("b.md", "Two.")]));
    let folder = world.catalog.folders().unwrap().remove(0);
    lectern_ingest::look(&world.catalog, &folder, &world.folder()).await.unwrap();
    world.catalog.call_off(None).unwrap();
    world.catalog.read_again(member).unwrap();
    assert!(world.catalog.hurry(member, 1).unwrap());
    world.run().await.unwrap();
    assert_eq!(world.text_of("a.zip/a.md").as_deref(), Some("Eins."));
    assert_eq!(world.states(), ["a.zip ready", "a.zip/a.md ready", "a.zip/b.md ready"]);
    let read = read_document(member.as_ref(), lectern_domain::DocumentKind::Md, &[]).unwrap();
    assert_eq!(read.extraction.text, "Eins.");
}
