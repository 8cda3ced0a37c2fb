//! What a file is, by its name and its first bytes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use lectern_domain::DocumentKind;

use crate::{ReadError, text};

/// How many bytes of a file are looked at.
const HEAD: u64 = 8 << 10;

/// The kind of the file at `path`: by its extension, unless its first bytes contradict; a file
/// with an unknown extension is text where it looks like text.
///
/// # Errors
///
/// [`ReadError::Empty`] for a file of no bytes, [`ReadError::Unsupported`] for kinds that
/// cannot be read.
pub fn detect(path: &Path) -> Result<DocumentKind, ReadError> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ReadError::Unsupported);
    }
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(ReadError::Empty);
    }
    let named = path
        .extension()
        .and_then(|extension| extension.to_str())
        .and_then(DocumentKind::from_extension);
    let has_extension = path.extension().is_some();
    by_content(&head, named, has_extension)
}

fn by_content(
    head: &[u8],
    named: Option<DocumentKind>,
    has_extension: bool,
) -> Result<DocumentKind, ReadError> {
    // A PDF may have junk before its header; readers look at the first kilobyte.
    let junk = head.len().min(1024);
    let pdf = head.starts_with(b"%PDF-")
        || (named == Some(DocumentKind::Pdf) && contains(&head[..junk], b"%PDF-"));
    if pdf {
        return Ok(DocumentKind::Pdf);
    }
    if head.starts_with(b"PK\x03\x04") {
        // Other Office formats are zip files too; only their names tell them apart cheaply.
        let word = named == Some(DocumentKind::Docx) || contains(head, b"word/");
        return if word { Ok(DocumentKind::Docx) } else { Err(ReadError::Unsupported) };
    }
    match named {
        Some(DocumentKind::Txt | DocumentKind::Md | DocumentKind::Html) => {
            Ok(named.unwrap_or(DocumentKind::Txt))
        }
        // An encrypted .docx is an OLE file; its reader says that a password is needed.
        Some(DocumentKind::Docx) if head.starts_with(b"\xD0\xCF\x11\xE0") => Ok(DocumentKind::Docx),
        _ if looks_like_html(head) => Ok(DocumentKind::Html),
        Some(kind) => {
            if looks_like_text(head) {
                Ok(DocumentKind::Txt)
            } else {
                Ok(kind)
            }
        }
        None if head.starts_with(b"{\\rtf") || (has_extension && head.starts_with(b"%!PS")) => {
            Err(ReadError::Unsupported)
        }
        None if looks_like_text(head) => Ok(DocumentKind::Txt),
        None => Err(ReadError::Unsupported),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn looks_like_html(head: &[u8]) -> bool {
    let start: Vec<u8> = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .iter()
        .skip_while(|b| b.is_ascii_whitespace())
        .take(256)
        .map(u8::to_ascii_lowercase)
        .collect();
    start.starts_with(b"<!doctype html")
        || start.starts_with(b"<html")
        || (start.starts_with(b"<?xml") && contains(&start, b"<html"))
}

fn looks_like_text(head: &[u8]) -> bool {
    // The head may end inside a character, which must not count against it.
    let whole = match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        _ => head,
    };
    text::decode(whole, None).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn extension_first_unless_the_bytes_contradict() {
        use DocumentKind::{Docx, Html, Md, Pdf, Txt};
        let zip: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0\0\0!\0word/document.xml";
        let cases: &[(&str, &[u8], Option<DocumentKind>)] = &[
            ("a.txt", b"Hello", Some(Txt)),
            ("a.MD", b"# Hello", Some(Md)),
            ("a.htm", b"<p>Hello", Some(Html)),
            ("a.docx", zip, Some(Docx)),
            ("a.pdf", b"%PDF-1.7\n", Some(Pdf)),
            ("junk.pdf", b"\n\njunk %PDF-1.4", Some(Pdf)),
            ("a.txt", b"%PDF-1.7\n", Some(Pdf)),
            ("a.pdf", b"\n<!DOCTYPE html><p>Not found", Some(Html)),
            ("a.pdf", b"Just words.", Some(Txt)),
            ("broken.pdf", b"\0\x01\x02\x03\0\0", Some(Pdf)),
            ("a.zip", zip, Some(Docx)),
            ("a.xlsx", b"PK\x03\x04\x14\0\0\0\x08\0xl/workbook.xml", None),
            ("notes", b"Just words.", Some(Txt)),
            ("main.rs", "fn main() {} // größer".as_bytes(), Some(Txt)),
            ("page", b"<html><body>", Some(Html)),
            ("a.rtf", b"{\\rtf1 Hello}", None),
            ("a.png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0", None),
            ("locked.docx", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some(Docx)),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, expected) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(detect(&path).ok(), *expected, "{name}: {bytes:?}");
        }
        std::fs::write(folder.path().join("empty.txt"), b"").unwrap();
        assert!(matches!(detect(&folder.path().join("empty.txt")), Err(ReadError::Empty)));
        assert!(matches!(detect(&folder.path().join("gone.txt")), Err(ReadError::Missing)));
        assert!(matches!(detect(folder.path()), Err(ReadError::Unsupported)));
    }
}
