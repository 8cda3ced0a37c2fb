//! The catalogue's promises, on real SQLite files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::HashSet, path::Path};

use lectern_catalog::{
    Attached, Catalog, CatalogError, Counts, FileState, FoundFile, HistoryEntry, HistoryKind, Line,
    Look, Member, NewDocument, QueuedFile, ReadOutcome, ScopeFilter, restore,
};
use lectern_domain::{
    Anchor, Block, BlockKind, CharRange, Chunk, ChunkId, ColumnAnchor, DocumentId, DocumentKind,
    Extraction, FileId, FolderId, Page, Rect, TextBox,
};

fn open(directory: &Path) -> Catalog {
    Catalog::open(&directory.join("catalog.sqlite")).unwrap()
}

fn found(path: &str, modified: i64) -> FoundFile {
    FoundFile { path: path.into(), size: 10, modified, stamp: modified, skip: None }
}

/// A look that saw `files` at and below `root`, and everything there.
fn look(
    catalog: &Catalog,
    folder: FolderId,
    root: &str,
    files: &[FoundFile],
) -> Result<u64, CatalogError> {
    let newest = catalog.newest_file()?;
    catalog.reconcile(
        folder,
        &Look { root, found: files, unreadable: &[], newest, now: 0, urgent: false },
    )
}

fn extraction(text: &str) -> Extraction {
    let range = CharRange::new(0, text.chars().count() as u32);
    Extraction {
        kind: DocumentKind::Md,
        title: Some("Title".into()),
        text: text.into(),
        pages: vec![Page { number: Some(1), label: Some("i".into()), range }],
        blocks: vec![Block { kind: BlockKind::Paragraph, range }],
        sections: Vec::new(),
        anchors: vec![Anchor { start: 0, line: 7 }],
        columns: Vec::new(),
        boxes: vec![TextBox { range, rect: Rect { page: 1, x0: 1., y0: 2., x1: 3., y1: 4. } }],
        warnings: vec![],
        scans: vec![],
    }
}

/// Reads `file` as one chunk of `text`, indexes it and attaches it.
fn read(catalog: &Catalog, file: QueuedFile, text: &str) -> DocumentId {
    let extraction = extraction(text);
    let chunk = Chunk {
        range: extraction.pages[0].range,
        page: Some(1),
        heading: vec!["A".into()],
        text: text.into(),
    };
    let hash = text.as_bytes();
    let document = match catalog.reuse_document(file.id, hash, DocumentKind::Md, 1).unwrap() {
        Some(document) => document,
        None => {
            let new = NewDocument {
                hash,
                reader: 1,
                extraction: &extraction,
                chunks: &[chunk],
                members: &[],
            };
            catalog.insert_document(file.id, &new).unwrap()
        }
    };
    let chunks: Vec<ChunkId> =
        catalog.unindexed_chunks(document).unwrap().iter().map(|chunk| chunk.id).collect();
    catalog.mark_indexed(&chunks).unwrap();
    catalog.attach(&[Attached { file, document, settled: true }]).unwrap();
    document
}

fn take(catalog: &Catalog) -> QueuedFile {
    catalog.take_file(0, false).unwrap().unwrap()
}

/// A library with the folder `/f` and one ready file for each text.
fn library(directory: &Path, texts: &[(&str, &str)]) -> Catalog {
    let catalog = open(directory);
    let folder = catalog.add_folder("/f", 0).unwrap();
    let files: Vec<FoundFile> = texts.iter().map(|(path, _)| found(path, 1)).collect();
    assert_eq!(look(&catalog, folder.id, "/f", &files).unwrap(), texts.len() as u64);
    for _ in texts {
        let file = take(&catalog);
        let text = texts.iter().find(|(path, _)| *path == file.path).unwrap().1;
        read(&catalog, file, text);
    }
    catalog
}

fn all_chunks(catalog: &Catalog, filter: &ScopeFilter) -> Vec<String> {
    let ids: Vec<ChunkId> = (1..100).map(ChunkId).collect();
    let mut paths: Vec<String> =
        catalog.chunks(&ids, filter).unwrap().into_iter().map(|chunk| chunk.path).collect();
    paths.sort();
    paths
}

#[test]
fn a_character_of_a_sheet_knows_its_cell() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "words")]);
    // From row 4 and column 2 on; the second row begins with two empty cells.
    let text = "名 | b | c\n| | dd | e";
    let columns = vec![ColumnAnchor { start: 0, column: 2 }];
    let anchors = vec![Anchor { start: 0, line: 4 }];
    let sheet = Extraction { kind: DocumentKind::Xlsx, columns, anchors, ..extraction(text) };
    let new =
        NewDocument { hash: b"sheet", reader: 1, extraction: &sheet, chunks: &[], members: &[] };
    let document = catalog.insert_document(FileId(1), &new).unwrap();
    let at = |part: &str| text.find(part).map(|byte| text[..byte].chars().count() as u32).unwrap();
    for (part, line, column) in [("名", 4, 2), ("b", 4, 3), ("c", 4, 4), ("| |", 5, 4), ("e", 5, 5)]
    {
        let expected = Line { kind: DocumentKind::Xlsx, line: Some(line), column: Some(column) };
        assert_eq!(catalog.line_at(document, at(part)).unwrap(), Some(expected), "{part}");
    }
}

#[test]
fn a_character_knows_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "one 一\ntwo\nthree")]);
    let document = catalog.document_at("/f/a.md").unwrap().unwrap().id;
    let kind = DocumentKind::Md;
    let cases = [(0, Some(7)), (5, Some(7)), (6, Some(8)), (14, Some(9)), (99, None)];
    for (at, line) in cases {
        let expected = Some(Line { kind, line, column: None });
        assert_eq!(catalog.line_at(document, at).unwrap(), expected, "{at}");
    }
    assert_eq!(catalog.blocks(document).unwrap().len(), 1);
    assert_eq!(catalog.line_at(DocumentId(99), 0).unwrap(), None);
}

#[test]
fn a_read_file_is_found_with_its_text_pages_and_boxes() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "甲方 pays")]);
    let document = catalog.document_at("/f/a.md").unwrap().unwrap();
    assert_eq!(document.title.as_deref(), Some("Title"));
    assert_eq!(catalog.text(document.id).unwrap().unwrap(), "甲方 pays");
    assert_eq!(catalog.first_text(document.id).unwrap().unwrap(), "甲方 pays");
    assert_eq!(catalog.first_text(DocumentId(99)).unwrap(), None);
    assert_eq!(catalog.pages(document.id).unwrap(), extraction("甲方 pays").pages);
    assert_eq!(catalog.blocks(document.id).unwrap(), extraction("甲方 pays").blocks);
    assert_eq!(catalog.boxes(document.id, CharRange::new(1, 2)).unwrap().len(), 1);
    let file = catalog.files(None).unwrap().remove(0);
    assert_eq!((file.state, file.chunks, file.pages), (FileState::Ready, 1, Some(1)));
}

#[test]
fn a_changed_file_keeps_its_old_text_until_the_new_one_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "old")]);
    let folder = catalog.folders().unwrap()[0].id;
    look(&catalog, folder, "/f", &[found("/f/a.md", 2)]).unwrap();
    let old = catalog.document_at("/f/a.md").unwrap().unwrap().id;
    assert_eq!(catalog.text(old).unwrap().unwrap(), "old");
    let file = take(&catalog);
    let new = read(&catalog, file, "new");
    assert_eq!(catalog.document_at("/f/a.md").unwrap().unwrap().id, new);
    // It goes when all was read: a file that was moved may turn up with it.
    catalog.drop_unused_documents().unwrap();
    assert_eq!(catalog.text(old).unwrap(), None);
    assert_eq!(catalog.garbage().unwrap(), [old]);
    catalog.clear_garbage(&[old]).unwrap();
    assert!(catalog.garbage().unwrap().is_empty());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "old")]);
    let folder = catalog.folders().unwrap()[0].id;
    look(&catalog, folder, "/f", &[found("/f/a.md", 2)]).unwrap();
    let stale = take(&catalog);
    look(&catalog, folder, "/f", &[found("/f/a.md", 3)]).unwrap();
    read(&catalog, stale, "half written");
    assert_eq!(catalog.counts(None).unwrap().pending, 1);
    let file = take(&catalog);
    read(&catalog, file, "complete");
    let document = catalog.document_at("/f/a.md").unwrap().unwrap();
    assert_eq!(catalog.text(document.id).unwrap().unwrap(), "complete");
}

#[test]
fn copies_share_a_document_until_the_last_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "same"), ("/f/b.md", "same")]);
    assert_eq!(catalog.counts(None).unwrap(), Counts { ready: 2, chunks: 1, ..Counts::default() });
    assert_eq!(all_chunks(&catalog, &ScopeFilter::default()), ["/f/a.md"]);
    let only_b = ScopeFilter { within: vec!["/f/b.md".into()], ..ScopeFilter::default() };
    assert_eq!(all_chunks(&catalog, &only_b), ["/f/b.md"]);
    catalog.remove_path("/f/a.md").unwrap();
    assert_eq!(all_chunks(&catalog, &ScopeFilter::default()), ["/f/b.md"]);
    catalog.remove_path("/f/b.md").unwrap();
    assert!(all_chunks(&catalog, &ScopeFilter::default()).is_empty());
    assert_eq!(catalog.garbage().unwrap().len(), 1);
}

#[test]
fn a_document_may_be_let_go_of_many_times_before_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "same"), ("/f/b.md", "same")]);
    let folder = catalog.folders().unwrap()[0].id;
    let empty = |path: &str| FoundFile { skip: Some("empty".into()), ..found(path, 2) };
    look(&catalog, folder, "/f", &[empty("/f/a.md"), empty("/f/b.md")]).unwrap();
    assert!(all_chunks(&catalog, &ScopeFilter::default()).is_empty());
    catalog.drop_unused_documents().unwrap();
    assert_eq!(catalog.garbage().unwrap().len(), 1);
}

#[test]
fn what_is_gone_from_the_disk_is_forgotten_at_and_below_the_path_only() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(
        directory.path(),
        &[("/f/x/a.md", "1"), ("/f/x.md", "2"), ("/f/x/y/b.md", "3"), ("/f/xz/c.md", "4")],
    );
    let folder = catalog.folders().unwrap()[0].id;
    look(&catalog, folder, "/f/x", &[found("/f/x/a.md", 1)]).unwrap();
    let left = all_chunks(&catalog, &ScopeFilter::default());
    assert_eq!(left, ["/f/x.md", "/f/x/a.md", "/f/xz/c.md"]);
}

#[test]
fn removing_a_path_inside_a_folder_excludes_it_until_it_is_added_again() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/x/a.md", "1"), ("/f/b.md", "2")]);
    let folder = catalog.folders().unwrap().remove(0);
    assert!(catalog.remove_path("/f/x").unwrap());
    assert_eq!(catalog.exclusions(folder.id).unwrap(), HashSet::from(["/f/x".into()]));
    // A look that had begun before does not bring it back.
    look(&catalog, folder.id, "/f", &[found("/f/x/a.md", 1), found("/f/b.md", 1)]).unwrap();
    assert_eq!(all_chunks(&catalog, &ScopeFilter::default()), ["/f/b.md"]);

    // A file inside is a place of its own; the rest stays excluded, and neither
    // takes the other's files away.
    let file = catalog.add_folder("/f/x/a.md", 0).unwrap();
    assert_eq!(file.path, "/f/x/a.md");
    look(&catalog, file.id, "/f/x/a.md", &[found("/f/x/a.md", 1)]).unwrap();
    look(&catalog, folder.id, "/f", &[found("/f/b.md", 1)]).unwrap();
    assert_eq!(catalog.files(None).unwrap().len(), 2);
    assert_eq!(catalog.exclusions(folder.id).unwrap().len(), 1);

    // The excluded folder itself is part of the outer one again.
    assert_eq!(catalog.add_folder("/f/x", 0).unwrap().path, "/f");
    assert!(catalog.exclusions(folder.id).unwrap().is_empty());
    assert!(catalog.remove_path("/f").unwrap());
    assert!(catalog.folders().unwrap().is_empty());
    assert!(!catalog.remove_path("/elsewhere").unwrap());
    assert_eq!(look(&catalog, folder.id, "/f", &[found("/f/b.md", 1)]).unwrap(), 0);
}

#[test]
fn what_could_not_be_looked_at_and_what_came_since_is_not_gone() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/x/a.md", "1"), ("/f/b.md", "2")]);
    let folder = catalog.folders().unwrap()[0].id;
    let newest = catalog.newest_file().unwrap();
    look(&catalog, folder, "/f/c.md", &[found("/f/c.md", 1)]).unwrap();
    let seen = Look {
        root: "/f",
        found: &[],
        unreadable: &["/f/x".to_owned()],
        newest,
        now: 0,
        urgent: false,
    };
    catalog.reconcile(folder, &seen).unwrap();
    let left: Vec<String> = catalog.files(None).unwrap().into_iter().map(|f| f.path).collect();
    assert_eq!(left, ["/f/c.md", "/f/x/a.md"]);
    assert!(catalog.newest_file().unwrap() > FileId(newest.0));
}

#[test]
fn two_connections_write_without_failing_on_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (open(directory.path()), open(directory.path()));
    let folder = one.add_folder("/f", 0).unwrap();
    std::thread::scope(|scope| {
        for (number, catalog) in [&one, &two].into_iter().enumerate() {
            scope.spawn(move || {
                for n in 0..200 {
                    let path = format!("/f/{number}/{n}.md");
                    look(catalog, folder.id, &path, &[found(&path, n)]).unwrap();
                    catalog.set_setting("last", &path).unwrap();
                }
            });
        }
    });
    assert_eq!(one.counts(None).unwrap().pending, 400);
}

#[test]
fn a_folder_takes_over_the_places_inside_it() {
    let cases = [("/g/in", "/g"), ("/g/in", "/"), ("/g", "/g/in"), ("/", "/g/in")];
    for (first, second) in cases {
        let directory = tempfile::tempdir().unwrap();
        let catalog = open(directory.path());
        let one = catalog.add_folder(first, 0).unwrap();
        look(&catalog, one.id, first, &[found("/g/in/a.md", 1)]).unwrap();
        let two = catalog.add_folder(second, 0).unwrap();
        let outer = if first.len() < second.len() { first } else { second };
        assert_eq!(two.path, outer);
        assert_eq!(catalog.folders().unwrap(), [two], "{first} then {second}");
        assert_eq!(catalog.counts(Some(outer)).unwrap().pending, 1);
    }
}

#[test]
fn states_follow_the_reading() {
    let cases = [
        (ReadOutcome::Skipped("empty".into()), FileState::Skipped, Some("empty")),
        (ReadOutcome::Failed("damaged".into()), FileState::Failed, Some("damaged")),
        (ReadOutcome::PasswordNeeded("locked".into()), FileState::Failed, Some("locked")),
        (ReadOutcome::Unreachable("away".into()), FileState::Failed, Some("away")),
        (ReadOutcome::Again, FileState::Pending, None),
    ];
    for (outcome, state, reason) in cases {
        let directory = tempfile::tempdir().unwrap();
        let catalog = open(directory.path());
        let folder = catalog.add_folder("/f", 0).unwrap();
        look(&catalog, folder.id, "/f", &[found("/f/a.md", 1)]).unwrap();
        let file = take(&catalog);
        assert_eq!(catalog.reading().unwrap().as_deref(), Some("/f/a.md"));
        catalog.finish_without_document(&file, &outcome, 0).unwrap();
        let file = catalog.files(None).unwrap().remove(0);
        assert_eq!((file.state, file.reason.as_deref()), (state, reason));
        assert_eq!(file.needs_password, matches!(outcome, ReadOutcome::PasswordNeeded(_)));
        // An unchanged file is not read again, whatever became of it, unless it
        // could not be reached.
        look(&catalog, folder.id, "/f", &[found("/f/a.md", 1)]).unwrap();
        let again = matches!(outcome, ReadOutcome::Unreachable(_));
        let state = if again { FileState::Pending } else { state };
        assert_eq!(catalog.files(None).unwrap()[0].state, state);
        // Unless the person asks for it.
        let retried = catalog.retry(Some("/f")).unwrap();
        assert_eq!(retried, u64::from(state == FileState::Failed));
    }
}

#[test]
fn a_killed_reader_leaves_its_files_queued() {
    let directory = tempfile::tempdir().unwrap();
    {
        let catalog = open(directory.path());
        let folder = catalog.add_folder("/f", 0).unwrap();
        look(&catalog, folder.id, "/f", &[found("/f/a.md", 1)]).unwrap();
        let file = take(&catalog);
        let extraction = extraction("text");
        let new = NewDocument {
            hash: b"text",
            reader: 1,
            extraction: &extraction,
            chunks: &[],
            members: &[],
        };
        catalog.insert_document(file.id, &new).unwrap();
    }
    let catalog = open(directory.path());
    catalog.release_files().unwrap();
    catalog.drop_unused_documents().unwrap();
    let file = take(&catalog);
    // The text that had been read is still there.
    let reused = catalog.reuse_document(file.id, b"text", DocumentKind::Md, 1).unwrap();
    assert!(reused.is_some());
}

#[test]
fn the_queues_follow_what_the_index_really_holds() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "1"), ("/f/b.md", "2")]);
    assert!(catalog.chunks_to_index(10).unwrap().is_empty());
    assert_eq!(catalog.chunks_to_embed(10).unwrap().len(), 2);
    catalog.mark_embedded(&[ChunkId(1)]).unwrap();
    assert_eq!(catalog.counts(None).unwrap().embedded_chunks, 1);
    // The index was deleted, and only chunk 2's vector came back.
    catalog.reconcile_index(&HashSet::new(), &HashSet::from([ChunkId(2)])).unwrap();
    assert_eq!(catalog.chunks_to_index(10).unwrap().len(), 2);
    let waiting = catalog.chunks_to_embed(10).unwrap();
    assert_eq!(waiting.iter().map(|chunk| chunk.id).collect::<Vec<_>>(), [ChunkId(1)]);
}

#[test]
fn ids_that_the_index_knows_from_a_lost_time_are_never_given_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "1")]);
    let held = HashSet::from([ChunkId(1), ChunkId(70), ChunkId(80)]);
    let mut strangers = catalog.reconcile_index(&held, &HashSet::from([ChunkId(70)])).unwrap();
    strangers.sort();
    assert_eq!(strangers, [ChunkId(70), ChunkId(80)]);
    let folder = catalog.folders().unwrap()[0].id;
    look(&catalog, folder, "/f/b.md", &[found("/f/b.md", 1)]).unwrap();
    read(&catalog, take(&catalog), "2");
    let ids = catalog.chunk_ids().unwrap();
    assert_eq!(ids, HashSet::from([ChunkId(1), ChunkId(81)]));
}

#[test]
fn filters_choose_by_path_kind_and_date() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap();
    let files = [found("/f/old.md", 10), found("/f/new.md", 20), found("/f/sub/n.md", 30)];
    look(&catalog, folder.id, "/f", &files).unwrap();
    for text in ["1", "2", "3"] {
        let file = take(&catalog);
        read(&catalog, file, text);
    }
    let all = ScopeFilter::default();
    let cases = [
        (all.clone(), 3),
        (ScopeFilter { within: vec!["/f/sub".into()], ..all.clone() }, 1),
        (ScopeFilter { within: vec!["/f/su".into()], ..all.clone() }, 0),
        (ScopeFilter { within: vec!["/f/sub".into(), "/f/old.md".into()], ..all.clone() }, 2),
        (ScopeFilter { without: vec!["/f/sub".into()], ..all.clone() }, 2),
        (ScopeFilter { without: vec!["/f/su".into(), "/f/old.md".into()], ..all.clone() }, 2),
        (ScopeFilter { kinds: vec!["md".into()], ..all.clone() }, 3),
        (ScopeFilter { kinds: vec!["pdf".into()], ..all.clone() }, 0),
        (ScopeFilter { since: Some(20), ..all.clone() }, 2),
        (ScopeFilter { before: Some(20), ..all.clone() }, 1),
    ];
    for (filter, expected) in cases {
        assert_eq!(catalog.documents_in(&filter).unwrap().len(), expected, "{filter:?}");
        assert_eq!(all_chunks(&catalog, &filter).len(), expected, "{filter:?}");
    }
}

#[test]
fn conversations_are_kept_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let first = catalog.create_conversation("first", 1).unwrap();
    let second = catalog.create_conversation("second", 2).unwrap();
    let turn = catalog.add_turn(first, "{}", 3).unwrap();
    let order: Vec<_> = catalog.conversations().unwrap().into_iter().map(|c| c.0).collect();
    assert_eq!(order, [first, second]);
    assert_eq!(catalog.conversation(first).unwrap().unwrap().1, [(turn, "{}".to_owned())]);
    assert_eq!(catalog.rated_turns().unwrap(), []);
    let rated = r#"{"question":"Ä?","answer":"B","rating":"up"}"#;
    catalog.set_turn(turn, rated).unwrap();
    assert_eq!(catalog.turn(turn).unwrap().as_deref(), Some(rated));
    assert_eq!(catalog.rated_turns().unwrap(), [(turn, rated.to_owned())]);
    assert_eq!(catalog.said().unwrap(), [(first, "Ä?\nB".to_owned())]);
    catalog.delete_conversation(first).unwrap();
    assert_eq!(catalog.conversation(first).unwrap(), None);
}

#[test]
fn another_connection_notices_changes_and_a_newer_library_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (open(directory.path()), open(directory.path()));
    let before = two.change_counter().unwrap();
    one.set_setting("paused", "true").unwrap();
    assert_ne!(two.change_counter().unwrap(), before);
    assert_eq!(two.setting("paused").unwrap().as_deref(), Some("true"));
    drop((one, two));
    let raw = rusqlite::Connection::open(directory.path().join("catalog.sqlite")).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let refused = Catalog::open(&directory.path().join("catalog.sqlite"));
    assert!(matches!(refused, Err(CatalogError::TooNew { found: 99 })));
}

#[test]
fn a_library_of_the_first_version_gains_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("library.sqlite");
    {
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch(include_str!("data/schema_1.sql")).unwrap();
        raw.pragma_update(None, "user_version", 1).unwrap();
    }
    let catalog = Catalog::open(&path).unwrap();
    let folder = catalog.add_folder("/f", 0).unwrap();
    look(&catalog, folder.id, "/f", &[found("/f/a.pdf", 1)]).unwrap();
    let locked = ReadOutcome::PasswordNeeded("locked".into());
    catalog.finish_without_document(&take(&catalog), &locked, 0).unwrap();
    assert!(catalog.files(None).unwrap()[0].needs_password);
    drop(catalog);
    assert!(Catalog::open(&path).is_ok());
}

#[test]
fn what_cannot_be_reached_is_tried_again_after_longer_and_longer() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap();
    look(&catalog, folder.id, "/f", &[found("/f/a.md", 1)]).unwrap();
    let mut now = 1_000;
    let mut pauses = Vec::new();
    while let Some(file) = catalog.take_file(now, false).unwrap() {
        let locked = ReadOutcome::Unreachable("in use".into());
        catalog.finish_without_document(&file, &locked, now).unwrap();
        let due = (1..10_000).find(|pause| catalog.queue_due(now + pause).unwrap());
        let Some(pause) = due else { break };
        pauses.push(pause);
        now += pause;
    }
    assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]);
    // What has another fault is not tried at all.
    for outcome in [ReadOutcome::Failed("damaged".into()), ReadOutcome::Skipped("none".into())] {
        catalog.retry(None).unwrap();
        look(&catalog, folder.id, "/f", &[found("/f/a.md", now)]).unwrap();
        let file = catalog.take_file(now, false).unwrap().unwrap();
        catalog.finish_without_document(&file, &outcome, now).unwrap();
        assert!(!catalog.queue_due(i64::MAX).unwrap());
    }
}

#[test]
fn a_file_that_never_rests_is_read_less_and_less_often() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.log", "0")]);
    let folder = catalog.folders().unwrap()[0].id;
    let mut read_at = Vec::new();
    for second in 1..200_i64 {
        let newest = catalog.newest_file().unwrap();
        let files = [found("/f/a.log", second * 1_000_000_000)];
        let seen = Look {
            root: "/f/a.log",
            found: &files,
            unreadable: &[],
            newest,
            now: second,
            urgent: true,
        };
        catalog.reconcile(folder, &seen).unwrap();
        catalog.queue_due(second).unwrap();
        if let Some(file) = catalog.take_file(second, false).unwrap() {
            read(&catalog, file, &second.to_string());
            read_at.push(second);
        }
    }
    assert_eq!(read_at[..5], [1, 2, 3, 4, 5], "somebody who saves is not kept waiting");
    assert!(read_at.len() < 20, "{read_at:?}");
}

#[test]
fn what_is_edited_or_looked_at_comes_first_and_small_before_large() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap();
    let sized = |path: &str, size| FoundFile { size, ..found(path, 1) };
    let files = [sized("/f/large", 900), sized("/f/small", 10), sized("/f/seen", 5_000)];
    look(&catalog, folder.id, "/f", &files).unwrap();
    let newest = catalog.newest_file().unwrap();
    let edited = [sized("/f/edited", 700)];
    let seen =
        Look { root: "/f/edited", found: &edited, unreadable: &[], newest, now: 50, urgent: true };
    catalog.reconcile(folder.id, &seen).unwrap();
    assert!(catalog.hurry("/f/seen", 60).unwrap());
    assert!(!catalog.hurry("/f/unknown", 60).unwrap());
    let mut order = Vec::new();
    while let Some(file) = catalog.take_file(100, false).unwrap() {
        order.push((file.path, file.urgent));
    }
    let expected =
        [("/f/seen", true), ("/f/edited", true), ("/f/small", false), ("/f/large", false)];
    assert_eq!(order, expected.map(|(path, urgent)| (path.to_owned(), urgent)));
}

#[test]
fn the_files_of_a_paused_folder_wait() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap();
    look(&catalog, folder.id, "/f", &[found("/f/a.md", 1)]).unwrap();
    catalog.set_folder_paused(folder.id, true).unwrap();
    assert_eq!(catalog.take_file(0, false).unwrap(), None);
    assert!(!catalog.has_work(0).unwrap());
    catalog.set_folder_paused(folder.id, false).unwrap();
    read(&catalog, take(&catalog), "text");
    catalog.set_folder_paused(folder.id, true).unwrap();
    assert!(catalog.chunks_to_embed(9).unwrap().is_empty());
}

#[test]
fn a_library_that_is_brought_to_this_version_leaves_a_copy_of_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.sqlite");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(include_str!("data/schema_2.sql")).unwrap();
    raw.execute_batch("INSERT INTO folder (path, added) VALUES ('/f', 0); PRAGMA user_version = 2")
        .unwrap();
    drop(raw);
    assert_eq!(Catalog::open(&path).unwrap().folders().unwrap().len(), 1);
    let copy = rusqlite::Connection::open(path.with_extension("copy.sqlite")).unwrap();
    let version: i32 = copy.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    // And the copy can take its place again.
    drop(copy);
    assert!(restore(&path).unwrap());
    assert_eq!(Catalog::open(&path).unwrap().folders().unwrap()[0].path, "/f");
}

#[test]
fn every_version_of_the_schema_becomes_this_one() {
    let directory = tempfile::tempdir().unwrap();
    let columns = |path: &Path| {
        drop(Catalog::open(path).unwrap());
        let raw = rusqlite::Connection::open(path).unwrap();
        let mut statement = raw
            .prepare(
                "SELECT m.type, m.name, c.name, c.type FROM sqlite_master AS m
                 LEFT JOIN pragma_table_info(m.name) AS c ORDER BY 1, 2, 3",
            )
            .unwrap();
        let rows = statement
            .query_map([], |row| {
                Ok(format!(
                    "{} {} {} {}",
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                    row.get::<_, Option<String>>(3)?.unwrap_or_default()
                ))
            })
            .unwrap();
        let columns = rows.collect::<Result<Vec<_>, _>>().unwrap();
        // What triggers do is all in their words.
        let mut statement = raw
            .prepare("SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
            .unwrap();
        let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let rows = statement.query_map([], |row| Ok(words(row.get(0)?))).unwrap();
        (columns, rows.collect::<Result<Vec<_>, _>>().unwrap())
    };
    let fresh = columns(&directory.path().join("fresh.sqlite"));
    let old = [include_str!("data/schema_1.sql"), include_str!("data/schema_2.sql")];
    for (version, schema) in (1..).zip(old) {
        let path = directory.path().join(format!("{version}.sqlite"));
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch(schema).unwrap();
        raw.pragma_update(None, "user_version", version).unwrap();
        drop(raw);
        assert_eq!(columns(&path), fresh, "version {version}");
    }
}

#[test]
fn a_catalogue_that_cannot_be_written_to_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let texts = [("/f/a.md", "text")];
    drop(library(directory.path(), &texts));
    let catalog = Catalog::open_read_only(&directory.path().join("catalog.sqlite")).unwrap();
    assert_eq!(all_chunks(&catalog, &ScopeFilter::default()), ["/f/a.md"]);
    assert!(matches!(catalog.set_setting("a", "b"), Err(CatalogError::ReadOnly)));
}

#[test]
fn a_full_disk_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "text")]);
    let raw = rusqlite::Connection::open(directory.path().join("catalog.sqlite")).unwrap();
    raw.execute_batch("PRAGMA max_page_count = 1").unwrap();
    let error = raw
        .execute("INSERT INTO setting VALUES ('x', hex(zeroblob(1000000)))", [])
        .map_err(CatalogError::from)
        .unwrap_err();
    assert!(matches!(error, CatalogError::Full), "{error}");
    assert!(catalog.set_setting("small", "still fits").is_ok());
}

/// What happened, the latest first, as `kind path detail`.
fn told(catalog: &Catalog) -> Vec<String> {
    let told = |entry: HistoryEntry| {
        let words = [Some(format!("{:?}", entry.kind)), entry.path, entry.detail];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    catalog.history(None, 100).unwrap().into_iter().map(told).collect()
}

#[test]
fn what_happens_to_files_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = library(directory.path(), &[("/f/a.md", "one"), ("/f/b.md", "two")]);
    let folder = catalog.folders().unwrap()[0].id;
    let step = |files: &[FoundFile], text: Option<&str>| {
        let before = catalog.history(None, 1).unwrap()[0].id;
        look(&catalog, folder, "/f", files).unwrap();
        if let Some(text) = text {
            read(&catalog, take(&catalog), text);
        }
        let new = catalog.history(None, 100).unwrap().iter().filter(|e| e.id > before).count();
        told(&catalog)[..new].to_vec()
    };
    assert_eq!(told(&catalog), ["Added /f/b.md", "Added /f/a.md"]);
    let a = found("/f/a.md", 1);
    let c = found("/f/c.md", 1);
    let nothing: [&str; 0] = [];
    let steps = [
        ("a change", vec![a.clone(), found("/f/b.md", 2)], Some("zwei"), vec!["Changed /f/b.md"]),
        ("the same words again", vec![a, found("/f/b.md", 3)], Some("zwei"), nothing.to_vec()),
        (
            "a move",
            vec![c.clone(), found("/f/b.md", 3)],
            Some("one"),
            vec!["Moved /f/c.md /f/a.md"],
        ),
        ("a deletion", vec![c.clone()], None, vec!["Removed /f/b.md"]),
        ("a copy", vec![c.clone(), found("/f/d.md", 1)], Some("one"), vec!["Added /f/d.md"]),
        (
            "the end of what was copied",
            vec![found("/f/d.md", 1)],
            None,
            vec!["Moved /f/d.md /f/c.md"],
        ),
    ];
    for (what, files, text, expected) in steps {
        assert_eq!(step(&files, text), expected, "{what}");
    }
    look(&catalog, folder, "/f", &[found("/f/d.md", 1), found("/f/e.pdf", 1)]).unwrap();
    for _ in 0..2 {
        let outcome = ReadOutcome::Failed("torn".into());
        catalog.finish_without_document(&take(&catalog), &outcome, 0).unwrap();
        catalog.retry(None).unwrap();
    }
    assert_eq!(told(&catalog)[..2], ["Failed /f/e.pdf torn", "Added /f/e.pdf"]);
}

#[test]
fn the_history_names_nothing_that_was_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let texts = [("/f/a.md", "one"), ("/f/b/c.md", "two"), ("/f/b/d.md", "three")];
    let catalog = library(directory.path(), &texts);
    assert_eq!(catalog.remains("/f/b").unwrap().history, 2);
    assert!(catalog.remove_path("/f/b").unwrap());
    assert_eq!(told(&catalog), ["Forgotten 2", "Added /f/a.md"]);
    assert_eq!(catalog.remains("/f/b").unwrap().history, 0);
    let last = catalog.history(None, 1).unwrap()[0].clone();
    assert_eq!((last.kind, last.path), (HistoryKind::Forgotten, None));
    assert_eq!(catalog.history(Some(last.id), 9).unwrap().len(), 1, "what came before");
    // Also what was deleted on the disk before, in a place that is not in the library any more.
    let folder = catalog.add_folder("/g", 0).unwrap().id;
    look(&catalog, folder, "/g", &[found("/g/e.md", 1)]).unwrap();
    look(&catalog, folder, "/g", &[]).unwrap();
    assert_eq!(told(&catalog)[..2], ["Removed /g/e.md", "Added /g/e.md"]);
    assert!(catalog.remove_path("/g").unwrap() && !catalog.remove_path("/g").unwrap());
    assert_eq!(told(&catalog), ["Forgotten 2", "Added /f/a.md"]);
    catalog.clear_history().unwrap();
    assert!(told(&catalog).is_empty());
}

#[test]
fn the_history_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap().id;
    let files: Vec<_> = (0..5_010).map(|n| found(&format!("/f/{n}.md"), 1)).collect();
    look(&catalog, folder, "/f", &files).unwrap();
    let entries = catalog.history(None, 9_999).unwrap();
    assert_eq!((entries.len(), entries[0].path.as_deref()), (5_000, Some("/f/5009.md")));
}

/// Reads `file` as an archive of these members.
fn read_archive(catalog: &Catalog, file: QueuedFile, members: &[(&str, Option<&str>)]) {
    let extraction = Extraction { kind: DocumentKind::Zip, ..extraction("a list") };
    let members: Vec<Member> = members
        .iter()
        .map(|(path, failure)| Member { path: (*path).into(), failure: failure.map(str::to_owned) })
        .collect();
    let hash = format!("{members:?}");
    let reused = catalog.reuse_document(file.id, hash.as_bytes(), DocumentKind::Zip, 1).unwrap();
    let document = reused.unwrap_or_else(|| {
        let (hash, extraction, members) = (hash.as_bytes(), &extraction, members.as_slice());
        let new = NewDocument { hash, reader: 1, extraction, chunks: &[], members };
        catalog.insert_document(file.id, &new).unwrap()
    });
    catalog.attach(&[Attached { file, document, settled: true }]).unwrap();
}

fn states(catalog: &Catalog) -> Vec<String> {
    let files = catalog.files(None).unwrap();
    files.iter().map(|file| format!("{} {}", file.path, file.state.as_str())).collect()
}

#[test]
fn the_members_of_an_archive_are_files_while_it_is_there() {
    // In hours: what changes more often is put off.
    const HOUR: i64 = 3_600_000_000_000;
    let found = |path: &str, modified: i64| found(path, modified * HOUR);
    let directory = tempfile::tempdir().unwrap();
    let catalog = open(directory.path());
    let folder = catalog.add_folder("/f", 0).unwrap().id;
    look(&catalog, folder, "/f", &[found("/f/a.zip", 1)]).unwrap();
    let too_big = Some("too big");
    read_archive(&catalog, take(&catalog), &[("b.md", None), ("in/c.md", None), ("d", too_big)]);
    let read_all = || {
        while let Some(file) = catalog.take_file(0, false).unwrap() {
            let text = file.path.clone();
            read(&catalog, file, &text);
        }
    };
    read_all();
    let whole =
        ["/f/a.zip ready", "/f/a.zip/b.md ready", "/f/a.zip/d failed", "/f/a.zip/in/c.md ready"];
    assert_eq!(states(&catalog), whole);
    let within = |path: &str| ScopeFilter { within: vec![path.into()], ..ScopeFilter::default() };
    assert_eq!(all_chunks(&catalog, &within("/f/a.zip")).len(), 2);
    assert_eq!(all_chunks(&catalog, &within("/f/a.zip/in")), ["/f/a.zip/in/c.md"]);
    assert_eq!(told(&catalog), ["Added /f/a.zip"], "what is in it is not told");

    // A look at the disk does not miss them, at any path.
    for root in ["/f", "/f/a.zip"] {
        assert_eq!(look(&catalog, folder, root, &[found("/f/a.zip", 1)]).unwrap(), 0);
    }
    assert_eq!(states(&catalog), whole);

    // It changes: members wait for it, and are found with their old words until they are read.
    look(&catalog, folder, "/f", &[found("/f/a.zip", 2)]).unwrap();
    catalog.read_again("/f/a.zip/b.md").unwrap();
    let archive = take(&catalog);
    assert_eq!((archive.path.as_str(), archive.archive.as_ref()), ("/f/a.zip", None));
    assert_eq!(catalog.take_file(0, false).unwrap(), None);
    let id = archive.id;
    read_archive(&catalog, archive, &[("b.md", None), ("e.md", None)]);
    assert_eq!(
        states(&catalog),
        ["/f/a.zip ready", "/f/a.zip/b.md pending", "/f/a.zip/e.md pending"]
    );
    assert_eq!(all_chunks(&catalog, &ScopeFilter::default()), ["/f/a.zip/b.md"]);
    let member = catalog.take_member(id, 0).unwrap().unwrap();
    assert_eq!((member.path.as_str(), member.stamp), ("/f/a.zip/b.md", 2 * HOUR));
    assert_eq!(member.archive.as_ref().unwrap().path, "/f/a.zip");
    read(&catalog, member, "b");
    read_all();

    // One is forgotten, and the archive touched: the same content tells nothing new.
    assert!(catalog.remove_path("/f/a.zip/b.md").unwrap());
    look(&catalog, folder, "/f", &[found("/f/a.zip", 3)]).unwrap();
    read_archive(&catalog, take(&catalog), &[("b.md", None), ("e.md", None)]);
    assert_eq!(states(&catalog), ["/f/a.zip ready", "/f/a.zip/e.md ready"]);
    // It is wanted again.
    catalog.add_folder("/f", 0).unwrap();
    look(&catalog, folder, "/f", &[found("/f/a.zip", 3)]).unwrap();
    read_archive(&catalog, take(&catalog), &[("b.md", None), ("e.md", None)]);
    assert_eq!(
        states(&catalog),
        ["/f/a.zip ready", "/f/a.zip/b.md pending", "/f/a.zip/e.md ready"]
    );
    read_all();

    // It cannot be reached for a while, and then cannot be read any more.
    look(&catalog, folder, "/f", &[found("/f/a.zip", 4)]).unwrap();
    let unreachable = ReadOutcome::Unreachable("away".into());
    catalog.finish_without_document(&take(&catalog), &unreachable, 0).unwrap();
    assert_eq!(states(&catalog).len(), 3);
    look(&catalog, folder, "/f", &[found("/f/a.zip", 5)]).unwrap();
    let torn = ReadOutcome::Failed("torn".into());
    catalog.finish_without_document(&take(&catalog), &torn, 0).unwrap();
    assert_eq!(states(&catalog), ["/f/a.zip failed"]);

    // It is left out, becomes a folder, and is gone, each with what it held.
    let restore = |modified: i64| {
        look(&catalog, folder, "/f", &[found("/f/a.zip", modified)]).unwrap();
        read_archive(&catalog, take(&catalog), &[("b.md", None)]);
        read_all();
        assert_eq!(states(&catalog).len(), 2);
    };
    restore(6);
    let left_out = FoundFile { skip: Some("too large".into()), ..found("/f/a.zip", 7) };
    look(&catalog, folder, "/f", &[left_out]).unwrap();
    assert_eq!(states(&catalog), ["/f/a.zip skipped"]);
    restore(8);
    look(&catalog, folder, "/f", &[found("/f/a.zip/b.md", 9)]).unwrap();
    assert_eq!(states(&catalog), ["/f/a.zip/b.md pending"]);
    read_all();
    restore(10);
    look(&catalog, folder, "/f", &[]).unwrap();
    assert_eq!(states(&catalog), [""; 0]);
    catalog.drop_unused_documents().unwrap();
    assert_eq!(catalog.remains("/f").unwrap().documents, 0);
}

#[test]
fn a_moved_file_takes_its_tags_along_whichever_end_is_seen_first() {
    let tags = |catalog: &Catalog, path: &str| catalog.tags_at(path).unwrap();
    let home = ["home".to_owned()];
    for both_at_once in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let catalog = library(directory.path(), &[("/f/old.md", "Words.")]);
        let folder = catalog.folders().unwrap()[0].id;
        catalog.tag("/f/old.md", &home, &[]).unwrap();
        if !both_at_once {
            // The new path is seen, and read, before the old one is missed.
            look(&catalog, folder, "/f", &[found("/f/old.md", 1), found("/f/new.md", 1)]).unwrap();
            read(&catalog, take(&catalog), "Words.");
            assert_eq!(tags(&catalog, "/f/new.md"), [""; 0], "a copy has tags of its own");
        }
        look(&catalog, folder, "/f", &[found("/f/new.md", 1)]).unwrap();
        if both_at_once {
            read(&catalog, take(&catalog), "Words.");
        }
        assert_eq!(tags(&catalog, "/f/new.md"), home, "both at once: {both_at_once}");
        assert_eq!(tags(&catalog, "/f/old.md"), [""; 0]);
        // Gone for good, it leaves nothing to what comes later.
        look(&catalog, folder, "/f", &[]).unwrap();
        catalog.drop_unused_documents().unwrap();
        look(&catalog, folder, "/f", &[found("/f/later.md", 2)]).unwrap();
        read(&catalog, take(&catalog), "Words.");
        assert_eq!(tags(&catalog, "/f/later.md"), [""; 0]);
    }
}
