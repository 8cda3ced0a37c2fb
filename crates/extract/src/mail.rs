//! Electronic mail: single messages (RFC 5322), mailboxes (RFC 4155), and Outlook's messages.

use std::io::{BufRead, Read as _};

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use mail_parser::{Address, Message, MessageParser, MimeHeaders as _, PartType};

use crate::compose::{Composer, DraftBlock, groups};
use crate::nested::{self, Budget};
use crate::xml::damaged;
use crate::{ReadError, html, text};

/// A message of a mailbox that is larger than this is left out.
const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// Messages inside of messages are read to this depth.
pub(crate) const MAX_INNER: usize = 3;

/// What every kind of message has.
#[derive(Debug, Default)]
pub(crate) struct Letter {
    pub subject: String,
    /// Names and values, such as `From` and who wrote it.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<DraftBlock>,
    /// File names and contents.
    pub attachments: Vec<(String, Vec<u8>)>,
    /// Messages that are sent on whole.
    pub messages: Vec<Letter>,
}

impl Letter {
    /// Adds the message: its subject is a heading of `level`, and attachments are below it.
    pub(crate) fn compose(self, composer: &mut Composer, level: u8, budget: &mut Budget) {
        composer.heading(level, &self.subject);
        let lines = self.headers.iter().filter(|(_, value)| !value.trim().is_empty());
        let lines: Vec<_> =
            lines.map(|(name, value)| format!("{name}: {}", value.trim())).collect();
        composer.block(&DraftBlock::new(BlockKind::Paragraph, lines.join("\n")));
        composer.blocks_below(level, &self.body);
        for (name, bytes) in self.attachments {
            if let Err(error) = budget.spend(bytes.len() as u64) {
                nested::warn(composer, format!("{name}: {error}"));
                continue;
            }
            nested::add(composer, level + 1, &name, bytes, budget);
        }
        for message in self.messages {
            message.compose(composer, (level + 1).min(6), budget);
        }
    }
}

pub(crate) fn read(bytes: &[u8], budget: &mut Budget) -> Result<Extraction, ReadError> {
    let mut composer = Composer::default();
    let letter = letter(bytes).ok_or_else(|| damaged("it is no message"))?;
    composer.title = Some(letter.subject.clone());
    letter.compose(&mut composer, 1, budget);
    composer.finish(DocumentKind::Eml)
}

/// Reads a mailbox as it comes. Its messages are the pages.
pub(crate) fn read_mailbox(
    mut source: impl BufRead,
    budget: &mut Budget,
) -> Result<Extraction, ReadError> {
    let mut composer = Composer::default();
    let mut number = 0u32;
    let mut message: Vec<u8> = Vec::new();
    let mut after_blank = true;
    loop {
        let mut line = Vec::new();
        let left = (MAX_MESSAGE_BYTES + 1).saturating_sub(message.len()).max(1 << 10);
        let read = source.by_ref().take(left as u64).read_until(b'\n', &mut line)?;
        let begins = after_blank && is_separator(&line);
        if (read == 0 || begins) && !message.is_empty() {
            number += 1;
            composer.begin_page(number, None);
            if message.len() > MAX_MESSAGE_BYTES {
                nested::warn(&mut composer, format!("message {number}: {}", ReadError::TooBig));
            } else if let Some(letter) = letter(&message) {
                letter.compose(&mut composer, 1, budget);
            }
            message.clear();
            if composer.is_full() {
                composer.truncate();
                break;
            }
        }
        if read == 0 {
            break;
        }
        after_blank = matches!(line.as_slice(), b"\n" | b"\r\n");
        if begins || message.len() > MAX_MESSAGE_BYTES {
            continue;
        }
        // Lines of the text that would look like the beginning of a message are quoted.
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        let quoted = marks > 0 && line[marks..].starts_with(b"From ");
        message.extend_from_slice(if quoted { &line[1..] } else { &line });
    }
    composer.finish(DocumentKind::Mbox)
}

/// `From address Mon Nov 23 10:00:00 2026`; a sentence that begins with the word has no time.
fn is_separator(line: &[u8]) -> bool {
    let time = |at: &[u8]| at[0].is_ascii_digit() && at[1] == b':' && at[2].is_ascii_digit();
    line.starts_with(b"From ") && line.windows(3).any(time)
}

fn letter(bytes: &[u8]) -> Option<Letter> {
    let message = MessageParser::default().parse(bytes)?;
    Some(letter_of(&message, 0))
}

fn letter_of(message: &Message<'_>, depth: usize) -> Letter {
    let people = |address: Option<&Address<'_>>| -> String {
        let people = address.into_iter().flat_map(|address| address.iter());
        let people = people.map(|person| match (&person.name, &person.address) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => String::new(),
        });
        people.filter(|person| !person.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let date = message.date().map(|date| date.to_rfc3339()).unwrap_or_default();
    let subject = message.subject().unwrap_or_default().to_owned();
    let headers = vec![
        ("From", people(message.from())),
        ("To", people(message.to())),
        ("Cc", people(message.cc())),
        ("Date", date),
        ("Subject", subject.clone()),
    ];
    // The HTML form keeps tables and lists; where there is none, the list names the plain form.
    let mut body = Vec::new();
    for part in message.html_bodies() {
        match &part.body {
            PartType::Html(source) => body.extend(html::fragment(source)),
            PartType::Text(text) => body.extend(plain(text)),
            _ => {}
        }
    }
    if body.is_empty() {
        for part in message.text_bodies() {
            if let PartType::Text(text) = &part.body {
                body.extend(plain(text));
            }
        }
    }
    let (mut attachments, mut messages) = (Vec::new(), Vec::new());
    for (number, part) in (1..).zip(message.attachments()) {
        let name = part.attachment_name().map(str::to_owned);
        match &part.body {
            PartType::Message(inner) if depth < MAX_INNER => {
                messages.push(letter_of(inner, depth + 1));
            }
            PartType::Message(_) => {}
            // Pictures and the like that belong to the text have no name of their own.
            PartType::InlineBinary(_) if name.is_none() => {}
            _ => {
                let name = name.unwrap_or_else(|| format!("attachment {number}"));
                attachments.push((name, part.contents().to_vec()));
            }
        }
    }
    Letter { subject, headers, body, attachments, messages }
}

/// The paragraphs of a plain body.
pub(crate) fn plain(body: &str) -> Vec<DraftBlock> {
    let body = text::lines(body.to_owned());
    let paragraphs = groups(&body, 1).into_iter();
    paragraphs.map(|(_, lines)| DraftBlock::new(BlockKind::Paragraph, lines.join("\n"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    const MESSAGE: &str = "From: =?utf-8?B?5byg5Lyf?= <zhang@example.org>\r\nTo: Ana <ana@example.org>, b@example.org\r\n\
        Subject: Order =?utf-8?Q?best=C3=A4tigt?=\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\nusPNrL3wtu4=\r\n\
        --a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h1>Bill</h1><table><tr><td>Tea<td>3.50<tr><td>Milk<td>1</table>\r\n--a--\r\n\
        --b\r\nContent-Type: text/markdown; name=terms.md\r\nContent-Disposition: attachment; filename=terms.md\r\n\r\n# Terms\n\n30 days\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\nFrom: c@example.org\r\n\r\ninner text\r\n--b--\r\n";

    #[test]
    fn a_message_is_read_with_its_attachments() {
        let extraction = read(MESSAGE.as_bytes(), &mut Budget::new(0)).unwrap();
        assert_eq!(
            sketch(&extraction),
            "# Order bestätigt\n\n¶ From: 张伟 <zhang@example.org>\nTo: Ana <ana@example.org>, b@example.org\n\
             Date: 2026-11-23T10:00:00+01:00\nSubject: Order bestätigt\n\n## Bill\n\n▦ Tea | 3.50\nMilk | 1\n\n\
             ## terms.md\n\n### Terms\n\n¶ 30 days\n\n## Inner\n\n¶ From: c@example.org\nSubject: Inner\n\n¶ inner text"
        );
    }

    #[test]
    fn the_plain_form_is_read_in_its_encoding_where_there_is_no_other() {
        let message = b"Subject: x\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n\xBA\xCF\xCD\xAC\xBD\xF0\xB6\xEE\r\n";
        let extraction = read(message, &mut Budget::new(0)).unwrap();
        assert!(extraction.text.ends_with("合同金额"), "{}", extraction.text);
    }

    #[test]
    fn messages_of_a_mailbox_are_pages() {
        let mailbox = "From a@b Mon Nov 23 10:00:00 2026\nSubject: One\n\nfirst\n>From the start\n\nFrom - Tue Nov 24 10:00:00 2026\nSubject: Two\n\nFrom here on\n";
        let extraction = read_mailbox(mailbox.as_bytes(), &mut Budget::new(0)).unwrap();
        let pages: Vec<_> = extraction.pages.iter().map(|page| page.number).collect();
        assert_eq!(pages, [Some(1), Some(2)]);
        assert_eq!(
            sketch(&extraction),
            "# One\n\n¶ Subject: One\n\n¶ first\nFrom the start\n\n# Two\n\n¶ Subject: Two\n\n¶ From here on"
        );
    }
}
