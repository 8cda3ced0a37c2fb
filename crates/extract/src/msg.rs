//! Messages as Outlook keeps them: MAPI properties in an OLE container ([MS-OXMSG]).

use std::io::{Cursor, Read as _};

use cfb::CompoundFile;
use lectern_domain::{DocumentKind, Extraction};

use crate::compose::Composer;
use crate::mail::{Letter, MAX_INNER, plain};
use crate::nested::Budget;
use crate::xml::damaged;
use crate::{ReadError, html, text};

/// A stream larger than this is left out.
const MAX_STREAM_BYTES: u64 = 128 << 20;

const SUBJECT: &str = "0037";
const BODY: &str = "1000";
const HTML: &str = "1013";
const SENDER_NAME: &str = "0C1A";
const SENDER_ADDRESS: &str = "0C1F";
const SENDER_SMTP: &str = "5D01";
const DISPLAY_TO: &str = "0E04";
const DISPLAY_CC: &str = "0E03";
const FILE_NAME: &str = "3704";
const LONG_FILE_NAME: &str = "3707";
const ATTACHED_DATA: &str = "3701";
/// When the sender pressed the button, and when it arrived: times, in the stream of fixed properties.
const SUBMITTED: u32 = 0x0039_0040;
const DELIVERED: u32 = 0x0E06_0040;

pub(crate) fn read(bytes: Vec<u8>, budget: &mut Budget) -> Result<Extraction, ReadError> {
    let mut file = CompoundFile::open(Cursor::new(bytes)).map_err(damaged)?;
    let mut composer = Composer::default();
    let letter = letter(&mut file, "/", 0);
    composer.title = Some(letter.subject.clone());
    letter.compose(&mut composer, 1, budget);
    composer.finish(DocumentKind::Msg)
}

type File = CompoundFile<Cursor<Vec<u8>>>;

/// The message whose properties lie in the storage at `path`.
fn letter(file: &mut File, path: &str, depth: usize) -> Letter {
    let value = |file: &mut File, id: &str| string(file, path, id).unwrap_or_default();
    let subject = value(file, SUBJECT);
    let name = value(file, SENDER_NAME);
    // Inside of a company the address is a path in its directory, which nobody knows.
    let addresses = [value(file, SENDER_SMTP), value(file, SENDER_ADDRESS)];
    let address = addresses.into_iter().find(|address| address.contains('@') && *address != name);
    let address = address.map(|address| format!(" <{address}>")).unwrap_or_default();
    let headers = vec![
        ("From", name + &address),
        ("To", value(file, DISPLAY_TO)),
        ("Cc", value(file, DISPLAY_CC)),
        ("Date", sent(file, path, depth > 0).unwrap_or_default()),
        ("Subject", subject.clone()),
    ];
    let page = string(file, path, HTML).or_else(|| {
        let bytes = stream(file, &format!("{path}__substg1.0_{HTML}0102"))?;
        html::decode(&bytes).ok()
    });
    let mut body = page.map(|page| html::fragment(&page)).unwrap_or_default();
    if body.is_empty() {
        body = plain(&value(file, BODY));
    }
    let storages: Vec<String> = file
        .read_storage(path)
        .map(|entries| {
            let attached = entries.filter(|entry| entry.name().starts_with("__attach_version1.0"));
            attached.map(|entry| format!("{path}{}/", entry.name())).collect()
        })
        .unwrap_or_default();
    let mut attachments = Vec::new();
    let mut messages = Vec::new();
    for (number, storage) in (1..).zip(storages) {
        let message = format!("{storage}__substg1.0_{ATTACHED_DATA}000D/");
        if let Some(bytes) = stream(file, &format!("{storage}__substg1.0_{ATTACHED_DATA}0102")) {
            let name = string(file, &storage, LONG_FILE_NAME)
                .or_else(|| string(file, &storage, FILE_NAME))
                .unwrap_or_else(|| format!("attachment {number}"));
            attachments.push((name, bytes));
        } else if depth < MAX_INNER && file.is_storage(&message) {
            messages.push(letter(file, &message, depth + 1));
        }
    }
    Letter { subject, headers, body, attachments, messages }
}

fn stream(file: &mut File, path: &str) -> Option<Vec<u8>> {
    let mut stream = file.open_stream(path).ok()?;
    if stream.len() > MAX_STREAM_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A property that is text: in Unicode, or in the encoding of the sender's computer.
fn string(file: &mut File, storage: &str, id: &str) -> Option<String> {
    let found = if let Some(bytes) = stream(file, &format!("{storage}__substg1.0_{id}001F")) {
        encoding_rs::UTF_16LE.decode_without_bom_handling(&bytes).0.into_owned()
    } else {
        let bytes = stream(file, &format!("{storage}__substg1.0_{id}001E"))?;
        text::decode(&bytes, None).ok()?
    };
    Some(found.trim_end_matches('\0').to_owned()).filter(|text| !text.trim().is_empty())
}

/// When the message was sent, as RFC 3339 writes it.
fn sent(file: &mut File, path: &str, embedded: bool) -> Option<String> {
    let bytes = stream(file, &format!("{path}__properties_version1.0"))?;
    let header = if embedded { 24 } else { 32 };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let find = |tag: u32| {
        let entries = bytes.get(header..)?.chunks_exact(16);
        let mut matching = entries.filter(|entry| number(&entry[..4]) == u64::from(tag));
        matching.next().map(|entry| number(&entry[8..]))
    };
    // Tenths of microseconds since 1601, which is 11,644,473,600 seconds before 1970.
    let ticks = find(SUBMITTED).or_else(|| find(DELIVERED))?;
    let seconds = i64::try_from(ticks / 10_000_000).ok()?.checked_sub(11_644_473_600)?;
    Some(mail_parser::DateTime::from_timestamp(seconds).to_rfc3339())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use std::io::Write as _;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_message_is_read_with_its_attachments_and_messages() {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        let mut put = |path: &str, bytes: &[u8]| {
            if let Some((storage, _)) = path.rsplit_once('/').filter(|(s, _)| !s.is_empty()) {
                file.create_storage_all(storage).unwrap();
            }
            file.create_stream(path).unwrap().write_all(bytes).unwrap();
        };
        let gbk = encoding_rs::GBK.encode("本合同由甲乙双方于北京签订，金额三万元。").0;
        put("/__substg1.0_0037001F", &utf16("Angebot für 茶"));
        put("/__substg1.0_0C1A001F", &utf16("Ana"));
        put("/__substg1.0_5D01001F", &utf16("ana@example.org"));
        put("/__substg1.0_1000001E", &gbk);
        let seconds: u64 = 1_795_428_000 + 11_644_473_600;
        let mut properties = vec![0; 32];
        properties.extend([0x40, 0, 0x39, 0, 0, 0, 0, 0]);
        properties.extend((seconds * 10_000_000).to_le_bytes());
        put("/__properties_version1.0", &properties);
        put("/__attach_version1.0_#00000000/__substg1.0_3707001F", &utf16("terms.md"));
        put("/__attach_version1.0_#00000000/__substg1.0_37010102", b"# Terms\n\n30 days");
        let inner = "/__attach_version1.0_#00000001/__substg1.0_3701000D";
        put(&format!("{inner}/__substg1.0_0037001F"), &utf16("Inner"));
        put(&format!("{inner}/__substg1.0_10130102"), b"<p>inner <b>text</b>");
        file.flush().unwrap();
        let bytes = file.into_inner().into_inner();
        let extraction = read(bytes, &mut Budget::new(0)).unwrap();
        assert_eq!(
            sketch(&extraction),
            "# Angebot für 茶\n\n¶ From: Ana <ana@example.org>\nDate: 2026-11-23T10:00:00Z\nSubject: Angebot für 茶\n\n\
             ¶ 本合同由甲乙双方于北京签订，金额三万元。\n\n## terms.md\n\n### Terms\n\n¶ 30 days\n\n\
             ## Inner\n\n¶ Subject: Inner\n\n¶ inner text"
        );
    }
}
