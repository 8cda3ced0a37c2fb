//! Cuts the canonical text into chunks.

use lectern_domain::{
    Block, BlockKind, CharRange, Chunk, Extraction, PageUnit, Section, TokenCounter, sentences,
};
use unicode_segmentation::UnicodeSegmentation;

/// How many tokens a chunk may have.
pub const CHUNK_TOKENS: usize = 220;

/// A chunk with no more than this is filled with sentences of the next paragraph rather than
/// closed before it.
const WORTH_FILLING: usize = CHUNK_TOKENS / 3;

/// Whether a tokenizer spends about one token on a character: Chinese, Japanese and Korean ones
/// with their punctuation.
pub(crate) fn is_token(c: char) -> bool {
    matches!(c,
        '\u{2E80}'..='\u{303F}' | '\u{3040}'..='\u{30FF}' | '\u{3100}'..='\u{31FF}'
        | '\u{3200}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{323AF}')
}

/// An estimate of how many tokens of a language model `text` is, without a tokenizer: a CJK
/// character is one; a run of letters is a quarter of its length, rounded up; digits are one
/// for each three; every other sign is one; white space is none. It is within a fifth of
/// the tokenizers of common embedding models on prose, and above them rather than below.
pub fn estimate_tokens(text: &str) -> usize {
    let (mut tokens, mut letters, mut digits) = (0, 0usize, 0usize);
    for c in text.chars() {
        let cjk = is_token(c);
        let letter = c.is_alphabetic() && !cjk;
        let digit = c.is_numeric() && !cjk;
        if !letter {
            tokens += std::mem::take(&mut letters).div_ceil(4);
        }
        if !digit {
            tokens += std::mem::take(&mut digits).div_ceil(3);
        }
        letters += usize::from(letter);
        digits += usize::from(digit);
        tokens += usize::from(!letter && !digit && !c.is_whitespace());
    }
    tokens + letters.div_ceil(4) + digits.div_ceil(3)
}

/// [`estimate_tokens`], for a model without a limit.
struct Estimate;

impl TokenCounter for Estimate {
    fn count_tokens(&self, text: &str) -> usize {
        estimate_tokens(text)
    }

    fn limit(&self) -> usize {
        usize::MAX
    }
}

/// The chunks of a document by the estimate of [`estimate_tokens`]; see [`chunk_by`].
pub fn chunk(extraction: &Extraction) -> Vec<Chunk> {
    chunk_by(extraction, &Estimate)
}

/// The chunks of a document, in order. Together they hold every character but white space
/// exactly once.
///
/// A chunk belongs to one slide, sheet, message or the like, and to one section: it begins with
/// the heading's own words where it is the first of its section, and never has text from behind
/// the next heading (or the end of a [`Section`], which has no words of its own). (Headings that
/// follow each other, each deeper than the one before, open one chunk together.) Blocks are
/// packed up to [`CHUNK_TOKENS`], or the limit of the model that counts where that is less; one
/// that is larger is cut between sentences, rows, items or lines, and inside of those only where
/// one of them is larger than the budget by itself.
pub fn chunk_by(extraction: &Extraction, counter: &dyn TokenCounter) -> Vec<Chunk> {
    let mut chunker = Chunker::new(extraction, counter);
    let mut at = 0;
    // What is on paper flows from page to page; slides, sheets and messages are whole by themselves.
    let unit = extraction.kind.unit();
    let separate = unit.is_some_and(|unit| unit != PageUnit::Page);
    // A book's part or a notebook's section goes on in the next chapter or cell.
    let nested = matches!(unit, Some(PageUnit::Chapter | PageUnit::Cell));
    let mut ends = extraction.pages.iter().map(|page| page.range.end).peekable();
    let sections = extraction.sections.iter();
    let mut seams: Vec<u32> = sections.flat_map(|s| [s.range.start, s.range.end]).collect();
    seams.sort_unstable();
    let mut seams = seams.into_iter().peekable();
    while at < extraction.blocks.len() {
        let block = &extraction.blocks[at];
        if separate && ends.next_if(|end| *end <= block.range.start).is_some() {
            while ends.next_if(|end| *end <= block.range.start).is_some() {}
            chunker.flush();
            if !nested {
                chunker.path.clear();
            }
        }
        if seams.next_if(|seam| *seam <= block.range.start).is_some() {
            while seams.next_if(|seam| *seam <= block.range.start).is_some() {}
            chunker.flush();
        }
        if let BlockKind::Heading(level) = block.kind {
            chunker.heading(level, block.range);
            at += 1;
        } else {
            let end = ends.peek().copied().filter(|_| separate).unwrap_or(u32::MAX);
            let group = group_length(&extraction.blocks[at..], end);
            chunker.group(&extraction.blocks[at..at + group]);
            at += group;
        }
    }
    chunker.flush();
    chunker.chunks
}

/// Items of a list that begin before `end` belong together; any other block stands for itself.
fn group_length(blocks: &[Block], end: u32) -> usize {
    let item = |block: &&Block| block.kind == BlockKind::ListItem && block.range.start < end;
    blocks.iter().take_while(item).count().max(1)
}

/// A piece of text that is not cut any more.
#[derive(Clone, Copy)]
struct Unit {
    range: CharRange,
    tokens: usize,
}

struct Chunker<'a> {
    extraction: &'a Extraction,
    counter: &'a dyn TokenCounter,
    /// How many tokens a chunk may have.
    budget: usize,
    /// The byte offset of every character, and the end of the text; texts are smaller than 4 GiB.
    bytes: Vec<u32>,
    chunks: Vec<Chunk>,
    /// The open headings with their levels, outermost first.
    path: Vec<(u8, String)>,
    open: Option<Unit>,
    /// Whether the open chunk holds headings only.
    headings_only: bool,
    /// How many of the sections begin before the open chunk, and those of them that go on.
    passed: usize,
    within: Vec<&'a Section>,
}

impl<'a> Chunker<'a> {
    fn new(extraction: &'a Extraction, counter: &'a dyn TokenCounter) -> Self {
        let text = &extraction.text;
        let starts = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
        let bytes = starts.map(|byte| byte as u32).collect();
        Self {
            extraction,
            counter,
            budget: CHUNK_TOKENS.min(counter.limit()),
            bytes,
            chunks: Vec::new(),
            path: Vec::new(),
            open: None,
            headings_only: false,
            passed: 0,
            within: Vec::new(),
        }
    }

    fn slice(&self, range: CharRange) -> &'a str {
        let last = self.bytes.len() - 1;
        let (start, end) = ((range.start as usize).min(last), (range.end as usize).min(last));
        &self.extraction.text[self.bytes[start] as usize..self.bytes[end.max(start)] as usize]
    }

    fn unit(&self, range: CharRange) -> Unit {
        Unit { range, tokens: self.counter.count_tokens(self.slice(range)) }
    }

    fn heading(&mut self, level: u8, range: CharRange) {
        let deeper = self.path.last().is_none_or(|(above, _)| *above < level);
        if !(self.headings_only && deeper) {
            self.flush();
        }
        self.path.retain(|(above, _)| *above < level);
        self.path.push((level, crate::compose::collapse(self.slice(range))));
        for piece in self.pieces(range, BlockKind::Heading(level)) {
            self.add(piece);
        }
        self.headings_only = true;
    }

    fn group(&mut self, blocks: &[Block]) {
        let whole =
            self.unit(CharRange::new(blocks[0].range.start, blocks[blocks.len() - 1].range.end));
        let used = self.open.map_or(0, |open| open.tokens);
        let divisible = blocks[0].kind == BlockKind::Paragraph && used <= WORTH_FILLING;
        if used + whole.tokens <= self.budget {
            self.add(whole);
        } else if whole.tokens <= self.budget && !divisible && !self.headings_only {
            self.flush();
            self.add(whole);
        } else {
            for block in blocks {
                for piece in self.pieces(block.range, block.kind) {
                    self.add(piece);
                }
            }
        }
        self.headings_only = false;
    }

    /// Appends to the open chunk, or opens the next one where it does not fit.
    fn add(&mut self, unit: Unit) {
        match &mut self.open {
            Some(open) if open.tokens + unit.tokens <= self.budget => {
                open.range.end = unit.range.end;
                open.tokens += unit.tokens;
            }
            _ => {
                self.flush();
                self.open = Some(unit);
            }
        }
    }

    fn flush(&mut self) {
        let Some(open) = self.open.take() else { return };
        let start = open.range.start;
        let pages = &self.extraction.pages;
        let page = pages.partition_point(|page| page.range.end <= start);
        while let Some(section) = self.extraction.sections.get(self.passed)
            && section.range.start <= start
        {
            self.within.push(section);
            self.passed += 1;
        }
        self.within.retain(|section| section.range.end > start);
        let whole = self.within.iter().filter(|section| section.range.end >= open.range.end);
        let headings = self.path.iter().map(|(_, heading)| heading);
        self.chunks.push(Chunk {
            range: open.range,
            page: pages.get(page).and_then(|page| page.number),
            heading: headings.chain(whole.map(|section| &section.title)).cloned().collect(),
            text: self.slice(open.range).to_owned(),
        });
    }

    /// Cuts a block into pieces that fit: whole, else by sentences, rows or lines, else by words.
    fn pieces(&self, range: CharRange, kind: BlockKind) -> Vec<Unit> {
        let whole = self.unit(range);
        if whole.tokens <= self.budget {
            return vec![whole];
        }
        let text = self.slice(range);
        let parts = match kind {
            BlockKind::Table | BlockKind::Code => lines(text),
            _ => sentences(text),
        };
        let parts = parts.into_iter().map(|part| {
            self.unit(CharRange::new(range.start + part.start, range.start + part.end))
        });
        parts
            .flat_map(|part| {
                if part.tokens <= self.budget { vec![part] } else { self.by_words(part.range) }
            })
            .collect()
    }

    fn by_words(&self, range: CharRange) -> Vec<Unit> {
        let mut pieces: Vec<Unit> = Vec::new();
        let mut at = range.start;
        for word in self.slice(range).split_word_bounds() {
            let length = word.chars().count() as u32;
            let blank = word.trim().is_empty();
            // A "word" that is over the budget alone (data in base 64, say) is cut by length.
            for from in (0..if blank { 0 } else { length }).step_by(self.budget.max(1)) {
                let to = length.min(from + self.budget as u32);
                let unit = self.unit(CharRange::new(at + from, at + to));
                match pieces.last_mut() {
                    Some(piece) if piece.tokens + unit.tokens <= self.budget => {
                        piece.range.end = unit.range.end;
                        piece.tokens += unit.tokens;
                    }
                    _ => pieces.push(unit),
                }
            }
            at += length;
        }
        pieces
    }
}

/// The lines of `text` that are not blank, as character ranges.
fn lines(text: &str) -> Vec<CharRange> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for line in text.split('\n') {
        let length = line.chars().count() as u32;
        if !line.trim().is_empty() {
            ranges.push(CharRange::new(at, at + length));
        }
        at += length + 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::{Composer, DraftBlock};
    use lectern_domain::DocumentKind;

    fn document(blocks: &[(BlockKind, &str)]) -> Extraction {
        let mut composer = Composer::default();
        for (kind, text) in blocks {
            composer.block(&DraftBlock::new(*kind, *text));
        }
        composer.finish(DocumentKind::Md).unwrap()
    }

    /// The promises that hold for every document.
    pub(crate) fn check_invariants(extraction: &Extraction) {
        let chars: Vec<char> = extraction.text.chars().collect();
        let mut covered = vec![0u8; chars.len()];
        for chunk in chunk(extraction) {
            assert!(!chunk.text.trim().is_empty(), "an empty chunk at {:?}", chunk.range);
            assert_eq!(chunk.text, lectern_domain::char_slice(&extraction.text, chunk.range));
            assert!(estimate_tokens(&chunk.text) <= CHUNK_TOKENS + 1, "too large: {}", chunk.text);
            for at in chunk.range.start..chunk.range.end {
                covered[at as usize] += 1;
            }
        }
        for (at, c) in chars.iter().enumerate() {
            assert!(
                c.is_whitespace() || covered[at] == 1,
                "{c:?} at {at} is in {} chunks",
                covered[at]
            );
        }
    }

    #[test]
    fn estimates_tokens() {
        let cases = [
            ("", 0),
            ("word", 1),
            ("words", 2),
            ("合同金额", 4),
            ("1997, 2024", 5),
            ("a-b", 3),
            ("   ", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(estimate_tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn chunks_follow_the_headings() {
        use BlockKind::{Heading, Paragraph};
        let extraction = document(&[
            (Paragraph, "Before."),
            (Heading(1), "Contract"),
            (Heading(2), "Price"),
            (Paragraph, "Three."),
            (Paragraph, "Four."),
            (Heading(2), "Term"),
            (Paragraph, "Five."),
            (Heading(1), "Empty"),
            (Heading(1), "Last"),
        ]);
        let found: Vec<_> =
            chunk(&extraction).into_iter().map(|c| (c.heading.join("/"), c.text)).collect();
        let expected = [
            ("", "Before."),
            ("Contract/Price", "Contract\n\nPrice\n\nThree.\n\nFour."),
            ("Contract/Term", "Term\n\nFive."),
            ("Empty", "Empty"),
            ("Last", "Last"),
        ];
        assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        check_invariants(&extraction);
    }

    #[test]
    fn what_fits_stays_whole_and_what_does_not_is_cut_at_its_seams() {
        use BlockKind::{Code, Heading, ListItem, Paragraph, Table};
        let sentence = "The contractor delivers the goods to the agreed place in time. ";
        let paragraph = sentence.repeat(40);
        let chinese =
            "乙方应当在收到货物后三十日内支付全部款项，逾期付款的每日支付违约金。".repeat(30);
        let endless = "wordwithoutend".repeat(300);
        let row = "Tea from Assam | 3.50 | in stock\n";
        let table = row.repeat(60);
        let extraction = document(&[
            (Heading(1), "Terms"),
            (Paragraph, &paragraph),
            (Paragraph, &chinese),
            (Paragraph, &endless),
            (Table, &table),
            (ListItem, sentence),
            (ListItem, sentence),
            (Code, &"let x = compute(1, 2, 3);\n".repeat(80)),
        ]);
        check_invariants(&extraction);
        for chunk in chunk(&extraction) {
            let text = chunk.text.trim_end();
            let seam = text.ends_with(['.', '。', ';'])
                || text.ends_with("in stock")
                || text.contains("wordwithout");
            assert!(seam, "cut inside: {text}");
        }
    }

    #[test]
    fn chunks_are_cut_to_the_measure_of_the_model_that_counts() {
        /// A token for each letter.
        struct Letters(usize);
        impl TokenCounter for Letters {
            fn count_tokens(&self, text: &str) -> usize {
                text.chars().filter(|c| !c.is_whitespace()).count()
            }
            fn limit(&self) -> usize {
                self.0
            }
        }
        let sentence = "The goods are delivered to the agreed place in time. ";
        let endless = "wordwithoutend".repeat(40);
        let blocks = [
            (BlockKind::Heading(1), "Terms"),
            (BlockKind::Paragraph, &sentence.repeat(20)),
            (BlockKind::Paragraph, &endless),
        ];
        let extraction = document(&blocks);
        for (limit, budget) in [(usize::MAX, CHUNK_TOKENS), (60, 60), (7, 7)] {
            let chunks = chunk_by(&extraction, &Letters(limit));
            let sizes = chunks.iter().map(|chunk| Letters(limit).count_tokens(&chunk.text));
            assert!(sizes.clone().all(|size| size <= budget), "over {budget}");
            assert_eq!(sizes.sum::<usize>(), Letters(limit).count_tokens(&extraction.text));
        }
    }

    #[test]
    fn a_list_that_fits_is_not_split() {
        let filler = "Some words that fill the chunk up to two thirds of it. ".repeat(11);
        let item = "An item of the list that has some words in it.";
        let mut blocks = vec![(BlockKind::Paragraph, filler.as_str())];
        blocks.extend([(BlockKind::ListItem, item); 8]);
        let extraction = document(&blocks);
        let chunks = chunk(&extraction);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[1].text.matches(item).count(), 8);
        check_invariants(&extraction);
    }
}
