//! Rich Text Format (version 1.9.1 of Microsoft's specification).

use encoding_rs::{Encoding, WINDOWS_1252};
use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::ReadError;
use crate::compose::{Composer, DraftBlock, collapse, table_text};

/// Groups nested deeper than this are taken for an attack.
const MAX_GROUPS: usize = 2000;

pub(crate) fn read(bytes: &[u8]) -> Result<Extraction, ReadError> {
    if !bytes.starts_with(b"{\\rtf") {
        return Err(ReadError::Damaged("it does not begin as RTF does".to_owned()));
    }
    let mut reader = Reader::default();
    reader.read(bytes)?;
    let mut composer = Composer::default();
    composer.title = Some(reader.title);
    composer.blocks(&reader.blocks);
    composer.finish(DocumentKind::Rtf)
}

/// What a group's text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Destination {
    #[default]
    Body,
    Skipped,
    Fonts,
    Title,
    /// A footnote or comment: read where it stands, and set off.
    Note,
    /// The label that a numbered paragraph shows.
    Label,
}

/// What a group keeps for itself.
#[derive(Debug, Clone, Copy)]
struct State {
    destination: Destination,
    /// The encoding of `\'xx`; `None` follows the document's.
    font_encoding: Option<&'static Encoding>,
    /// How many characters stand for a `\u` in old programs.
    fallback: usize,
    hidden: bool,
}

#[derive(Default)]
struct Reader {
    blocks: Vec<DraftBlock>,
    text: String,
    label: String,
    title: String,
    /// The outline level of the paragraph, 1 to 9.
    outline: u8,
    listed: bool,
    in_table: bool,
    cells: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Bytes of `\'xx` and plain text that are still to be decoded: characters have several.
    pending: Vec<u8>,
    document_encoding: Option<&'static Encoding>,
    fonts: Vec<(i32, Option<&'static Encoding>)>,
    font: i32,
    /// The first half of a character beyond the basic plane.
    high: Option<u16>,
    /// How many characters to leave out after a `\u`.
    skip: usize,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let mut state = State {
            destination: Destination::Body,
            font_encoding: None,
            fallback: 1,
            hidden: false,
        };
        let mut stack: Vec<State> = Vec::new();
        let mut at = 0;
        let mut fresh = false;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            let first = std::mem::take(&mut fresh);
            match byte {
                b'{' => {
                    self.decode(state);
                    if stack.len() >= MAX_GROUPS {
                        return Err(ReadError::Damaged(
                            "its groups are nested too deeply".to_owned(),
                        ));
                    }
                    stack.push(state);
                    self.skip = 0;
                    fresh = true;
                }
                b'}' => {
                    self.decode(state);
                    self.skip = 0;
                    let inner = state;
                    let Some(outer) = stack.pop() else { break };
                    state = outer;
                    if inner.destination == Destination::Note
                        && state.destination != Destination::Note
                    {
                        self.text.push(']');
                    }
                }
                b'\\' => {
                    let Some(&next) = bytes.get(at) else { break };
                    if next.is_ascii_alphabetic() {
                        let (word, number, end) = control_word(bytes, at);
                        at = end;
                        if word == b"bin" {
                            at = at
                                .saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0));
                            continue;
                        }
                        self.word(word, number, &mut state, first);
                        continue;
                    }
                    at += 1;
                    match next {
                        b'\'' => {
                            let hex =
                                bytes.get(at..at + 2).and_then(|hex| std::str::from_utf8(hex).ok());
                            let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                            at += 2;
                            if self.skip > 0 {
                                self.skip -= 1;
                            } else {
                                self.pending.extend(code);
                            }
                        }
                        b'*' => {
                            // A destination that may be unknown: those we know come next.
                            let known: [&[u8]; 4] =
                                [b"\\shppict", b"\\shptxt", b"\\footnote", b"\\annotation"];
                            if !known.iter().any(|word| bytes[at..].starts_with(word)) {
                                state.destination = Destination::Skipped;
                            }
                            fresh = true;
                        }
                        b'~' | b'_' => {
                            self.decode(state);
                            self.push(if next == b'~' { ' ' } else { '-' }, state);
                        }
                        b'\n' | b'\r' => self.end_paragraph(state),
                        b'{' | b'}' | b'\\' => {
                            if self.skip > 0 {
                                self.skip -= 1;
                            } else {
                                self.pending.push(next);
                            }
                        }
                        _ => {}
                    }
                }
                b'\r' | b'\n' | 0 => {}
                byte => {
                    if self.skip > 0 {
                        self.skip -= 1;
                    } else {
                        self.pending.push(byte);
                    }
                }
            }
        }
        self.decode(state);
        self.end_paragraph(State { destination: Destination::Body, ..state });
        self.end_table();
        Ok(())
    }

    fn word(&mut self, word: &[u8], number: Option<i32>, state: &mut State, first: bool) {
        self.decode(*state);
        let on = number != Some(0);
        match word {
            b"ansicpg" => self.document_encoding = number.and_then(encoding_of_page),
            b"mac" => self.document_encoding = Some(encoding_rs::MACINTOSH),
            b"u" => {
                // Negative numbers are how signed sixteen bits write the upper half.
                let unit = number.unwrap_or(0) as u16;
                match (self.high.take(), unit) {
                    (_, 0xD800..=0xDBFF) => self.high = Some(unit),
                    (Some(high), low @ 0xDC00..=0xDFFF) => {
                        let both = char::decode_utf16([high, low]).next();
                        self.push(both.and_then(Result::ok).unwrap_or('\u{FFFD}'), *state);
                    }
                    (_, unit) => {
                        if let Some(c) = char::from_u32(unit.into()) {
                            self.push(c, *state);
                        }
                    }
                }
                self.skip = state.fallback;
            }
            b"uc" => state.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            b"upr" => {}
            b"ud" => state.destination = Destination::Body,
            b"par" | b"sect" | b"page" => self.end_paragraph(*state),
            b"line" => self.push('\n', *state),
            b"tab" => self.push('\t', *state),
            b"emdash" => self.push('—', *state),
            b"endash" => self.push('–', *state),
            b"lquote" => self.push('‘', *state),
            b"rquote" => self.push('’', *state),
            b"ldblquote" => self.push('“', *state),
            b"rdblquote" => self.push('”', *state),
            b"bullet" => self.push('•', *state),
            b"emspace" | b"enspace" | b"qmspace" => self.push(' ', *state),
            b"plain" => {
                state.hidden = false;
                state.font_encoding = None;
            }
            b"v" => state.hidden = on,
            b"deleted" => state.hidden = on,
            b"f" if state.destination == Destination::Fonts => {
                self.font = number.unwrap_or(0);
                self.fonts.push((self.font, None));
            }
            b"fcharset" if state.destination == Destination::Fonts => {
                if let Some((_, encoding)) = self.fonts.last_mut() {
                    *encoding = number.and_then(encoding_of_charset);
                }
            }
            b"cpg" if state.destination == Destination::Fonts => {
                if let Some((_, encoding)) = self.fonts.last_mut() {
                    *encoding = number.and_then(encoding_of_page);
                }
            }
            b"f" => {
                let font = number.unwrap_or(0);
                let known = self.fonts.iter().rev().find(|(id, _)| *id == font);
                state.font_encoding = known.and_then(|(_, encoding)| *encoding);
            }
            b"pard" => {
                self.outline = 0;
                self.listed = false;
                self.in_table = false;
            }
            b"intbl" => self.in_table = true,
            b"ls" | b"pnlvlblt" | b"pnlvlbody" => self.listed = true,
            b"outlinelevel" => {
                let level = u8::try_from(number.unwrap_or(9)).unwrap_or(9);
                self.outline = if level < 9 { level + 1 } else { 0 };
            }
            b"cell" | b"nestcell" => {
                let text = collapse(&std::mem::take(&mut self.text));
                let label = std::mem::take(&mut self.label);
                self.cells.push(format!("{label}{text}"));
            }
            b"row" | b"nestrow" => {
                let cells = std::mem::take(&mut self.cells);
                self.rows.push(cells);
            }
            // Destinations, which open their groups.
            b"fonttbl" => state.destination = Destination::Fonts,
            b"title" if first => state.destination = Destination::Title,
            b"footnote" | b"annotation" if state.destination == Destination::Body => {
                state.destination = Destination::Note;
                self.text.push_str(" [");
            }
            b"pntext" | b"listtext" => state.destination = Destination::Label,
            b"fldinst" | b"colortbl" | b"stylesheet" | b"info" | b"pict" | b"object"
            | b"objdata" | b"header" | b"headerl" | b"headerr" | b"headerf" | b"footer"
            | b"footerl" | b"footerr" | b"footerf" | b"listtable" | b"listoverridetable"
            | b"rsidtbl" | b"generator" | b"xmlnstbl" | b"themedata" | b"datastore"
            | b"latentstyles" | b"filetbl" | b"revtbl" | b"nonshppict" | b"bkmkstart"
            | b"bkmkend" | b"ftnsep" | b"ftnsepc" | b"aftnsep" | b"author" | b"operator"
            | b"nonesttables" | b"sp" | b"tc" | b"xe" | b"atnid" | b"atnauthor" | b"atnref"
            | b"template" | b"mmath" | b"pgptbl" | b"userprops" => {
                state.destination = Destination::Skipped;
            }
            _ => {}
        }
    }

    fn push(&mut self, c: char, state: State) {
        if state.hidden {
            return;
        }
        match state.destination {
            Destination::Body | Destination::Note => self.text.push(c),
            Destination::Title => self.title.push(c),
            Destination::Label => self.label.push(c),
            Destination::Skipped | Destination::Fonts => {}
        }
    }

    /// Decodes the bytes that came together, as the font or the document says.
    fn decode(&mut self, state: State) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let encoding = state.font_encoding.or(self.document_encoding).unwrap_or(WINDOWS_1252);
        let (text, _) = encoding.decode_without_bom_handling(&pending);
        for c in text.chars() {
            self.push(c, state);
        }
    }

    fn end_paragraph(&mut self, state: State) {
        self.decode(state);
        if !matches!(state.destination, Destination::Body) || self.in_table {
            if matches!(state.destination, Destination::Body | Destination::Note) {
                self.text.push(' ');
            }
            return;
        }
        let text = std::mem::take(&mut self.text);
        let label = collapse(&std::mem::take(&mut self.label));
        self.end_table();
        if text.trim().is_empty() {
            return;
        }
        let numbered = label.chars().any(char::is_alphanumeric);
        let text = if numbered { format!("{label} {}", text.trim_start()) } else { text };
        let kind = match self.outline {
            1.. => BlockKind::Heading(self.outline.min(6)),
            _ if numbered || self.listed || !label.is_empty() => BlockKind::ListItem,
            _ => BlockKind::Paragraph,
        };
        let heading = matches!(kind, BlockKind::Heading(_));
        self.blocks.push(DraftBlock::new(kind, if heading { collapse(&text) } else { text }));
    }

    fn end_table(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
        }
    }
}

/// The control word at `at`, its number, and where what follows begins: one blank belongs to it.
fn control_word(bytes: &[u8], at: usize) -> (&[u8], Option<i32>, usize) {
    let letters = bytes[at..].iter().take(32).take_while(|b| b.is_ascii_alphabetic()).count();
    let mut end = at + letters;
    let word = &bytes[at..end];
    let negative = bytes.get(end) == Some(&b'-');
    let from = end + usize::from(negative);
    let digits =
        bytes[from.min(bytes.len())..].iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    let mut number = None;
    if digits > 0 {
        end = from + digits;
        let text = std::str::from_utf8(&bytes[from..end]).unwrap_or_default();
        let value: i64 = text.parse().unwrap_or(0);
        number = i32::try_from(if negative { -value } else { value }).ok();
    }
    if bytes.get(end) == Some(&b' ') {
        end += 1;
    }
    (word, number, end)
}

/// The encoding of a Windows code page.
fn encoding_of_page(page: i32) -> Option<&'static Encoding> {
    Some(match page {
        437 | 850 | 1252 => WINDOWS_1252,
        866 => encoding_rs::IBM866,
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        10000 => encoding_rs::MACINTOSH,
        54936 => encoding_rs::GB18030,
        65001 => encoding_rs::UTF_8,
        _ => return None,
    })
}

/// The encoding of a font's character set; the default set follows the document.
fn encoding_of_charset(charset: i32) -> Option<&'static Encoding> {
    encoding_of_page(match charset {
        0 => 1252,
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    fn escaped(text: &str, encoding: &'static Encoding) -> String {
        encoding.encode(text).0.iter().map(|byte| format!("\\'{byte:02x}")).collect()
    }

    #[test]
    fn reads_what_a_word_processor_shows() {
        let gbk = escaped("合同金额", encoding_rs::GBK);
        let russian = escaped("договор", encoding_rs::WINDOWS_1251);
        let cases = [
            (r"{\rtf1\ansi Hello, {\b bold} world.\par Next\line line\par}".to_owned(), "¶ Hello, bold world.\n\n¶ Next\nline"),
            (format!(r"{{\rtf1\ansi\ansicpg936 {gbk}\par}}"), "¶ 合同金额"),
            (
                format!(r"{{\rtf1\ansi\ansicpg1252{{\fonttbl{{\f0 Arial;}}{{\f1\fcharset134 SimSun;}}{{\f2\fcharset204 Arial Cyr;}}}}\f1 {gbk}\f0  caf\'e9 {{\f2 {russian}}} fin\'e9\par}}"),
                "¶ 合同金额 café договор finé",
            ),
            (r"{\rtf1\ansi\uc1 \u21512?\u21516? \u-10179?\u-8704? {\uc2 \u233\'81\'5c}x\par}".to_owned(), "¶ 合同 😀 éx"),
            (
                r"{\rtf1{\*\generator Some program;}{\info{\title The title}{\author A}}{\stylesheet{\s1 heading;}}\pard\outlinelevel0 Head\par\pard body\par}".to_owned(),
                "# Head\n\n¶ body",
            ),
            (
                r"{\rtf1 before\par\trowd\pard\intbl a\cell b\par c\cell\row\trowd\pard\intbl 1\cell 2\cell\row\pard after\par}".to_owned(),
                "¶ before\n\n▦ a | b c\n1 | 2\n\n¶ after",
            ),
            (r"{\rtf1{\pntext 1.\tab}\pard\ls1 one\par{\listtext\bullet\tab}two\par\pard three\par}".to_owned(), "- 1. one\n\n- two\n\n¶ three"),
            (r"{\rtf1 text{\footnote The note.} goes on\par{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}{\v hidden}\par}".to_owned(), "¶ text [The note.] goes on\n\n¶ link"),
            (r"{\rtf1 a{\pict\bin3 }}}}b\'7d\{c\}\~d\par}".to_owned(), "¶ ab}{c} d"),
        ];
        for (source, expected) in cases {
            assert_eq!(sketch(&read(source.as_bytes()).unwrap()), expected, "{source}");
        }
    }

    #[test]
    fn the_title_is_found_and_broken_files_do_no_harm() {
        let source = r"{\rtf1{\info{\title Rules}}text";
        assert_eq!(read(source.as_bytes()).unwrap().title.as_deref(), Some("Rules"));
        assert!(read(br"{\rtf1 a}}}} b\par").is_ok());
        assert!(matches!(read(b"plain"), Err(ReadError::Damaged(_))));
        let deep = [b"{\\rtf1".to_vec(), b"{".repeat(100_000)].concat();
        assert!(matches!(read(&deep), Err(ReadError::Damaged(_))));
    }
}
