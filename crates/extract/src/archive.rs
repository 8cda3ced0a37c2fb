//! Archives, whose members are read as the documents they are.

use std::io::{BufRead, BufReader, Cursor, Read, Seek};

use lectern_domain::{DocumentKind, Extraction};
use sevenz_rust2::{ArchiveReader, Password};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::compose::Composer;
use crate::nested::{self, Budget};
use crate::xml::damaged;
use crate::{ReadError, text};

/// Members beyond this many are not read.
const MAX_MEMBERS: usize = 10_000;

/// The dictionary of a compressed stream may be this large, in KiB.
const MAX_DICTIONARY_KIB: u32 = 256 << 10;

/// Reads an archive with the file name `name`. Its members are the pages, each below a heading
/// with its path.
pub(crate) fn read<R: Read + Seek>(
    source: R,
    name: &str,
    kind: DocumentKind,
    budget: &mut Budget,
) -> Result<Extraction, ReadError> {
    unlock(source, name, kind, budget, None)
}

/// As [`read`], with the password of the archive where it has one.
pub(crate) fn unlock<R: Read + Seek>(
    mut source: R,
    name: &str,
    kind: DocumentKind,
    budget: &mut Budget,
    password: Option<&str>,
) -> Result<Extraction, ReadError> {
    let mut members = Members { composer: Composer::default(), count: 0, locked: 0, budget };
    let outcome = match kind {
        DocumentKind::Zip => zip(source, &mut members, password),
        DocumentKind::SevenZ => seven(source, &mut members, password),
        _ => {
            let mut head = Vec::new();
            source.by_ref().take(8).read_to_end(&mut head)?;
            source.rewind()?;
            compressed(&head, source, name, &mut members)
        }
    };
    let Members { mut composer, locked, .. } = members;
    match outcome {
        // What was read before the end of the budget or the damage is worth keeping.
        Err(error) if !composer.is_empty() => {
            composer.warnings.push(format!("not all members were read: {error}"));
        }
        // What a wrong password opens looks damaged.
        Err(ReadError::Damaged(_)) if password.is_some() => return Err(ReadError::PasswordNeeded),
        outcome => outcome?,
    }
    if locked > 0 && composer.is_empty() {
        return Err(ReadError::PasswordNeeded);
    }
    if locked > 0 {
        composer.warnings.push(format!("{locked} members are protected by a password"));
    }
    composer.finish(kind)
}

struct Members<'a> {
    composer: Composer,
    count: usize,
    locked: usize,
    budget: &'a mut Budget,
}

impl Members<'_> {
    /// Whether a member is a person's document, by its path.
    fn wants(path: &str) -> bool {
        let mut steps = path.split(['/', '\\']);
        !steps.any(|step| step.starts_with('.') || step == "__MACOSX" || step.starts_with("~$"))
    }

    /// Whether there is no point in going on.
    fn full(&mut self) -> bool {
        if self.composer.is_full() {
            self.composer.truncate();
        } else if self.count >= MAX_MEMBERS {
            let warning = format!("only the first {MAX_MEMBERS} members were read");
            nested::warn(&mut self.composer, warning);
        } else {
            return false;
        }
        true
    }

    fn add(&mut self, path: &str, source: &mut dyn Read) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        source.take(self.budget.bytes() + 1).read_to_end(&mut bytes).map_err(damaged)?;
        self.budget.spend(bytes.len() as u64)?;
        self.count += 1;
        self.composer.begin_page(u32::try_from(self.count).unwrap_or(u32::MAX), None);
        nested::add(&mut self.composer, 1, path, bytes, self.budget);
        Ok(())
    }
}

fn zip<R: Read + Seek>(
    source: R,
    members: &mut Members<'_>,
    password: Option<&str>,
) -> Result<(), ReadError> {
    let mut archive = ZipArchive::new(source).map_err(damaged)?;
    for index in 0..archive.len() {
        if members.full() {
            break;
        }
        let (path, wanted, locked) = {
            let raw = archive.by_index_raw(index).map_err(damaged)?;
            // Names in old archives are in the encoding of the computer that made them.
            let path = text::decode(raw.name_raw(), None).unwrap_or_default();
            (path, raw.is_file(), raw.encrypted())
        };
        if !wanted || !Members::wants(&path) {
            continue;
        }
        let opened = match password {
            _ if !locked => archive.by_index(index),
            Some(password) => archive.by_index_decrypt(index, password.as_bytes()),
            None => Err(ZipError::InvalidPassword),
        };
        match opened {
            Err(ZipError::InvalidPassword) => members.locked += 1,
            // AES, which the crate that unpacks was compiled without.
            Err(ZipError::UnsupportedArchive(_)) if locked => {
                return Err(ReadError::Damaged("its encryption is unknown or broken".into()));
            }
            Ok(mut member) => match members.add(&path, &mut member) {
                Err(ReadError::Damaged(reason)) => {
                    nested::warn(&mut members.composer, format!("{path}: {reason}"));
                }
                outcome => outcome?,
            },
            Err(error) => nested::warn(&mut members.composer, format!("{path}: {error}")),
        }
    }
    Ok(())
}

fn seven<R: Read + Seek>(
    source: R,
    members: &mut Members<'_>,
    password: Option<&str>,
) -> Result<(), ReadError> {
    use sevenz_rust2::Error;
    let refused = |error| match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => ReadError::PasswordNeeded,
        error => damaged(error),
    };
    let limit = MAX_DICTIONARY_KIB as usize;
    let password = password.map_or_else(Password::empty, Password::from);
    let mut archive =
        ArchiveReader::new_with_memory_limit(source, password, limit).map_err(refused)?;
    // The threads of a parallel decoder would each have a dictionary.
    archive.set_thread_count(1);
    let mut failure = None;
    let outcome = archive.for_each_entries(|entry, source| {
        if members.full() {
            return Ok(false);
        }
        if entry.is_directory() || !Members::wants(entry.name()) {
            // A solid archive is one stream: what is not wanted has to be read past.
            let left = members.budget.bytes();
            let passed = std::io::copy(&mut source.take(left + 1), &mut std::io::sink())?;
            if let Err(error) = members.budget.spend(passed) {
                failure = Some(error);
                return Ok(false);
            }
            return Ok(true);
        }
        match members.add(entry.name(), source) {
            Ok(()) => Ok(true),
            Err(error) => {
                failure = Some(error);
                Ok(false)
            }
        }
    });
    failure.map_or(Ok(()), Err)?;
    outcome.map_err(refused)
}

/// A tape archive or a single file, as it is or compressed.
fn compressed<R: Read>(
    head: &[u8],
    source: R,
    name: &str,
    members: &mut Members<'_>,
) -> Result<(), ReadError> {
    let source = BufReader::new(source);
    if head.starts_with(b"\x1F\x8B") {
        tape_or_file(flate2::bufread::MultiGzDecoder::new(source), name, members)
    } else if head.starts_with(b"BZh") {
        tape_or_file(bzip2::bufread::MultiBzDecoder::new(source), name, members)
    } else if head.starts_with(b"\xFD7zXZ") {
        let limit = MAX_DICTIONARY_KIB;
        tape_or_file(lzma_rust2::XzReader::new_mem_limit(source, true, limit), name, members)
    } else {
        tape(source, members)
    }
}

fn tape_or_file<R: Read>(
    source: R,
    name: &str,
    members: &mut Members<'_>,
) -> Result<(), ReadError> {
    let mut source = BufReader::with_capacity(64 << 10, source);
    let head = source.fill_buf().map_err(damaged)?;
    if is_tape(head) {
        return tape(source, members);
    }
    // `report.txt.gz` holds `report.txt`.
    let inner = name.rsplit_once('.').map_or(name, |(inner, _)| inner);
    members.add(inner, &mut source)
}

pub(crate) fn is_tape(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

fn tape<R: Read>(source: R, members: &mut Members<'_>) -> Result<(), ReadError> {
    let mut archive = tar::Archive::new(source);
    for entry in archive.entries().map_err(damaged)? {
        if members.full() {
            break;
        }
        let mut entry = entry.map_err(damaged)?;
        let path = text::decode(&entry.path_bytes(), None).unwrap_or_default();
        if entry.header().entry_type().is_file() && Members::wants(&path) {
            members.add(&path, &mut entry)?;
        } else {
            // Skipping inside of a compressed stream costs as much as reading.
            members.budget.spend(entry.size())?;
        }
    }
    Ok(())
}

/// Reads an archive that is inside of another document.
pub(crate) fn read_bytes(
    bytes: Vec<u8>,
    name: &str,
    kind: DocumentKind,
    budget: &mut Budget,
) -> Result<Extraction, ReadError> {
    read(Cursor::new(bytes), name, kind, budget)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;
    use std::io::Write as _;

    fn tape_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_all(name: &str, bytes: Vec<u8>, kind: DocumentKind) -> Result<Extraction, ReadError> {
        let mut budget = Budget::new(bytes.len() as u64);
        read_bytes(bytes, name, kind, &mut budget)
    }

    #[test]
    fn members_are_read_as_the_documents_they_are() {
        let inner = package(&[("deep/notes.txt", "in the inner one")]);
        let members: [(&str, &[u8]); 7] = [
            ("a/report.md", b"# Title\n\ntext"),
            ("photo.png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0"),
            ("__MACOSX/._report.md", b"noise"),
            ("a/.hidden.txt", b"noise"),
            ("inner.zip", &inner),
            ("empty.txt", b""),
            ("page.dat", b"<!DOCTYPE html><p>a page"),
        ];
        let expected = "# a/report.md\n\n## Title\n\n¶ text\n\n- photo.png\n\n# inner.zip\n\n## deep/notes.txt\n\n\
                        ¶ in the inner one\n\n- empty.txt\n\n# page.dat\n\n¶ a page";
        let plain = tape_of(&members);
        let bzip = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        };
        let cases = [
            ("x.zip", package(&members), DocumentKind::Zip),
            ("x.tgz", gzip(&plain), DocumentKind::Tar),
            ("x.tar.bz2", bzip, DocumentKind::Tar),
            ("x.tar", plain, DocumentKind::Tar),
        ];
        for (name, bytes, kind) in cases {
            let extraction = read_all(name, bytes, kind).unwrap();
            assert_eq!(sketch(&extraction), expected, "{name}");
            let pages: Vec<_> = extraction.pages.iter().filter_map(|page| page.number).collect();
            assert_eq!(pages, [1, 2, 3, 4, 5], "{name}");
        }
        let single = read_all("report.md.gz", gzip(b"# One"), DocumentKind::Tar).unwrap();
        assert_eq!(sketch(&single), "# report.md\n\n## One");
    }

    #[test]
    fn a_locked_archive_opens_with_its_password_only() {
        let cases: [(&[u8], DocumentKind); 2] = [
            (include_bytes!("../tests/data/locked.zip"), DocumentKind::Zip),
            (include_bytes!("../tests/data/locked.7z"), DocumentKind::SevenZ),
        ];
        for (bytes, kind) in cases {
            let read = |password: Option<&str>| {
                let mut budget = Budget::new(bytes.len() as u64);
                unlock(Cursor::new(bytes), "locked", kind, &mut budget, password)
            };
            for wrong in [None, Some(""), Some("Secret")] {
                assert!(
                    matches!(read(wrong), Err(ReadError::PasswordNeeded)),
                    "{kind:?} {wrong:?}"
                );
            }
            let text = "# note.txt\n\n¶ The heron is kept in a locked archive.";
            assert_eq!(sketch(&read(Some("secret")).unwrap()), text, "{kind:?}");
        }
    }

    #[test]
    fn names_in_old_encodings_are_read() {
        // The name is written in place of one of the same length: zip writers know UTF-8 only.
        let mut bytes = package(&[("aaaaaaaaaaaaaaaaaaaaaaaa.txt", "text")]);
        let name = encoding_rs::GBK.encode("二零二四年度财务审计报告").0.into_owned();
        let places: Vec<_> =
            (0..bytes.len() - 24).filter(|at| bytes[*at..].starts_with(&[b'a'; 24])).collect();
        assert_eq!(places.len(), 2);
        for at in places {
            bytes[at..at + 24].copy_from_slice(&name);
        }
        let extraction = read_all("x.zip", bytes, DocumentKind::Zip).unwrap();
        assert_eq!(sketch(&extraction), "# 二零二四年度财务审计报告.txt\n\n¶ text");
    }

    #[test]
    fn bombs_end_at_the_limits() {
        // A member that unpacks to far more than its archive.
        let bomb = package(&[("first.txt", b"kept".to_vec()), ("zeros.txt", vec![b' '; 80 << 20])]);
        let extraction = read_all("x.zip", bomb, DocumentKind::Zip).unwrap();
        assert_eq!(sketch(&extraction), "# first.txt\n\n¶ kept");
        assert!(extraction.warnings[0].contains("too big"), "{:?}", extraction.warnings);

        // Archives inside of archives, one in the other.
        let mut nested = package(&[("core.txt", "core")]);
        for depth in 0..12 {
            nested = package(&[
                ("inner.zip", nested),
                ("beside.txt", format!("level {depth}").into_bytes()),
            ]);
        }
        let extraction = read_all("x.zip", nested, DocumentKind::Zip).unwrap();
        assert!(extraction.text.contains("level 11") && !extraction.text.contains("core"));
        assert!(extraction.warnings[0].contains("too deep"), "{:?}", extraction.warnings);

        // The same for a compressed tape.
        let tape = gzip(&tape_of(&[("a.txt", b"kept"), ("b.txt", &vec![b' '; 80 << 20])]));
        let extraction = read_all("x.tgz", tape, DocumentKind::Tar).unwrap();
        assert!(extraction.text.contains("kept") && !extraction.warnings.is_empty());
    }

    #[test]
    fn a_broken_member_costs_only_itself() {
        let bytes =
            package(&[("a.docx", b"PK\x03\x04 cut".to_vec()), ("b.txt", b"whole".to_vec())]);
        let extraction = read_all("x.zip", bytes, DocumentKind::Zip).unwrap();
        assert_eq!(sketch(&extraction), "- a.docx\n\n# b.txt\n\n¶ whole");
        assert!(extraction.warnings[0].starts_with("a.docx: "), "{:?}", extraction.warnings);
        assert!(matches!(
            read_all("x.zip", b"PK\x03\x04 cut".to_vec(), DocumentKind::Zip),
            Err(ReadError::Damaged(_))
        ));
    }
}
