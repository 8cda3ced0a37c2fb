//! What holds for every document, tried on many that are put together at random (always the
//! same ones, so that a failure can be repeated).
#![allow(clippy::unwrap_used)]

use lectern_domain::{BlockKind, DocumentKind, Extraction, char_slice};
use lectern_extract::{CHUNK_TOKENS, chunk, estimate_tokens, read};

/// A linear congruential generator: enough to choose pieces.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

const SENTENCES: &[&str] = &[
    "The supplier delivers within 30 days of the order, i.e. by 3.5 p.m. on the last one. ",
    "Payment is due at once! ",
    "合同金额为人民币三万元整；乙方应当在收到货物后支付。",
    "Überfällige Beträge werden mit 5 % verzinst. ",
    "👩‍👩‍👧 emoji, and a word\u{301} with an accent. ",
    "aVeryLongIdentifierThatNobodyWouldEverSplitIntoWords_0123456789/",
    "שלום עולם. ",
    "한국어 문장은 띄어쓰기가 있다. ",
    "\n",
];

/// The source of a document of `kind` from pieces of all sorts.
fn source(kind: DocumentKind, choice: &mut Choice) -> String {
    let mut out = String::from("First words.\n\n");
    for _ in 0..1 + choice.below(30) {
        let prose: String =
            (0..1 + choice.below(25)).map(|_| SENTENCES[choice.below(SENTENCES.len())]).collect();
        let line = prose.replace('\n', " ");
        let level = 1 + choice.below(4);
        let repeat = 1 + choice.below(40);
        let html = kind == DocumentKind::Html;
        out += &match choice.below(6) {
            0 if html => format!("<h{level}>Heading {repeat}</h{level}>\n"),
            0 => format!("{} Heading {repeat}\n\n", "#".repeat(level)),
            1 if html => format!("<ul>{}</ul>", format!("<li>{line}").repeat(repeat)),
            1 => format!("- {line}\n").repeat(repeat) + "\n",
            2 if html => {
                format!("<table>{}</table>", format!("<tr><td>a<td>{line}").repeat(repeat))
            }
            2 => format!("| a | b |\n|---|---|\n{}\n", format!("| {line} | 2 |\n").repeat(repeat)),
            3 if html => format!("<pre>{}</pre>", format!("{line}\n").repeat(repeat)),
            3 => format!("```\n{}```\n\n", format!("{line}\n").repeat(repeat)),
            _ if html => format!("<p>{}</p>", prose.repeat(repeat / 8 + 1)),
            _ => prose.repeat(repeat / 8 + 1) + "\n\n",
        };
    }
    out
}

fn check(extraction: &Extraction) {
    let chars: Vec<char> = extraction.text.chars().collect();
    let length = chars.len() as u32;

    let mut at = 0;
    for page in &extraction.pages {
        assert_eq!(page.range.start, at, "pages follow each other without gaps");
        at = page.range.end;
    }
    assert_eq!(at, length, "pages cover the text");

    let texts: Vec<&str> =
        extraction.blocks.iter().map(|block| char_slice(&extraction.text, block.range)).collect();
    assert_eq!(texts.join("\n\n"), extraction.text, "the text is its blocks");
    assert!(texts.iter().all(|text| !text.trim().is_empty()));

    let mut covered = vec![0u8; chars.len()];
    for chunk in chunk(extraction) {
        assert_eq!(chunk.text, char_slice(&extraction.text, chunk.range));
        assert!(!chunk.text.trim().is_empty());
        assert!(estimate_tokens(&chunk.text) <= CHUNK_TOKENS, "over the budget: {}", chunk.text);
        for count in &mut covered[chunk.range.start as usize..chunk.range.end as usize] {
            *count += 1;
        }
        let mut body = false;
        for block in extraction.blocks.iter().filter(|block| block.range.overlaps(chunk.range)) {
            let heading = matches!(block.kind, BlockKind::Heading(_));
            assert!(!(heading && body), "a heading inside of a chunk: {}", chunk.text);
            body |= !heading;
        }
    }
    for (at, c) in chars.iter().enumerate() {
        assert!(covered[at] <= 1 && (c.is_whitespace() || covered[at] == 1), "{c:?} at {at}");
    }
}

/// The kinds whose readers take any text; what is no markup of theirs is words to them.
const KINDS: [DocumentKind; 9] = [
    DocumentKind::Md,
    DocumentKind::Html,
    DocumentKind::Txt,
    DocumentKind::Code,
    DocumentKind::Csv,
    DocumentKind::Json,
    DocumentKind::Tex,
    DocumentKind::Adoc,
    DocumentKind::Rst,
];

#[test]
fn every_document_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..16 {
        for kind in KINDS {
            let path = folder.path().join("document");
            std::fs::write(&path, source(kind, &mut Choice(seed))).unwrap();
            check(&read(&path, kind).unwrap());
        }
    }
}
