//! Chunks, and what the embedder sees of them, cut to the embedder's measure.

use std::{path::Path, sync::Arc};

use lectern_catalog::QueuedChunk;
use lectern_domain::{Embedder, TokenCounter};
use lectern_extract::{chunk_by, worker::ReadDocument};
use tokio::task::spawn_blocking;

/// The document with its chunks cut by the embedder's own count, where it tells. The reading
/// process has no embedder and estimates.
pub(crate) async fn measured(document: ReadDocument, embedder: Arc<dyn Embedder>) -> ReadDocument {
    let cut = move || match embedder.token_counter() {
        Some(counter) => {
            ReadDocument { chunks: chunk_by(&document.extraction, counter), ..document }
        }
        None => document,
    };
    spawn_blocking(cut).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// What both indices find a chunk by: the file's name, the document's title and the headings first, because
/// many passages name their subject only there, then its words.
pub fn searchable_text(chunk: &QueuedChunk) -> String {
    // What people chose, as words. A title says little in many a file: `Document1`, `Annual report`.
    let name = Path::new(&chunk.path).file_stem().unwrap_or_default().to_string_lossy();
    let name = name.split(['_', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let title = chunk.title.as_deref().filter(|title| letters(title) != letters(&name));
    let headings = chunk.heading.iter().map(String::as_str);
    let mut input = String::with_capacity(chunk.text.len() + 64);
    let mut last = "";
    for part in [Some(name.as_str()), title].into_iter().flatten().chain(headings) {
        // The first chunk of a section begins with its heading already.
        if !part.is_empty() && part != last && !chunk.text.starts_with(part) {
            input.push_str(part);
            input.push('\n');
        }
        last = part;
    }
    input.push_str(&chunk.text);
    input
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What the embedder sees of a chunk: what the indices find it by, without the outer headings
/// that would push its last words over the embedder's limit.
pub(crate) fn embedded_text(chunk: &QueuedChunk, counter: Option<&dyn TokenCounter>) -> String {
    let mut text = searchable_text(chunk);
    let Some(counter) = counter else { return text };
    while text.len() > chunk.text.len() && counter.count_tokens(&text) > counter.limit() {
        let headings = text.len() - chunk.text.len();
        let outermost = text[..headings].find('\n').map_or(headings, |end| end + 1);
        text.drain(..outermost);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lectern_domain::{ChunkId, DocumentId, DocumentKind, ModelError};
    use lectern_extract::worker::read_document;

    use super::*;

    /// Counts words, or does not say how many tokens a text is.
    struct Words {
        limit: usize,
        tells: bool,
    }

    impl TokenCounter for Words {
        fn count_tokens(&self, text: &str) -> usize {
            text.split_whitespace().count()
        }
        fn limit(&self) -> usize {
            self.limit
        }
    }

    impl Embedder for Words {
        fn id(&self) -> &str {
            "words"
        }
        fn dimensions(&self) -> usize {
            1
        }
        fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
            Ok(passages.iter().map(|_| vec![1.0]).collect())
        }
        fn embed_query(&self, _: &str) -> Result<Vec<f32>, ModelError> {
            Ok(vec![1.0])
        }
        fn token_counter(&self) -> Option<&dyn TokenCounter> {
            self.tells.then_some(self)
        }
    }

    #[tokio::test]
    async fn chunks_have_the_measure_of_an_embedder_that_tells_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "Six words are in this sentence. ".repeat(10)).unwrap();
        let read = |path: &Path| read_document(path, DocumentKind::Txt, &[]).unwrap();
        let silent = Arc::new(Words { limit: 20, tells: false });
        assert_eq!(measured(read(&path), silent).await, read(&path));
        let telling = Arc::new(Words { limit: 20, tells: true });
        let chunks = measured(read(&path), telling).await.chunks;
        let sizes: Vec<_> =
            chunks.iter().map(|chunk| chunk.text.split_whitespace().count()).collect();
        assert_eq!(sizes, [18, 18, 18, 6]);
    }

    #[test]
    fn a_chunk_is_found_by_name_title_and_headings_each_once() {
        type Case<'a> = (&'a str, Option<&'a str>, &'a [&'a str], &'a str, &'a str);
        let cases: &[Case] = &[
            ("/f/lease.pdf", None, &[], "text", "lease\ntext"),
            // Two reports that have one title, and a title that is the name.
            (
                "/f/3M_2018_10K.pdf",
                Some("10-K"),
                &["Item 7"],
                "text",
                "3M 2018 10K\n10-K\nItem 7\ntext",
            ),
            ("/f/annual-report.md", Some("Annual report"), &[], "text", "annual-report\ntext"),
            // The first heading is the title, and the chunk begins with the second.
            ("/f/a.md", Some("Lease"), &["Lease", "Rent"], "Rent\ntext", "a\nLease\nRent\ntext"),
            ("", Some("Lease"), &[], "text", "Lease\ntext"),
            ("", None, &[], "text", "text"),
        ];
        for (path, title, heading, text, expected) in cases {
            let chunk = QueuedChunk {
                id: ChunkId(1),
                document: DocumentId(1),
                path: (*path).to_owned(),
                title: title.map(str::to_owned),
                heading: heading.iter().map(ToString::to_string).collect(),
                text: (*text).to_owned(),
            };
            assert_eq!(searchable_text(&chunk), *expected);
        }
    }

    #[test]
    fn the_outer_headings_give_way_to_the_words() {
        let chunk = QueuedChunk {
            id: ChunkId(1),
            document: DocumentId(1),
            path: "/somewhere/the_title.pdf".into(),
            title: Some("The title".into()),
            heading: vec!["An outer heading".into(), "Inner".into()],
            text: "four words and more".into(),
        };
        let whole = "the title\nAn outer heading\nInner\nfour words and more";
        let cases = [
            (10, whole),
            (9, "An outer heading\nInner\nfour words and more"),
            (7, "Inner\nfour words and more"),
            (4, "four words and more"),
            (3, "four words and more"),
        ];
        for (limit, expected) in cases {
            let counter = Words { limit, tells: true };
            assert_eq!(embedded_text(&chunk, Some(&counter)), expected, "{limit}");
        }
        assert_eq!(embedded_text(&chunk, None), whole);
    }
}
