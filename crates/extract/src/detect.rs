//! What a file is, by its name and its content.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use cfb::CompoundFile;
use lectern_domain::DocumentKind;
use zip::ZipArchive;

use crate::{ReadError, archive, text};

/// How many bytes of a file are looked at.
const HEAD: u64 = 8 << 10;

/// The first bytes of an OLE container, which Office files of before 2007 and all encrypted
/// ones are.
pub(crate) const OLE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

/// The kind of the file at `path`: by its content where that is certain, else by its extension,
/// unless its first bytes contradict; a file with an unknown extension is text where it looks
/// like text.
///
/// # Errors
///
/// [`ReadError::Empty`] for a file of no bytes, [`ReadError::Unsupported`] for kinds that
/// cannot be read.
pub fn detect(path: &Path) -> Result<DocumentKind, ReadError> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ReadError::Unsupported);
    }
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    file.rewind()?;
    by_content(&path.to_string_lossy(), &head, BufReader::new(file))
}

/// The kind of a document that lies inside of another, by its file name and content.
pub(crate) fn detect_bytes(name: &str, bytes: &[u8]) -> Result<DocumentKind, ReadError> {
    let head = &bytes[..bytes.len().min(HEAD as usize)];
    by_content(name, head, Cursor::new(bytes))
}

fn by_content<R: Read + Seek>(
    name: &str,
    head: &[u8],
    whole: R,
) -> Result<DocumentKind, ReadError> {
    use DocumentKind::{Code, Doc, Eml, Html, Image, Mbox, Pdf, Rtf, SevenZ, Tar, Txt, Xml};
    if head.is_empty() {
        return Err(ReadError::Empty);
    }
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    let named = extension.and_then(DocumentKind::from_extension).or_else(|| by_file_name(name));
    // A PDF may have junk before its header; readers look at the first kilobyte.
    let junk = head.len().min(1024);
    if head.starts_with(b"%PDF-") || (named == Some(Pdf) && contains(&head[..junk], b"%PDF-")) {
        return Ok(Pdf);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return in_zip(whole, named);
    }
    if head.starts_with(OLE) {
        return in_container(whole, named);
    }
    if head.starts_with(b"{\\rtf") {
        return Ok(Rtf);
    }
    if head.starts_with(b"7z\xBC\xAF\x27\x1C") {
        return Ok(SevenZ);
    }
    if is_picture(head) {
        return Ok(Image);
    }
    let compressed: [&[u8]; 3] = [b"\x1F\x8B", b"BZh", b"\xFD7zXZ\0"];
    if archive::is_tape(head) || compressed.iter().any(|mark| head.starts_with(mark)) {
        return Ok(Tar);
    }
    match named {
        // Word and Excel open web pages and RTF with their own extensions, so people have them.
        Some(kind) if is_binary(kind) => {
            if looks_like_html(head) {
                Ok(Html)
            } else if looks_like_text(head) {
                Ok(if kind == Doc { Txt } else { by_text(head, kind) })
            } else {
                Ok(kind)
            }
        }
        Some(Xml) if looks_like_html(head) => Ok(Html),
        Some(kind) => Ok(kind),
        None if looks_like_html(head) => Ok(Html),
        None if extension.is_some() && head.starts_with(b"%!PS") => Err(ReadError::Unsupported),
        None if looks_like_text(head) => Ok(if head.starts_with(b"<?xml") {
            Xml
        } else if head.starts_with(b"#!") {
            Code
        } else if head.starts_with(b"From ") && contains(head, b"\nSubject: ") {
            Mbox
        } else if head.starts_with(b"Received: ") || head.starts_with(b"Return-Path: ") {
            Eml
        } else {
            Txt
        }),
        None => Err(ReadError::Unsupported),
    }
}

/// Whether a file begins as the kinds of pictures do that can be decoded.
fn is_picture(head: &[u8]) -> bool {
    let marks: [&[u8]; 6] =
        [b"\x89PNG\r\n\x1A\n", b"\xFF\xD8\xFF", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a"];
    marks.iter().any(|mark| head.starts_with(mark))
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"))
        // "BM" alone begins words; two reserved numbers of two bytes follow the size.
        || (head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]))
}

/// Files of source code that are known by their whole name.
fn by_file_name(name: &str) -> Option<DocumentKind> {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    matches!(
        file,
        "Makefile" | "Dockerfile" | "CMakeLists.txt" | "Rakefile" | "Gemfile" | "Jenkinsfile"
    )
    .then_some(DocumentKind::Code)
}

/// Whether text is no text of this kind.
fn is_binary(kind: DocumentKind) -> bool {
    use DocumentKind::{
        Doc, Docx, Epub, Image, Msg, Odp, Ods, Odt, Pdf, Ppt, Pptx, Rtf, SevenZ, Tar, Xls, Xlsx,
        Zip,
    };
    matches!(
        kind,
        Pdf | Docx
            | Pptx
            | Xlsx
            | Doc
            | Ppt
            | Xls
            | Odt
            | Ods
            | Odp
            | Epub
            | Rtf
            | Msg
            | Zip
            | Tar
            | SevenZ
            | Image
    )
}

/// What a file of text is that its name says to be of a binary kind.
fn by_text(head: &[u8], kind: DocumentKind) -> DocumentKind {
    use DocumentKind::{Csv, Odp, Ods, Odt, Txt, Xls, Xlsx, Xml};
    let xml =
        head.trim_ascii_start().starts_with(b"<?xml") || head.starts_with(b"\xEF\xBB\xBF<?xml");
    match kind {
        Odt | Ods | Odp if xml => kind,
        _ if xml => Xml,
        // "Excel" files that a web site offers are tables as text.
        Xls | Xlsx => Csv,
        _ => Txt,
    }
}

/// Which of the formats that are zip files this is.
fn in_zip<R: Read + Seek>(
    whole: R,
    named: Option<DocumentKind>,
) -> Result<DocumentKind, ReadError> {
    use DocumentKind::{Docx, Epub, Odp, Ods, Odt, Pptx, Xlsx, Zip};
    let Ok(mut archive) = ZipArchive::new(whole) else {
        // A broken file is said to be so by the reader of its kind.
        return named.filter(|kind| is_binary(*kind)).ok_or(ReadError::Unsupported);
    };
    let mut mime = Vec::new();
    if let Ok(part) = archive.by_name("mimetype") {
        part.take(128).read_to_end(&mut mime).map_err(ReadError::from)?;
    }
    let mime = String::from_utf8_lossy(&mime);
    if mime.starts_with("application/epub") {
        return Ok(Epub);
    }
    if let Some(document) = mime.trim().strip_prefix("application/vnd.oasis.opendocument.") {
        return match document.split('-').next() {
            Some("text") => Ok(Odt),
            Some("spreadsheet") => Ok(Ods),
            Some("presentation" | "graphics") => Ok(Odp),
            _ => Err(ReadError::Unsupported),
        };
    }
    let begins = |folder: &str| {
        archive.file_names().any(|name| name.is_ok_and(|name| name.starts_with(folder)))
    };
    let office = archive.index_for_name("[Content_Types].xml").is_some()
        || archive.index_for_name("_rels/.rels").is_some();
    let found = [("word/", Docx), ("ppt/", Pptx), ("xl/", Xlsx)].into_iter();
    let found = found.filter(|(folder, _)| begins(folder)).map(|(_, kind)| kind);
    let found: Vec<_> = found.collect();
    match found.as_slice() {
        [kind] if office || named == Some(*kind) => Ok(*kind),
        _ if archive.index_for_name("META-INF/container.xml").is_some() => Ok(Epub),
        _ => match named {
            Some(kind @ (Docx | Pptx | Xlsx | Odt | Ods | Odp | Epub)) => Ok(kind),
            // Programs are zip files too, and nobody's documents.
            _ if archive.index_for_name("META-INF/MANIFEST.MF").is_some()
                || archive.index_for_name("AndroidManifest.xml").is_some() =>
            {
                Err(ReadError::Unsupported)
            }
            _ => Ok(Zip),
        },
    }
}

/// Which of the formats that are OLE containers this is.
fn in_container<R: Read + Seek>(
    whole: R,
    named: Option<DocumentKind>,
) -> Result<DocumentKind, ReadError> {
    use DocumentKind::{Doc, Docx, Msg, Ppt, Pptx, Xls, Xlsx};
    let Ok(container) = CompoundFile::open(whole) else {
        return named.filter(|kind| is_binary(*kind)).ok_or(ReadError::Unsupported);
    };
    let has = |stream: &str| container.exists(stream);
    if has("/EncryptedPackage") {
        // Which one it is, only the password tells; the name will do to say that one is needed.
        return Ok(named.filter(|kind| matches!(kind, Docx | Pptx | Xlsx)).unwrap_or(Docx));
    }
    let kinds = [
        ("/WordDocument", Doc),
        ("/Workbook", Xls),
        ("/Book", Xls),
        ("/PowerPoint Document", Ppt),
        ("/__properties_version1.0", Msg),
    ];
    let found = kinds.into_iter().find(|(stream, _)| has(stream));
    found.map(|(_, kind)| kind).ok_or(ReadError::Unsupported)
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
    use crate::package::package;

    fn container(streams: &[&str]) -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        for stream in streams {
            file.create_stream(stream).unwrap();
        }
        file.flush().unwrap();
        file.into_inner().into_inner()
    }

    #[test]
    fn content_first_where_it_is_certain_then_the_extension() {
        use DocumentKind::*;
        let office = |part: &str| package(&[("[Content_Types].xml", "<Types/>"), (part, "<x/>")]);
        let odf = |kind: &str| {
            package(&[("mimetype", format!("application/vnd.oasis.opendocument.{kind}"))])
        };
        let cases: Vec<(&str, Vec<u8>, Option<DocumentKind>)> = vec![
            ("a.txt", b"Hello".to_vec(), Some(Txt)),
            ("a.MD", b"# Hello".to_vec(), Some(Md)),
            ("a.htm", b"<p>Hello".to_vec(), Some(Html)),
            ("a.docx", office("word/document.xml"), Some(Docx)),
            ("wrong.doc", office("word/document.xml"), Some(Docx)),
            ("wrong.docx", office("xl/workbook.xml"), Some(Xlsx)),
            ("wrong.zip", office("ppt/presentation.xml"), Some(Pptx)),
            ("word-in-it.zip", package(&[("word/x.txt", "a")]), Some(Zip)),
            ("broken.pptx", b"PK\x03\x04 cut".to_vec(), Some(Pptx)),
            ("a.bin", odf("text"), Some(Odt)),
            ("a.odp", odf("spreadsheet"), Some(Ods)),
            ("a.otp", odf("presentation-template"), Some(Odp)),
            ("a.epub", package(&[("mimetype", "application/epub+zip")]), Some(Epub)),
            ("a.jar", package(&[("META-INF/MANIFEST.MF", "x")]), None),
            ("a.doc", container(&["/WordDocument"]), Some(Doc)),
            ("wrong.docx", container(&["/WordDocument"]), Some(Doc)),
            ("a.xls", container(&["/Workbook"]), Some(Xls)),
            ("a.dat", container(&["/PowerPoint Document"]), Some(Ppt)),
            ("a.msg", container(&["/__properties_version1.0"]), Some(Msg)),
            ("locked.xlsx", container(&["/EncryptedPackage"]), Some(Xlsx)),
            ("thumbs.db", container(&["/Catalog"]), None),
            ("a.pdf", b"%PDF-1.7\n".to_vec(), Some(Pdf)),
            ("junk.pdf", b"\n\njunk %PDF-1.4".to_vec(), Some(Pdf)),
            ("a.txt", b"%PDF-1.7\n".to_vec(), Some(Pdf)),
            ("a.pdf", b"\n<!DOCTYPE html><p>Not found".to_vec(), Some(Html)),
            ("a.pdf", b"Just words.".to_vec(), Some(Txt)),
            ("broken.pdf", b"\0\x01\x02\x03\0\0".to_vec(), Some(Pdf)),
            ("a.xls", b"a\tb\n1\t2\n".to_vec(), Some(Csv)),
            ("a.xls", b"<html><table>".to_vec(), Some(Html)),
            ("a.doc", b"{\\rtf1 Hello}".to_vec(), Some(Rtf)),
            ("a.fodt", b"<?xml version='1.0'?><office:document/>".to_vec(), Some(Odt)),
            ("notes", b"Just words.".to_vec(), Some(Txt)),
            ("main.rs", "fn main() {} // größer".as_bytes().to_vec(), Some(Code)),
            ("run", b"#!/bin/sh\n".to_vec(), Some(Code)),
            ("page", b"<html><body>".to_vec(), Some(Html)),
            ("feed", b"<?xml version='1.0'?><rss/>".to_vec(), Some(Xml)),
            ("page.xml", b"<?xml version='1.0'?><html><body>".to_vec(), Some(Html)),
            ("Inbox", b"From a@b Mon\nSubject: x\n\ny".to_vec(), Some(Mbox)),
            ("a.tar.gz", b"\x1F\x8B\x08\0".to_vec(), Some(Tar)),
            ("a.7z", b"7z\xBC\xAF\x27\x1C\0\x04".to_vec(), Some(SevenZ)),
            ("a.png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0".to_vec(), Some(Image)),
            ("scan.dat", b"II*\0\x08\0\0\0".to_vec(), Some(Image)),
            ("photo", b"\xFF\xD8\xFF\xE0\0\x10JFIF".to_vec(), Some(Image)),
            ("a.webp", b"RIFF\x10\0\0\0WEBPVP8L".to_vec(), Some(Image)),
            ("a.txt", b"BM\x46\0\0\0\0\0\0\0\x36\0".to_vec(), Some(Image)),
            ("notes", b"BMW is a firm in Munich.".to_vec(), Some(Txt)),
            ("renamed.png", b"Just words.".to_vec(), Some(Txt)),
            ("broken.png", b"\0\x01\x02\x03\0\0".to_vec(), Some(Image)),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, expected) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(detect(&path).ok(), expected, "{name}");
            assert_eq!(detect_bytes(name, &bytes).ok(), expected, "{name} inside");
        }
        std::fs::write(folder.path().join("empty.txt"), b"").unwrap();
        assert!(matches!(detect(&folder.path().join("empty.txt")), Err(ReadError::Empty)));
        assert!(matches!(detect(&folder.path().join("gone.txt")), Err(ReadError::Missing)));
        assert!(matches!(detect(folder.path()), Err(ReadError::Unsupported)));
    }
}
