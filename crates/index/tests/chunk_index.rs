//! The chunk index on a real LanceDB in a temporary directory.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lectern_domain::{
    ChunkId, ChunkIndex, ChunkMatch, DocumentId, EmbeddedChunk, IndexedChunk, Scope,
};
use lectern_index::LanceIndex;

const EMBEDDER: &str = "test/embedder";

async fn open(directory: &Path) -> LanceIndex {
    LanceIndex::open(directory, EMBEDDER, 3).await.unwrap()
}

/// Chunk `id` of document `id / 10`.
fn text(id: i64, text: &str) -> IndexedChunk {
    IndexedChunk { id: ChunkId(id), document: DocumentId(id / 10), text: text.to_string() }
}

fn vector(id: i64, vector: [f32; 3]) -> EmbeddedChunk {
    EmbeddedChunk { id: ChunkId(id), document: DocumentId(id / 10), vector: vector.to_vec() }
}

fn ids(matches: &[ChunkMatch]) -> Vec<i64> {
    matches.iter().map(|found| found.chunk.0).collect()
}

async fn find(index: &LanceIndex, query: &str) -> Vec<i64> {
    ids(&index.lexical(query, 10, &Scope::All).await.unwrap())
}

async fn nearest(index: &LanceIndex, vector: [f32; 3]) -> Vec<i64> {
    ids(&index.semantic(&vector, 10, &Scope::All).await.unwrap())
}

fn documents(ids: impl IntoIterator<Item = i64>) -> Scope {
    Scope::Documents(ids.into_iter().map(DocumentId).collect())
}

fn chunks(ids: impl IntoIterator<Item = i64>) -> HashSet<ChunkId> {
    ids.into_iter().map(ChunkId).collect()
}

#[tokio::test]
async fn an_empty_index_finds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    assert!(find(&index, "anything").await.is_empty());
    assert!(nearest(&index, [1.0, 0.0, 0.0]).await.is_empty());
    index.remove(&[DocumentId(1)]).await.unwrap();
    index.maintain().await.unwrap();
    assert!(find(&index, "anything").await.is_empty());
    assert!(index.text_ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn text_is_found_as_soon_as_it_is_added_in_any_script() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    let texts = [
        (10, "合同规定的违约金为百分之五"),
        (20, "Die Kündigungsfrist beträgt drei Monate."),
        (30, "Certified to ISO-9001 since 2015"),
        (40, "see drawing A-12/7 for the flange"),
        (50, "The tenants shall pay the rents monthly"),
        (60, "このソフトウェアのライセンス"),
        (70, "임대차 계약서에 따라"),
        (80, "AND OR NOT: logic for beginners"),
    ];
    for (id, words) in texts {
        index.add_texts(vec![text(id, words)]).await.unwrap();
        assert!(find(&index, words).await.contains(&id), "{words:?} right after it was added");
    }
    let cases: [(&str, &[i64]); 17] = [
        ("违约金", &[10]),
        ("百分之五", &[10]),
        ("Kündigungsfrist", &[20]),
        ("KUNDIGUNGSFRIST", &[20]),
        ("ISO-9001", &[30]),
        ("iso 9001", &[30]),
        ("ISO9001", &[30]),
        ("A-12/7", &[40]),
        ("tenant rent", &[50]),
        ("ライセンス", &[60]),
        ("계약", &[70]),
        ("\"AND (", &[80]),
        ("terms:logic", &[80]),
        ("*", &[]),
        (":", &[]),
        ("", &[]),
        ("nothing has zebras", &[]),
    ];
    for maintained in [false, true] {
        for (query, expected) in cases {
            assert_eq!(find(&index, query).await, expected, "{query:?}, maintained: {maintained}");
        }
        index.maintain().await.unwrap();
    }
}

#[tokio::test]
async fn vectors_are_found_by_cosine_similarity() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    index
        .add_vectors(vec![
            vector(10, [1.0, 0.0, 0.0]),
            vector(11, [0.6, 0.8, 0.0]),
            vector(20, [0.0, 0.0, 1.0]),
        ])
        .await
        .unwrap();
    let found = index.semantic(&[1.0, 0.0, 0.0], 10, &Scope::All).await.unwrap();
    assert_eq!(ids(&found), [10, 11, 20]);
    for (found, expected) in found.iter().zip([1.0, 0.6, 0.0]) {
        assert!((found.score - expected).abs() < 1e-6, "{found:?} instead of {expected}");
    }
    let best = index.semantic(&[0.0, 0.0, 1.0], 1, &Scope::All).await.unwrap();
    assert_eq!(ids(&best), [20]);
    assert_eq!(index.vector_ids().await.unwrap(), chunks([10, 11, 20]));
    assert!(index.text_ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_vector_of_the_wrong_length_or_without_a_number_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for numbers in [vec![], vec![1.0, 0.0], vec![1.0, f32::NAN, 0.0]] {
        let chunk =
            EmbeddedChunk { id: ChunkId(10), document: DocumentId(1), vector: numbers.clone() };
        assert!(index.add_vectors(vec![chunk]).await.is_err(), "{numbers:?}");
        assert!(index.semantic(&numbers, 10, &Scope::All).await.is_err(), "{numbers:?}");
    }
    assert!(index.vector_ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_removed_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for id in [10, 11, 20, 30] {
        index.add_texts(vec![text(id, "notice period")]).await.unwrap();
        index.add_vectors(vec![vector(id, [1.0, 0.0, 0.0])]).await.unwrap();
    }
    index.remove(&[DocumentId(1)]).await.unwrap();
    assert_eq!(find(&index, "notice").await, [20, 30]);
    assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, [20, 30]);
    index.maintain().await.unwrap();
    index.remove(&[DocumentId(3), DocumentId(99)]).await.unwrap();
    index.remove(&[]).await.unwrap();
    assert_eq!(find(&index, "notice").await, [20]);
    assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, [20]);
    assert_eq!(index.text_ids().await.unwrap(), chunks([20]));
    assert_eq!(index.vector_ids().await.unwrap(), chunks([20]));
}

#[tokio::test]
async fn a_search_stays_within_its_scope() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    let far: [f32; 3] = [0.0, 1.0, 0.0];
    index.add_texts((0..40).map(|id| text(id, "notice period")).collect()).await.unwrap();
    index.add_vectors((0..40).map(|id| vector(id, far)).collect()).await.unwrap();
    let cases = [
        (documents([]), vec![]),
        (documents([99]), vec![]),
        (documents([2]), (20..30).collect()),
        (documents([2, 2, 99]), (20..30).collect()),
        // More documents than one filter names.
        (documents(2..20_000), (20..30).collect::<Vec<_>>()),
    ];
    for maintained in [false, true] {
        for (scope, expected) in &cases {
            let found = index.lexical("notice", 10, scope).await.unwrap();
            assert_eq!(ids(&found), *expected, "maintained: {maintained}");
            let found = index.semantic(&[1.0, 0.0, 0.0], 10, scope).await.unwrap();
            assert_eq!(ids(&found), *expected, "maintained: {maintained}");
        }
        index.maintain().await.unwrap();
    }
}

#[tokio::test]
async fn a_scope_in_many_pieces_is_searched_like_one_in_few() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    // Every id has its own number of words and its own angle, so there are no ties.
    let texts =
        (0..4_000).map(|id| text(id, &format!("notice {}", "of it ".repeat(id as usize % 97))));
    index.add_texts(texts.collect()).await.unwrap();
    let vectors = (0..4_000).map(|id| {
        let angle = ((id * 37) % 4_000) as f32 / 4_000.0;
        vector(id, [angle.cos(), angle.sin(), 0.0])
    });
    index.add_vectors(vectors.collect()).await.unwrap();
    index.maintain().await.unwrap();
    let (lexical, semantic) = (
        index.lexical("notice", 4_000, &Scope::All).await.unwrap(),
        index.semantic(&[1.0, 0.0, 0.0], 4_000, &Scope::All).await.unwrap(),
    );
    let scopes: [(&str, Vec<i64>); 4] = [
        ("one piece", (100..300).collect()),
        ("every other", (0..400).step_by(2).collect()),
        ("every other of a few", (0..60).step_by(2).collect()),
        ("the farthest", (0..400).filter(|id| id % 3 == 1).collect()),
    ];
    for (what, scope) in scopes {
        let within = |all: &[ChunkMatch]| -> Vec<ChunkMatch> {
            let inside = all.iter().filter(|found| scope.contains(&(found.chunk.0 / 10)));
            inside.take(20).copied().collect()
        };
        let scope = documents(scope.iter().copied());
        let found = index.lexical("notice", 20, &scope).await.unwrap();
        let scores = |found: &[ChunkMatch]| found.iter().map(|f| f.score).collect::<Vec<_>>();
        assert_eq!(scores(&found), scores(&within(&lexical)), "{what} by words");
        let found = index.semantic(&[1.0, 0.0, 0.0], 20, &scope).await.unwrap();
        assert_eq!(ids(&found), ids(&within(&semantic)), "{what} by meaning");
    }
}

/// Vectors of 16 numbers in some bundles, as those of texts are.
fn bundled(id: i64) -> EmbeddedChunk {
    let number = |seed: i64| ((seed * 7_919 + 12_345) % 1_009) as f32 / 1_009.0 - 0.5;
    let raw: Vec<f32> =
        (0..16).map(|at| number(id % 40 * 16 + at) + 0.4 * number(id * 16 + at + 77)).collect();
    let norm = raw.iter().map(|number| number * number).sum::<f32>().sqrt();
    let vector = raw.iter().map(|number| number / norm).collect();
    EmbeddedChunk { id: ChunkId(id), document: DocumentId(id / 10), vector }
}

#[tokio::test]
async fn an_index_of_vectors_finds_what_comparing_all_of_them_does() {
    const ROWS: i64 = 3_000;
    let directory = tempfile::tempdir().unwrap();
    let open = async |flat_rows| {
        let index = LanceIndex::open(directory.path(), EMBEDDER, 16).await.unwrap();
        index.with_flat_rows(flat_rows)
    };
    let flat = open(usize::MAX).await;
    flat.add_vectors((0..ROWS).map(bundled).collect()).await.unwrap();
    flat.maintain().await.unwrap();
    assert_eq!(flat.vector_index().await.unwrap(), None);
    let queries: Vec<Vec<f32>> = (0..30).map(|n| bundled(n * 97 + 5_000).vector).collect();
    let scopes = [Scope::All, documents(0..200), documents((0..300).step_by(2)), documents([7])];
    let search = async |index: &LanceIndex| {
        let mut found = Vec::new();
        for query in &queries {
            for scope in &scopes {
                found.push(index.semantic(query, 10, scope).await.unwrap());
            }
        }
        found
    };
    let exact = search(&flat).await;

    let indexed = open(1_000).await;
    indexed.maintain().await.unwrap();
    let recall = indexed.vector_index().await.unwrap().unwrap().recall;
    assert!(recall >= 0.95, "{recall}");
    let found = search(&indexed).await;
    let (mut same, mut all) = (0, 0);
    for (found, exact) in found.iter().zip(&exact) {
        all += exact.len();
        let scored =
            |found: &[ChunkMatch]| found.iter().map(|f| (f.chunk, f.score)).collect::<Vec<_>>();
        let exact = scored(exact);
        for (chunk, score) in scored(found) {
            // Whatever is found has its true score.
            let there = exact.iter().find(|(other, _)| *other == chunk);
            assert!(there.is_none_or(|(_, exact)| (exact - score).abs() < 1e-5));
            same += usize::from(there.is_some());
        }
    }
    // Other queries than those it was measured with, and few of them: one that lies between two parts tells.
    assert!(same * 100 >= all * 90, "{same} of {all}");

    // A handle opened anew, and one in another process, see the same.
    assert_eq!(search(&open(1_000).await).await, found);
    let other = LanceIndex::open_to_search(directory.path(), EMBEDDER, 16).await.unwrap();
    assert_eq!(search(&other).await, found);

    // What is new is found at once, and what is gone is not, before and after maintenance.
    indexed.add_vectors((ROWS..ROWS + 100).map(bundled).collect()).await.unwrap();
    indexed.remove(&[DocumentId(5)]).await.unwrap();
    for maintained in [false, true] {
        let fresh = indexed.semantic(&bundled(ROWS + 50).vector, 1, &Scope::All).await.unwrap();
        assert_eq!(ids(&fresh), [ROWS + 50], "maintained: {maintained}");
        let gone = indexed.semantic(&bundled(55).vector, 100, &Scope::All).await.unwrap();
        assert!(gone.iter().all(|found| found.chunk.0 / 10 != 5), "maintained: {maintained}");
        if !maintained {
            indexed.purge(&[]).await.unwrap();
        }
        indexed.maintain().await.unwrap();
    }
    assert!(indexed.vector_index().await.unwrap().is_some());
}

#[tokio::test]
async fn vectors_that_no_index_finds_are_all_compared() {
    let directory = tempfile::tempdir().unwrap();
    let index = LanceIndex::open(directory.path(), EMBEDDER, 64).await.unwrap().with_flat_rows(100);
    // Nothing is near anything: neighbours lie in all parts of an index.
    let scattered = |id: i64| {
        let mut state = (id as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let raw: Vec<f32> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
            })
            .collect();
        let norm = raw.iter().map(|number| number * number).sum::<f32>().sqrt();
        let vector = raw.iter().map(|number| number / norm).collect();
        EmbeddedChunk { id: ChunkId(id), document: DocumentId(id / 10), vector }
    };
    index.add_vectors((0..2_000).map(scattered).collect()).await.unwrap();
    let query = scattered(9_999).vector;
    let exact = index.semantic(&query, 50, &Scope::All).await.unwrap();
    for _ in 0..2 {
        index.maintain().await.unwrap();
        assert_eq!(index.vector_index().await.unwrap(), None);
        assert_eq!(index.semantic(&query, 50, &Scope::All).await.unwrap(), exact);
    }
}

#[tokio::test]
async fn as_many_as_asked_for_best_first_and_ties_by_id() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    let all: Vec<i64> = (0..300).rev().collect();
    index
        .add_texts(
            all.iter()
                .map(|&id| text(id, if id == 250 { "period period" } else { "period of notice" }))
                .collect(),
        )
        .await
        .unwrap();
    index
        .add_vectors(
            all.iter()
                .map(|&id| vector(id, if id == 250 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] }))
                .collect(),
        )
        .await
        .unwrap();
    for k in [0, 1, 2, 5, 300, 1_000] {
        let mut expected = vec![250];
        expected.extend((0..300).filter(|&id| id != 250));
        expected.truncate(k);
        let found = index.lexical("period", k, &Scope::All).await.unwrap();
        assert_eq!(ids(&found), expected, "{k} by their terms");
        let found = index.semantic(&[1.0, 0.0, 0.0], k, &Scope::All).await.unwrap();
        assert_eq!(ids(&found), expected, "{k} by their vectors");
    }
}

#[tokio::test]
async fn a_chunk_that_a_crash_left_twice_is_found_once() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for _ in 0..30 {
        index.add_texts(vec![text(10, "notice period")]).await.unwrap();
        index.add_vectors(vec![vector(10, [1.0, 0.0, 0.0])]).await.unwrap();
    }
    index.add_texts(vec![text(20, "a very long text about a notice")]).await.unwrap();
    index.add_vectors(vec![vector(20, [0.0, 1.0, 0.0])]).await.unwrap();
    let found = index.lexical("notice", 2, &Scope::All).await.unwrap();
    assert_eq!(ids(&found).into_iter().collect::<HashSet<_>>(), HashSet::from([10, 20]));
    let found = index.semantic(&[1.0, 0.0, 0.0], 2, &Scope::All).await.unwrap();
    assert_eq!(ids(&found), [10, 20]);
}

#[tokio::test]
async fn an_index_is_found_again_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["plain", "with space", "a#b%20c?d", "db+x:y", "Müller 合同"] {
        let directory = directory.path().join(name);
        let index = open(&directory).await;
        index.add_texts(vec![text(10, "notice period")]).await.unwrap();
        index.add_vectors(vec![vector(10, [1.0, 0.0, 0.0])]).await.unwrap();
        assert!(index.bytes_on_disk().await.unwrap() > 0, "{name}");
        drop(index);
        let index = open(&directory).await;
        assert_eq!(find(&index, "notice").await, [10], "{name}");
        assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, [10], "{name}");
    }
}

#[tokio::test]
async fn another_handle_sees_what_the_writer_does() {
    let directory = tempfile::tempdir().unwrap();
    let writer = open(directory.path()).await;
    let reader = open(directory.path()).await;
    assert!(find(&reader, "notice").await.is_empty());
    writer.add_texts(vec![text(10, "notice"), text(20, "notice")]).await.unwrap();
    writer.add_vectors(vec![vector(10, [1.0, 0.0, 0.0])]).await.unwrap();
    assert_eq!(find(&reader, "notice").await, [10, 20]);
    assert_eq!(nearest(&reader, [1.0, 0.0, 0.0]).await, [10]);
    writer.remove(&[DocumentId(1)]).await.unwrap();
    assert_eq!(find(&reader, "notice").await, [20]);
    assert!(nearest(&reader, [1.0, 0.0, 0.0]).await.is_empty());
    writer.maintain().await.unwrap();
    writer.add_texts(vec![text(30, "notice")]).await.unwrap();
    assert_eq!(find(&reader, "notice").await, [20, 30]);
    assert_eq!(reader.text_ids().await.unwrap(), chunks([20, 30]));
}

#[tokio::test]
async fn each_embedder_has_its_own_vectors() {
    let directory = tempfile::tempdir().unwrap();
    let one = LanceIndex::open(directory.path(), "a/b", 3).await.unwrap();
    one.add_texts(vec![text(10, "notice")]).await.unwrap();
    one.add_vectors(vec![vector(10, [1.0, 0.0, 0.0])]).await.unwrap();
    let other = LanceIndex::open(directory.path(), "a_b", 3).await.unwrap();
    assert!(other.vector_ids().await.unwrap().is_empty());
    assert_eq!(find(&other, "notice").await, [10]);
    let again = LanceIndex::open(directory.path(), "a/b", 3).await.unwrap();
    assert_eq!(again.vector_ids().await.unwrap(), chunks([10]));
    // The same embedder with other vectors begins anew.
    let longer = LanceIndex::open(directory.path(), "a/b", 4).await.unwrap();
    assert!(longer.vector_ids().await.unwrap().is_empty());
    assert_eq!(find(&longer, "notice").await, [10]);
}

#[tokio::test]
async fn many_small_batches_are_found_alike_before_and_after_maintenance() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for batch in 0..20 {
        let batch = (batch * 100)..(batch * 100 + 100);
        let texts = batch.clone().map(|id| text(id, &format!("clause term{} of id{id}", id % 100)));
        index.add_texts(texts.collect()).await.unwrap();
        let vectors = batch.map(|id| {
            let angle = id as f32 / 2_000.0;
            vector(id, [angle.cos(), angle.sin(), 0.0])
        });
        index.add_vectors(vectors.collect()).await.unwrap();
    }
    index.remove(&[DocumentId(0)]).await.unwrap();
    let scored = async || {
        let words = index.lexical("clause term7 of id999", 50, &Scope::All).await.unwrap();
        let vector = index.semantic(&[0.6, 0.8, 0.0], 50, &Scope::All).await.unwrap();
        [words, vector]
    };
    let first = scored().await;
    for maintained in [0, 1, 2] {
        assert_eq!(scored().await, first, "after {maintained}");
        for id in [10, 999, 1_999] {
            assert_eq!(find(&index, &format!("id{id}")).await[0], id, "after {maintained}");
        }
        assert!(!find(&index, "id7").await.contains(&7), "after {maintained}");
        let found = index.lexical("term7", 1_000, &Scope::All).await.unwrap();
        let expected: Vec<i64> = (1..20).map(|batch| batch * 100 + 7).collect();
        assert_eq!(ids(&found)[..19], expected, "after {maintained}");
        assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, (10..20).collect::<Vec<_>>());
        assert_eq!(index.text_ids().await.unwrap(), chunks(10..2_000), "after {maintained}");
        assert_eq!(index.vector_ids().await.unwrap(), chunks(10..2_000), "after {maintained}");
        index.maintain().await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_the_index_covers_and_rows_it_does_not_are_found_together() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for start in (0..50_000).step_by(5_000) {
        let texts = (start..start + 5_000)
            .map(|id| text(id, if id % 5_000 == 1 { "zebra crossing" } else { "paragraph" }));
        index.add_texts(texts.collect()).await.unwrap();
    }
    index.add_texts(vec![text(50_001, "zebra crossing")]).await.unwrap();
    let expected: HashSet<i64> = (0..=10).map(|batch| batch * 5_000 + 1).collect();
    for maintained in [false, true] {
        let found = index.lexical("zebra", 20, &Scope::All).await.unwrap();
        let found: HashSet<i64> = ids(&found).into_iter().collect();
        assert_eq!(found, expected, "maintained: {maintained}");
        let found = index.lexical("zebra", 20, &documents([500, 5_000])).await.unwrap();
        let found: HashSet<i64> = ids(&found).into_iter().collect();
        assert_eq!(found, HashSet::from([5_001, 50_001]), "maintained: {maintained}");
        index.maintain().await.unwrap();
    }
}

/// The files of this kind below `directory`, by the time of their last change.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push((path.metadata().unwrap().modified().unwrap(), path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn empty(path: &Path) {
    std::fs::write(path, "").unwrap();
}

fn cut(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// An index of one document that is then damaged, opened, and filled by what the
/// opened one says it lacks.
async fn survives(what: &str, kept: &[i64], damage: impl Fn(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    for id in [10, 11, 12] {
        index.add_texts(vec![text(id, "notice period")]).await.unwrap();
        index.add_vectors(vec![vector(id, [1.0, 0.0, 0.0])]).await.unwrap();
    }
    drop(index);
    damage(&directory.path().join("chunks.lance"));
    damage(&directory.path().join("vectors_test_2fembedder.lance"));

    let index = open(directory.path()).await;
    assert_eq!(index.text_ids().await.unwrap(), chunks(kept.iter().copied()), "{what}");
    assert_eq!(index.vector_ids().await.unwrap(), chunks(kept.iter().copied()), "{what}");
    assert_eq!(find(&index, "notice").await, kept, "{what}");
    let missing = || [10, 11, 12].into_iter().filter(|id| !kept.contains(id));
    index.add_texts(missing().map(|id| text(id, "notice period")).collect()).await.unwrap();
    index.add_vectors(missing().map(|id| vector(id, [1.0, 0.0, 0.0])).collect()).await.unwrap();
    for maintained in [false, true] {
        let index = open(directory.path()).await;
        assert_eq!(find(&index, "notice").await, [10, 11, 12], "{what}, {maintained}");
        assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, [10, 11, 12], "{what}, {maintained}");
        index.maintain().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_index_comes_back_with_what_can_still_be_read() {
    let newest = |table: &Path, extension: &str| files(table, extension).pop().unwrap();
    survives("nothing is damaged", &[10, 11, 12], |_| {}).await;
    survives("an empty newest manifest", &[10, 11], |table| empty(&newest(table, "manifest")))
        .await;
    survives("half of the newest manifest", &[10, 11], |table| cut(&newest(table, "manifest")))
        .await;
    survives("an empty newest data file", &[10, 11], |table| {
        empty(&newest(&table.join("data"), "lance"));
    })
    .await;
    survives("half of the newest data file", &[10, 11], |table| {
        cut(&newest(&table.join("data"), "lance"));
    })
    .await;
    survives("a missing data file", &[10], |table| {
        std::fs::remove_file(&files(&table.join("data"), "lance")[1]).unwrap();
    })
    .await;
    survives("no manifest that can be read", &[], |table| {
        files(table, "manifest").iter().for_each(|manifest| empty(manifest));
    })
    .await;
    survives("no manifest at all", &[], |table| {
        std::fs::remove_dir_all(table.join("_versions")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_damaged_bm25_index_is_made_anew_from_the_table() {
    for (what, damage) in [("empty", empty as fn(&Path)), ("half", cut)] {
        let directory = tempfile::tempdir().unwrap();
        let index = open(directory.path()).await;
        for id in [10, 11, 12] {
            index.add_texts(vec![text(id, "notice period")]).await.unwrap();
        }
        index.maintain().await.unwrap();
        drop(index);
        let indices = directory.path().join("chunks.lance").join("_indices");
        let files = files(&indices, "lance");
        assert!(!files.is_empty());
        files.iter().for_each(|file| damage(file));

        let index = open(directory.path()).await;
        assert_eq!(index.text_ids().await.unwrap(), chunks([10, 11, 12]), "{what}");
        assert_eq!(find(&index, "notice").await, [10, 11, 12], "{what}");
    }
}

#[tokio::test]
async fn what_only_the_index_knows_is_removed_by_its_own_id() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path()).await;
    index.add_texts(vec![text(10, "ferry one"), text(11, "ferry two")]).await.unwrap();
    index
        .add_vectors(vec![vector(10, [1.0, 0.0, 0.0]), vector(12, [0.0, 1.0, 0.0])])
        .await
        .unwrap();
    index.remove_chunks(&[ChunkId(11), ChunkId(12), ChunkId(99)]).await.unwrap();
    assert_eq!(find(&index, "ferry").await, [10]);
    assert_eq!(index.text_ids().await.unwrap(), chunks([10]));
    assert_eq!(index.vector_ids().await.unwrap(), chunks([10]));
}

/// Every file below a directory, with its bytes.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_purge_leaves_nothing_of_what_was_removed_nor_of_embedders_not_in_use() {
    let directory = tempfile::tempdir().unwrap();
    for embedder in ["old", "next"] {
        let index = LanceIndex::open(directory.path(), embedder, 3).await.unwrap();
        index.add_vectors(vec![vector(10, [0.0, 0.0, 1.0])]).await.unwrap();
    }
    let index = open(directory.path()).await;
    index
        .add_texts(vec![text(10, "the secretive platypus"), text(20, "the public ferry")])
        .await
        .unwrap();
    index
        .add_vectors(vec![vector(10, [1.0, 0.0, 0.0]), vector(20, [0.0, 1.0, 0.0])])
        .await
        .unwrap();
    index.maintain().await.unwrap();
    let holds = |word: &str| {
        contents(directory.path())
            .into_iter()
            .filter(|(_, bytes)| bytes.windows(word.len()).any(|at| at == word.as_bytes()))
            .count()
    };
    assert!(holds("platypu") > 0, "the test would show nothing");
    index.remove(&[DocumentId(1)]).await.unwrap();
    index.purge(&["next".to_string()]).await.unwrap();
    assert_eq!(holds("platypu"), 0);
    assert_eq!(find(&index, "ferry").await, [20]);
    assert!(find(&index, "platypus").await.is_empty());
    assert_eq!(nearest(&index, [1.0, 0.0, 0.0]).await, [20]);
    let tables: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_string())
        .filter(|name| name.starts_with("vectors_"))
        .collect();
    assert_eq!(tables.len(), 2, "{tables:?}");
    assert!(!tables.contains(&"vectors_old.lance".to_string()), "{tables:?}");
}

#[tokio::test]
async fn who_only_searches_waits_for_an_index_that_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.add_texts(vec![text(10, "the ferry")]).await.unwrap();
    let path = directory.path().to_str().unwrap();
    let chunks = lancedb::connect(path).execute().await.unwrap().open_table("chunks");
    chunks.execute().await.unwrap().drop_index("terms_bm25").await.unwrap();

    let to_search = LanceIndex::open_to_search(directory.path(), EMBEDDER, 3);
    let (reader, _writer) = tokio::join!(to_search, open(directory.path()));
    assert_eq!(find(&reader.unwrap(), "ferry").await, [10]);
}

#[tokio::test]
async fn who_only_searches_changes_nothing_whatever_is_missing_or_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let to_search = || LanceIndex::open_to_search(directory.path(), EMBEDDER, 3);
    assert!(to_search().await.is_err());
    assert!(contents(directory.path()).is_empty());
    let index = open(directory.path()).await;
    index.add_texts(vec![text(10, "the ferry")]).await.unwrap();
    let reader = to_search().await.unwrap();
    assert_eq!(find(&reader, "ferry").await, [10]);
    index.add_texts(vec![text(20, "another ferry")]).await.unwrap();
    assert_eq!(find(&reader, "ferry").await, [10, 20]);
    drop((index, reader));
    for manifest in files(directory.path(), "manifest") {
        empty(&manifest);
    }
    let before = contents(directory.path());
    assert!(to_search().await.is_err());
    assert!(contents(directory.path()) == before);
    assert!(
        find(&open(directory.path()).await, "ferry").await.is_empty(),
        "and who writes repairs"
    );
}
