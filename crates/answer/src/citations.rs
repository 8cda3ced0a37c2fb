//! The citation markers of an answer: `[n]`, where n is the number of a source.
//!
//! A model writes them in many ways and makes numbers up. [`CitationStream`]
//! turns its stream into text in which a marker is always `[n]` with a source
//! that exists; [`markers`] finds them again.

use std::ops::Range;

/// Words that models put before a source's number.
const LABELS: &[&str] = &[
    "source",
    "sources",
    "passage",
    "passages",
    "document",
    "documents",
    "doc",
    "docs",
    "ref",
    "reference",
    "citation",
    "no",
    "来源",
    "资料",
    "文档",
    "文献",
    "出处",
    "引用",
    "参考",
    "段落",
];
/// What stands for a number when a model copies the instruction.
const PLACEHOLDERS: &[&str] = &["n", "m", "number", "#"];
/// A bracket that is not closed after so many characters is not a marker.
const LONGEST_MARKER: usize = 40;
/// "[1-9]" is a range of sources, "[1-99]" is not.
const LONGEST_RANGE: usize = 10;
/// Sentences shorter than this may be said twice ("Yes.").
const SHORTEST_LOOP: usize = 12;
/// The longest stretch, in characters, that is recognised when it comes three times on end.
const LONGEST_PERIOD: usize = 160;

/// What a bracket at the start of a text is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bracket {
    /// More text is needed to tell.
    Open,
    /// Ordinary text.
    Other,
    /// A marker of these numbers (none for a placeholder), so many bytes long.
    Marker(Vec<usize>, usize),
}

/// Looks at `text`, which starts with `[` or `【`; both may be doubled.
pub(crate) fn bracket(text: &str) -> Bracket {
    let is_open = |c: char| matches!(c, '[' | '【');
    let is_close = |c: char| matches!(c, ']' | '】');
    let depth = text.chars().take(2).take_while(|&c| is_open(c)).count();
    let inner = text.trim_start_matches(is_open);
    let opened = text.len() - inner.len();
    let end = inner.find(is_close);
    let body = &inner[..end.unwrap_or(inner.len())];
    if text.chars().take_while(|&c| is_open(c)).count() > 2 || body.chars().count() > LONGEST_MARKER
    {
        return Bracket::Other;
    }
    let Some(numbers) = read_body(body, end.is_some()) else { return Bracket::Other };
    let Some(end) = end else { return Bracket::Open };
    let mut length = opened + end;
    for _ in 0..depth {
        match text[length..].chars().next() {
            None => return Bracket::Open,
            Some(c) if is_close(c) => length += c.len_utf8(),
            Some(_) => return Bracket::Other,
        }
    }
    Bracket::Marker(numbers, length)
}

/// The numbers in a marker's body; `None` if it is no marker's. The last word of
/// a body that is not `complete` may be the beginning of one.
fn read_body(body: &str, complete: bool) -> Option<Vec<usize>> {
    let mut numbers: Vec<usize> = Vec::new();
    let mut named = false;
    let mut range_from = None;
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let same_kind = |other: char| match c {
            _ if c.is_ascii_digit() => other.is_ascii_digit(),
            _ if c.is_alphabetic() => other.is_alphabetic(),
            _ => false,
        };
        let length = rest.find(|other| !same_kind(other)).unwrap_or(rest.len()).max(c.len_utf8());
        let (token, after) = rest.split_at(length);
        let is_cut = after.is_empty() && !complete;
        rest = after;
        if c.is_ascii_digit() {
            // A number that is too large is one that does not exist.
            numbers.push(token.parse().unwrap_or(usize::MAX));
            if let Some(from) = range_from.take().filter(|_| !is_cut) {
                let last = numbers.pop().unwrap_or(from);
                numbers.extend(if last > from && last - from < LONGEST_RANGE {
                    from + 1..=last
                } else {
                    last..=last
                });
            }
        } else if c.is_alphabetic() || c == '#' {
            let word = token.to_lowercase();
            let known = |other: &&str| **other == word || is_cut && other.starts_with(&word);
            if LABELS.iter().chain(PLACEHOLDERS).any(known) {
                named = true;
            } else if numbers.is_empty() || !known(&"and") {
                return None;
            }
        } else if "-–~".contains(c) {
            range_from = numbers.last().copied();
        } else if !" ,;、，；&^:：.".contains(c) {
            return None;
        }
    }
    // "[ ]" is a box to tick.
    (!complete || named || !numbers.is_empty()).then_some(numbers)
}

/// Follows whether text is inside Markdown code, where brackets are not markers.
#[derive(Debug, Clone, Copy, Default)]
struct Code {
    fenced: bool,
    inline: bool,
    backticks: usize,
}

impl Code {
    fn next(&mut self, c: char) {
        if c == '`' {
            self.backticks += 1;
            return;
        }
        self.settle();
        if c == '\n' {
            self.inline = false;
        }
    }

    /// Takes a finished run of backticks into account.
    fn settle(&mut self) {
        match self.backticks {
            0 => {}
            1 | 2 => self.inline = !self.inline && !self.fenced,
            _ => (self.fenced, self.inline) = (!self.fenced, false),
        }
        self.backticks = 0;
    }

    fn is_inside(&self) -> bool {
        self.fenced || self.inline
    }
}

/// The markers in a clean text: their places in bytes and their numbers, in order.
pub fn markers(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut code = Code::default();
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        if at < skip_to {
            continue;
        }
        code.next(c);
        if c == '[' && !code.is_inside() {
            let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let end = at + 1 + digits;
            if text[end..].starts_with(']')
                && let Ok(n) = text[at + 1..end].parse()
            {
                found.push((at..end + 1, n));
                skip_to = end + 1;
            }
        }
    }
    found
}

/// Whether what follows `text` would be inside Markdown code.
pub(crate) fn ends_in_code(text: &str) -> bool {
    let mut code = Code::default();
    text.chars().for_each(|c| code.next(c));
    code.settle();
    code.is_inside()
}

/// Cleans the stream of a model's reply.
///
/// What goes in comes out again at once, except for a bracket that may still
/// become a marker and the white space before it. Markers of every form become
/// `[n]`, once each; numbers without a source and placeholders vanish with the
/// space before them. Brackets in Markdown code are left alone.
#[derive(Debug, Clone)]
pub struct CitationStream {
    sources: usize,
    text: String,
    held: String,
    code: Code,
    /// Markers that were written since the last other text.
    run: Vec<usize>,
    /// Whether a marker vanished right before the held white space.
    vanished: bool,
}

impl CitationStream {
    /// A stream whose sources are numbered `1..=sources`.
    pub fn new(sources: usize) -> Self {
        Self {
            sources,
            text: String::new(),
            held: String::new(),
            code: Code::default(),
            run: Vec::new(),
            vanished: false,
        }
    }

    /// Takes a piece of the reply and returns the clean text that is certain now.
    pub fn push(&mut self, delta: &str) -> &str {
        let before = self.text.len();
        for c in delta.chars() {
            self.held.push(c);
            self.advance(false);
        }
        &self.text[before..]
    }

    /// Ends the reply and returns what was still held back.
    pub fn finish(&mut self) -> &str {
        let before = self.text.len();
        self.advance(true);
        &self.text[before..]
    }

    /// All clean text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the reply has begun to repeat itself, as a byte offset in
    /// [`Self::text`]: what stands before it is to be kept. A repetition is a
    /// sentence or line that was said before, or a stretch that comes three
    /// times on end, and that is not code.
    pub fn repetition(&self) -> Option<usize> {
        repetition(&self.text)
    }

    fn advance(&mut self, at_end: bool) {
        loop {
            let start = self.held.find(|c: char| !c.is_whitespace()).unwrap_or(self.held.len());
            let Some(c) = self.held[start..].chars().next() else {
                if at_end {
                    // White space at the end says nothing.
                    self.held.clear();
                } else if self.held.len() > 64 {
                    self.release(self.held.len());
                }
                return;
            };
            let mut code = self.code;
            code.settle();
            if !matches!(c, '[' | '【') || code.is_inside() {
                self.release(start + c.len_utf8());
                continue;
            }
            match bracket(&self.held[start..]) {
                Bracket::Open if !at_end => return,
                Bracket::Open | Bracket::Other => self.release(start + c.len_utf8()),
                Bracket::Marker(numbers, length) => {
                    let space = self.held[..start].to_owned();
                    self.held.drain(..start + length);
                    self.mark(numbers, &space);
                }
            }
        }
    }

    /// Writes `length` bytes of what is held as ordinary text.
    fn release(&mut self, length: usize) {
        let piece: String = self.held.drain(..length).collect();
        let mut rest = piece.as_str();
        if self.vanished {
            let word = rest.trim_start_matches(' ');
            let closes = word.starts_with([
                '.', ',', ';', ':', '!', '?', '。', '，', '；', '：', '！', '？', ')', '）',
            ]);
            let apart = closes || self.text.is_empty() || self.text.ends_with(char::is_whitespace);
            // At most one of the spaces around the marker stays.
            rest =
                &rest[rest.len() - word.len() - usize::from(!apart && rest.len() > word.len())..];
        }
        for c in rest.chars() {
            self.code.next(c);
        }
        self.text.push_str(rest);
        self.run.clear();
        self.vanished = false;
    }

    fn mark(&mut self, mut numbers: Vec<usize>, space: &str) {
        let run = &mut self.run;
        numbers.retain(|n| {
            (1..=self.sources).contains(n) && !run.contains(n) && {
                run.push(*n);
                true
            }
        });
        if numbers.is_empty() {
            // The space that was held belongs to what comes next.
            self.held.insert_str(0, space);
            self.vanished = true;
            return;
        }
        let space = if self.vanished && space.starts_with("  ") { " " } else { space };
        for c in space.chars() {
            self.code.next(c);
        }
        self.code.settle();
        self.text.push_str(space);
        for n in numbers {
            self.text.push_str(&format!("[{n}]"));
        }
        self.vanished = false;
    }
}

/// See [`CitationStream::repetition`].
pub(crate) fn repetition(text: &str) -> Option<usize> {
    let mut plain = String::with_capacity(text.len());
    let mut offsets = Vec::with_capacity(text.len());
    let marked = markers(text);
    for (at, c) in text.char_indices() {
        if !marked.iter().any(|(range, _)| range.contains(&at)) {
            plain.push(c);
            offsets.push(at);
        }
    }
    let chars: Vec<char> = plain.chars().collect();
    let mut said: Vec<String> = Vec::new();
    let ranges = lectern_domain::sentences(&plain);
    for (index, range) in ranges.iter().enumerate() {
        let sentence = &chars[range.start as usize..range.end as usize];
        // The last one may go on and become another.
        let complete =
            index + 1 < ranges.len() || sentence.last().is_some_and(|c| ".!?。！？".contains(*c));
        let words: String = sentence
            .iter()
            .filter(|c| c.is_alphanumeric())
            .flat_map(|c| c.to_lowercase())
            .collect();
        let weight: usize =
            words.chars().map(|c| if lectern_domain::is_cjk(c) { 2 } else { 1 }).sum();
        if !complete || weight < SHORTEST_LOOP {
            continue;
        }
        if said.contains(&words) && !ends_in_code(&text[..offsets[range.start as usize]]) {
            return Some(offsets[range.start as usize]);
        }
        said.push(words);
    }
    if ends_in_code(text) {
        return None;
    }
    (6..=LONGEST_PERIOD.min(chars.len() / 3))
        .find(|&period| {
            let tail = &chars[chars.len() - 2 * period..];
            let distinct = tail[period..].iter().any(|c| c.is_alphanumeric());
            distinct && tail.iter().zip(&chars[chars.len() - 3 * period..]).all(|(a, b)| a == b)
        })
        .map(|period| offsets[chars.len() - 2 * period])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cleans `reply` in pieces of `size` characters.
    fn clean(reply: &str, size: usize) -> String {
        let mut stream = CitationStream::new(3);
        let chars: Vec<char> = reply.chars().collect();
        let mut out = String::new();
        for piece in chars.chunks(size) {
            out.push_str(stream.push(&piece.iter().collect::<String>()));
        }
        out.push_str(stream.finish());
        assert_eq!(out, stream.text());
        out
    }

    #[test]
    fn leaves_only_valid_markers_however_the_reply_is_cut() {
        let cases = [
            ("It is red. [1]", "It is red. [1]"),
            ("It is red [1].", "It is red [1]."),
            ("Both [1, 2].", "Both [1][2]."),
            ("Both [1][2].", "Both [1][2]."),
            ("Both [1] [1] [2].", "Both [1] [2]."),
            ("All [1-3].", "All [1][2][3]."),
            ("One [1 and 3].", "One [1][3]."),
            ("One [Source 1].", "One [1]."),
            ("Two [Sources 1, 2].", "Two [1][2]."),
            ("One [source: 2].", "One [2]."),
            ("One [[2]].", "One [2]."),
            ("One [^2].", "One [2]."),
            ("金额是三万元【1】。", "金额是三万元[1]。"),
            ("金额【来源2】。", "金额[2]。"),
            ("金额[来源 1、3]。", "金额[1][3]。"),
            ("Nine [9].", "Nine."),
            ("Nine [9] and one [1].", "Nine and one [1]."),
            ("Some [1, 9].", "Some [1]."),
            ("Zero [0] here", "Zero here"),
            ("Year [2024].", "Year."),
            ("Copied [n].", "Copied."),
            ("Copied [source n].", "Copied."),
            ("Copied [source].", "Copied."),
            ("At the end [7]", "At the end"),
            ("A [link](https://example.org/) stays.", "A [link](https://example.org/) stays."),
            ("- [ ] to do", "- [ ] to do"),
            ("[note] stays", "[note] stays"),
            ("An open [1", "An open [1"),
            ("Code `a[7]` and `b[1]` stay [1].", "Code `a[7]` and `b[1]` stay [1]."),
            ("```\nx[0] = y[9]\n```\nDone [2].", "```\nx[0] = y[9]\n```\nDone [2]."),
            ("Two  spaces\n\nand lines [1]\n", "Two  spaces\n\nand lines [1]"),
            ("Deep [[[1]]].", "Deep [[1]]."),
            ("Half [[1] more", "Half [[1] more"),
            ("A range 【1–2】 and [3-1].", "A range [1][2] and [3][1]."),
            ("[99999999999999999999999] big", "big"),
        ];
        for (reply, expected) in cases {
            for size in [1, 2, 3, 7, 100] {
                assert_eq!(clean(reply, size), expected, "{reply:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn holds_back_nothing_but_what_may_become_a_marker() {
        let cases = [
            ("Hello", "Hello"),
            ("Hello ", "Hello"),
            ("Hello [", "Hello"),
            ("Hello [1", "Hello"),
            ("Hello [1]", "Hello [1]"),
            ("Hello [x", "Hello [x"),
            ("Hello [sou", "Hello"),
            ("Hello [soup", "Hello [soup"),
        ];
        for (reply, expected) in cases {
            let mut stream = CitationStream::new(3);
            assert_eq!(stream.push(reply), expected, "{reply:?}");
        }
    }

    #[test]
    fn notices_that_a_reply_repeats_itself() {
        let cases = [
            ("The fee is ten euros. It is due in May.", None),
            ("Yes. Yes.", None),
            (
                "The fee is ten euros. [1] The fee is ten euros. [1]",
                Some("The fee is ten euros. [1] "),
            ),
            ("费用是十欧元整。[1]费用是十欧元整。", Some("费用是十欧元整。[1]")),
            ("The fee is ten euros. The fee is ten", None),
            ("and so on and so on and so on ", Some("and so on ")),
            ("--------------------------------", None),
            ("```\nreturn nothing at all\nreturn nothing at all\n```\n", None),
        ];
        for (text, kept) in cases {
            assert_eq!(repetition(text).map(|at| &text[..at]), kept, "{text:?}");
        }
    }

    #[test]
    fn finds_markers_outside_of_code() {
        let found: Vec<usize> =
            markers("a [1] `b[2]` c[3] [x] [] [4").into_iter().map(|(_, n)| n).collect();
        assert_eq!(found, [1, 3]);
    }
}
