//! From the glyphs of a page to its paragraphs: fragments of lines, columns, lines, words,
//! paragraphs.
//!
//! Everything is measured in the coordinates of the reading direction: `u` along the line,
//! `v` from line to line, so that turned and vertical text needs no rules of its own.

use lectern_domain::{BlockKind, Rect, is_cjk};
use unicode_normalization::char::is_combining_mark;

use super::glyphs::is_rtl;
use super::{Direction, Glyph};
use crate::chunk::is_token;
use crate::compose::{DraftBox, is_noise};

/// A paragraph, heading, list item or table of one page.
#[derive(Debug, Clone)]
pub(super) struct Paragraph {
    pub kind: BlockKind,
    pub text: String,
    pub boxes: Vec<DraftBox>,
    /// The size of its type in points; 0 where it is unknown.
    pub size: f32,
    /// Whether all of it is in bold type.
    pub bold: bool,
    pub lines: usize,
    /// Whether it is a running head or foot.
    pub running: bool,
}

/// A glyph in the coordinates of its direction.
#[derive(Debug, Clone, Copy)]
struct Placed {
    c: char,
    rect: [f32; 4],
    u0: f32,
    u1: f32,
    v0: f32,
    v1: f32,
    size: f32,
    bold: bool,
    monospace: bool,
}

impl Placed {
    fn new(glyph: &Glyph) -> Self {
        let [x0, y0, x1, y1] = glyph.rect;
        let (u0, u1, v0, v1) = match glyph.direction {
            Direction::Right => (x0, x1, y0, y1),
            Direction::Left => (-x1, -x0, -y1, -y0),
            Direction::Down => (y0, y1, -x1, -x0),
            Direction::Up => (-y1, -y0, x0, x1),
        };
        let Glyph { c, rect, size, bold, monospace, .. } = *glyph;
        Self { c, rect, u0, u1, v0, v1, size, bold, monospace }
    }

    fn shares_line(&self, other: &Self) -> bool {
        overlap(self.v0, self.v1, other.v0, other.v1)
    }
}

/// Whether two extents share at least 40% of the smaller one.
fn overlap(a0: f32, a1: f32, b0: f32, b1: f32) -> bool {
    a1.min(b1) - a0.max(b0) >= 0.4 * (a1 - a0).min(b1 - b0)
}

/// Glyphs that stand side by side without a large gap.
#[derive(Debug, Clone)]
struct Fragment {
    glyphs: Vec<Placed>,
    u0: f32,
    u1: f32,
    v0: f32,
    v1: f32,
    /// The size that most of its characters have.
    size: f32,
    /// How many fragments come before it in the file.
    order: usize,
}

impl Fragment {
    fn centre(&self) -> f32 {
        (self.v0 + self.v1) / 2.0
    }

    fn chars(&self) -> usize {
        self.glyphs.iter().filter(|glyph| !glyph.c.is_whitespace()).count()
    }
}

/// Stands for the dots between a title and its page number.
pub(super) const LEADER: &str = "…";

/// One box of words: a word, or one character of a script without spaces.
#[derive(Debug, Clone)]
struct Word {
    text: String,
    rect: [f32; 4],
    /// Whether a space stands before it.
    spaced: bool,
    /// Whether it opens a cell: a wide gap is before it.
    cell: bool,
}

#[derive(Debug, Clone)]
struct Line {
    words: Vec<Word>,
    u0: f32,
    u1: f32,
    v1: f32,
    size: f32,
    bold: bool,
    monospace: bool,
    cells: usize,
}

/// The paragraphs of a page in reading order. Text that runs in another direction than most
/// of the page's follows at the end.
pub(super) fn paragraphs(glyphs: &[Glyph], page: u32) -> Vec<Paragraph> {
    const DIRECTIONS: [Direction; 4] =
        [Direction::Right, Direction::Down, Direction::Left, Direction::Up];
    let mut groups = DIRECTIONS.map(|direction| {
        let group = glyphs.iter().filter(|glyph| glyph.direction == direction);
        group.map(Placed::new).collect::<Vec<_>>()
    });
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let mut paragraphs = Vec::new();
    for group in groups.iter().filter(|group| !group.is_empty()) {
        let mut columns = Vec::new();
        split_columns(fragments(group), 0, &mut columns);
        let columns: Vec<Vec<Line>> = columns.into_iter().map(lines).collect();
        let leading = leading(&columns);
        for lines in columns {
            compose(&lines, leading, page, &mut paragraphs);
        }
    }
    paragraphs
}

/// Joins glyphs that follow each other in the file and stand next to each other.
fn fragments(glyphs: &[Placed]) -> Vec<Fragment> {
    let mut fragments: Vec<Vec<Placed>> = Vec::new();
    for glyph in glyphs {
        if let Some(at) = fragments.last().and_then(|fragment| place_of_mark(fragment, glyph))
            && let Some(fragment) = fragments.last_mut()
        {
            fragment.insert(at, *glyph);
            continue;
        }
        let continued = fragments.last_mut().filter(|fragment| {
            fragment.last().is_some_and(|last| {
                let size = last.size.max(glyph.size);
                let forward = glyph.u0 - last.u1;
                let backward = last.u0 - glyph.u1;
                // A letter may reach far over the next one, or be of any width in a broken font.
                let next = (forward > -size || glyph.u0 >= last.u0) && forward < size;
                let next_rtl = (is_rtl(last.c) || is_rtl(glyph.c))
                    && backward > -0.5 * size
                    && backward < size;
                last.shares_line(glyph) && (next || next_rtl)
            })
        });
        match continued {
            Some(fragment) => fragment.push(*glyph),
            // A space alone neither opens a fragment nor bridges two.
            None if glyph.c.is_whitespace() => {}
            None => fragments.push(vec![*glyph]),
        }
    }
    fragments.into_iter().enumerate().filter_map(|(at, glyphs)| fragment(at, glyphs)).collect()
}

/// Where in a fragment a mark belongs that the file paints after the letters behind its own: after
/// the letter that it stands on. In the scripts of India, letters are such marks too.
fn place_of_mark(fragment: &[Placed], mark: &Placed) -> Option<usize> {
    /// No mark is painted later than this many glyphs.
    const REACH: usize = 16;
    let indic = ('\u{900}'..'\u{E00}').contains(&mark.c);
    let last = fragment.last()?;
    let returns = mark.u0 < last.u0 && mark.u1 < last.u1 && last.shares_line(mark);
    if !(indic || is_combining_mark(mark.c)) || is_rtl(mark.c) || !returns {
        return None;
    }
    let centre = (mark.u0 + mark.u1) / 2.0;
    let from = fragment.len().saturating_sub(REACH);
    let under = fragment[from..]
        .iter()
        .rposition(|letter| letter.u0 <= centre && !is_combining_mark(letter.c));
    let letter = from + under?;
    let end = fragment[letter].u1;
    let others = fragment[letter + 1..].iter().take_while(|other| other.u0 + other.u1 < 2.0 * end);
    Some(letter + 1 + others.count())
}

fn fragment(order: usize, glyphs: Vec<Placed>) -> Option<Fragment> {
    let mut sizes: Vec<f32> = glyphs.iter().map(|glyph| glyph.size).collect();
    sizes.sort_by(f32::total_cmp);
    let size = *sizes.get(sizes.len() / 2)?;
    // Spaces at the ends must not hide the gap to the next fragment.
    let seen = || glyphs.iter().filter(|glyph| !glyph.c.is_whitespace());
    // The extent across is that of the main size, so that an exponent does not widen the line.
    let main = || glyphs.iter().filter(|glyph| glyph.size >= size * 0.9);
    Some(Fragment {
        u0: seen().map(|glyph| glyph.u0).fold(f32::MAX, f32::min),
        u1: seen().map(|glyph| glyph.u1).fold(f32::MIN, f32::max),
        v0: main().map(|glyph| glyph.v0).fold(f32::MAX, f32::min),
        v1: main().map(|glyph| glyph.v1).fold(f32::MIN, f32::max),
        size,
        order,
        glyphs,
    })
}

/// Splits fragments into columns in reading order. A gutter is a stripe that few fragments
/// cross, with running text on both sides of it; those that cross it (titles, wide tables)
/// divide the page into bands, each read column by column.
fn split_columns(mut fragments: Vec<Fragment>, depth: usize, out: &mut Vec<Vec<Fragment>>) {
    const MAX_DEPTH: usize = 6;
    fragments.sort_by(|a, b| a.centre().total_cmp(&b.centre()));
    let gutter = if depth < MAX_DEPTH { find_gutter(&fragments) } else { None };
    let Some(gutter) = gutter else {
        if !fragments.is_empty() {
            out.push(fragments);
        }
        return;
    };
    let (mut left, mut right, mut across) = (Vec::new(), Vec::new(), Vec::new());
    for fragment in fragments {
        let crosses = fragment.u0 < gutter && fragment.u1 > gutter;
        if crosses != across.is_empty()
            || (across.is_empty() && left.is_empty() && right.is_empty())
        {
            // The band goes on, or the page begins.
        } else if crosses {
            split_columns(std::mem::take(&mut left), depth + 1, out);
            split_columns(std::mem::take(&mut right), depth + 1, out);
        } else {
            split_columns(std::mem::take(&mut across), MAX_DEPTH, out);
        }
        if crosses {
            across.push(fragment);
        } else if fragment.u1 <= gutter {
            left.push(fragment);
        } else {
            right.push(fragment);
        }
    }
    split_columns(across, MAX_DEPTH, out);
    split_columns(left, depth + 1, out);
    split_columns(right, depth + 1, out);
}

/// The middle of the widest gutter between columns.
fn find_gutter(fragments: &[Fragment]) -> Option<f32> {
    let u0 = fragments.iter().map(|f| f.u0).fold(f32::MAX, f32::min);
    let u1 = fragments.iter().map(|f| f.u1).fold(f32::MIN, f32::max);
    let total: usize = fragments.iter().map(Fragment::chars).sum();
    if fragments.len() < 2 * COLUMN_LINES || total == 0 {
        return None;
    }
    let step = ((u1 - u0) / 200.0).max(0.5);
    // Neighbouring positions that the same fragments cross are one stripe.
    let mut stripes: Vec<(usize, f32, f32)> = Vec::new();
    let mut at = u0 + (u1 - u0) * 0.15;
    while at < u0 + (u1 - u0) * 0.85 {
        let crossing: usize =
            fragments.iter().filter(|f| f.u0 < at && f.u1 > at).map(Fragment::chars).sum();
        match stripes.last_mut() {
            Some((same, _, to)) if *same == crossing => *to = at,
            _ => stripes.push((crossing, at, at)),
        }
        at += step;
    }
    let least = stripes.iter().map(|(crossing, ..)| *crossing).min()?;
    if least * 2 > total {
        return None;
    }
    stripes.retain(|(crossing, ..)| *crossing == least);
    stripes.sort_by(|a, b| (b.2 - b.1).total_cmp(&(a.2 - a.1)));
    let mut gutters = stripes.iter().map(|(_, from, to)| (from + to) / 2.0);
    gutters.find(|gutter| are_columns(fragments, *gutter))
}

/// Columns have at least so many lines.
const COLUMN_LINES: usize = 5;

/// Whether what stands on the two sides of a stripe is to be read one after the other: it is running
/// text, or the file itself has it so. The cells of a table are short, and most files have them row
/// by row.
fn are_columns(fragments: &[Fragment], gutter: f32) -> bool {
    /// Lines of running text have so many characters in the mean, lines of any column so many.
    const PROSE: usize = 18;
    const WORDS: usize = 8;
    let length = |fragment: &Fragment| -> usize {
        // A CJK character says as much as two or three letters.
        let weight = |c: char| if is_token(c) { 2 } else { usize::from(c != ' ') };
        fragment.glyphs.iter().map(|glyph| weight(glyph.c)).sum()
    };
    let (mut lines, mut chars) = ([0usize; 2], [0usize; 2]);
    let mut sides: Vec<(usize, usize)> = Vec::new();
    for fragment in fragments.iter().filter(|f| f.u1 <= gutter || f.u0 >= gutter) {
        let side = usize::from(fragment.u0 >= gutter);
        lines[side] += 1;
        chars[side] += length(fragment);
        sides.push((fragment.order, side));
    }
    let at_least = |mean: usize| (0..2).all(|side| chars[side] >= lines[side] * mean);
    let fewest = lines[0].min(lines[1]);
    sides.sort_unstable();
    let changes = sides.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    fewest >= COLUMN_LINES && (at_least(PROSE) || (changes * 6 <= fewest && at_least(WORDS)))
}

/// Gathers the fragments of one column into lines from top to bottom.
fn lines(mut fragments: Vec<Fragment>) -> Vec<Line> {
    fragments.sort_by(|a, b| a.centre().total_cmp(&b.centre()));
    let mut rows: Vec<Vec<Fragment>> = Vec::new();
    for fragment in fragments {
        // A line may be a little behind: exponents sort before the line they belong to.
        let from = rows.len().saturating_sub(3);
        let row = rows[from..].iter_mut().rev().find(|row| {
            let beside = |other: &Fragment| {
                other.u1 <= fragment.u0 + 0.5 * other.size
                    || fragment.u1 <= other.u0 + 0.5 * other.size
            };
            row.iter().all(beside)
                && row.iter().any(|other| overlap(other.v0, other.v1, fragment.v0, fragment.v1))
        });
        match row {
            Some(row) => row.push(fragment),
            None => rows.push(vec![fragment]),
        }
    }
    rows.into_iter().filter_map(line).collect()
}

fn line(mut fragments: Vec<Fragment>) -> Option<Line> {
    fragments.sort_by(|a, b| a.u0.total_cmp(&b.u0));
    let main = fragments.iter().max_by_key(|fragment| fragment.chars())?;
    let (v1, size) = (main.v1, main.size);
    let u0 = fragments.first()?.u0;
    let u1 = fragments.iter().map(|fragment| fragment.u1).fold(f32::MIN, f32::max);
    let mut words: Vec<Word> = Vec::new();
    let mut before: Option<f32> = None;
    for fragment in &fragments {
        let gap = before.map(|end| fragment.u0 - end);
        let mut own = words_of(fragment);
        if let (Some(first), Some(gap)) = (own.first_mut(), gap) {
            first.spaced = gap > 0.15 * size.min(fragment.size);
            first.cell = gap > 1.2 * size;
        }
        words.append(&mut own);
        before = Some(fragment.u1);
    }
    let all = |is: fn(&Placed) -> bool| {
        fragments.iter().flat_map(|f| &f.glyphs).all(|glyph| is(glyph) || glyph.c.is_whitespace())
    };
    let (bold, monospace) = (all(|glyph| glyph.bold), all(|glyph| glyph.monospace));
    let cells = 1 + words.iter().filter(|word| word.cell).count();
    let mut words = without_leaders(reading_order(words));
    if let Some(first) = words.first_mut() {
        (first.spaced, first.cell) = (false, false);
    }
    (!words.is_empty()).then_some(Line { words, u0, u1, v1, size, bold, monospace, cells })
}

/// Replaces the dots that lead to a page number by one sign, and bullets of unknown fonts by
/// bullets: both are ornaments that would drown the words.
fn without_leaders(words: Vec<Word>) -> Vec<Word> {
    let is_leader = |word: &Word| word.text.chars().all(|c| matches!(c, '.' | '·' | '…' | '_'));
    let mut out: Vec<Word> = Vec::with_capacity(words.len());
    for mut word in words {
        if let Some(at) = word.text.find("....") {
            let end = word.text[at..].trim_start_matches('.');
            word.text = format!("{}{LEADER}{end}", &word.text[..at]);
        }
        match out.last_mut() {
            Some(last) if is_leader(&word) && is_leader(last) => {
                word.text = LEADER.to_owned();
                last.text = LEADER.to_owned();
                let [x0, y0, x1, y1] = word.rect;
                last.rect = [
                    last.rect[0].min(x0),
                    last.rect[1].min(y0),
                    last.rect[2].max(x1),
                    last.rect[3].max(y1),
                ];
            }
            _ => out.push(word),
        }
    }
    if out.len() > 1
        && let Some(first) = out.first_mut()
        && first.text.chars().count() <= 2
        && first.text.chars().all(|c| c == '\u{FFFD}')
    {
        first.text = "•".to_owned();
    }
    out
}

/// Splits a fragment into words at its spaces and gaps; characters of scripts without spaces
/// are words of their own.
fn words_of(fragment: &Fragment) -> Vec<Word> {
    let mut glyphs = fragment.glyphs.clone();
    let rtl = glyphs.iter().any(|glyph| is_rtl(glyph.c));
    if rtl {
        // The file may hold such text in either order; its places are the same in both.
        glyphs.sort_by(|a, b| a.u0.total_cmp(&b.u0));
    }
    // Where the file has spaces, a gap without one is a kern unless it is wide. In text from
    // right to left the spaces are often not where the gaps are.
    let has_spaces = !rtl && glyphs.iter().any(|glyph| glyph.c == ' ');
    let mut words: Vec<Word> = Vec::new();
    let mut open: Vec<Placed> = Vec::new();
    // How far the open word reaches: a mark on its last letter may end before that does.
    let mut reach = f32::MIN;
    let mut spaced = false;
    let mut close = |open: &mut Vec<Placed>, spaced: &mut bool| {
        if let Some(word) = word(open, *spaced) {
            words.push(word);
            *spaced = false;
        }
        open.clear();
    };
    for glyph in glyphs {
        if glyph.c.is_whitespace() {
            close(&mut open, &mut spaced);
            spaced = true;
            continue;
        }
        if is_noise(glyph.c) && glyph.c != '\u{AD}' {
            continue;
        }
        if let Some(last) = open.last() {
            let size = last.size.min(glyph.size);
            let ideographs = is_cjk(last.c) && is_cjk(glyph.c);
            let limit = if ideographs {
                0.8
            } else if has_spaces {
                0.35
            } else {
                0.2
            };
            // A mark stands on a letter, wherever it begins and ends.
            let mark = rtl && (is_combining_mark(last.c) || is_combining_mark(glyph.c));
            let gap = !mark && glyph.u0 - reach > limit * size;
            // Each direction has its words of its own, so that they can be put in order.
            let turns = is_rtl(last.c) != is_rtl(glyph.c)
                && last.c.is_alphanumeric()
                && glyph.c.is_alphanumeric();
            if gap || turns || is_cjk(last.c) || is_cjk(glyph.c) {
                close(&mut open, &mut spaced);
                spaced |= gap;
            }
        }
        reach = if open.is_empty() { glyph.u1 } else { reach.max(glyph.u1) };
        open.push(glyph);
    }
    close(&mut open, &mut spaced);
    words
}

fn word(glyphs: &[Placed], spaced: bool) -> Option<Word> {
    let first = glyphs.first()?;
    let mut rect = first.rect;
    for [x0, y0, x1, y1] in glyphs.iter().map(|glyph| glyph.rect) {
        rect = [rect[0].min(x0), rect[1].min(y0), rect[2].max(x1), rect[3].max(y1)];
    }
    let text = if glyphs.iter().any(|glyph| is_rtl(glyph.c)) {
        right_to_left(glyphs)
    } else {
        glyphs.iter().map(|glyph| glyph.c).collect()
    };
    Some(Word { text: compose_accents(text), rect, spaced, cell: false })
}

/// The text of glyphs that run from right to left; the numbers among them do not.
fn right_to_left(glyphs: &[Placed]) -> String {
    let mut glyphs: Vec<&Placed> = glyphs.iter().rev().collect();
    // A mark follows the letter that it stands on.
    for at in (1..glyphs.len()).rev() {
        let (mark, letter) = (glyphs[at - 1], glyphs[at]);
        let centre = (mark.u0 + mark.u1) / 2.0;
        let marks = is_combining_mark(mark.c) && !is_combining_mark(letter.c);
        if marks && letter.u0 <= centre && centre <= letter.u1 {
            glyphs.swap(at - 1, at);
        }
    }
    let mut chars: Vec<char> = glyphs.iter().map(|glyph| glyph.c).collect();
    for number in chars.chunk_by_mut(|a, b| a.is_numeric() && b.is_numeric()) {
        if number[0].is_numeric() {
            number.reverse();
        }
    }
    chars.into_iter().collect()
}

/// Old TeX fonts print an accent and then the letter under it; together they are one character.
fn compose_accents(text: String) -> String {
    const ACCENTS: [(char, char); 6] = [
        ('´', '\u{301}'),
        ('`', '\u{300}'),
        ('¨', '\u{308}'),
        ('ˆ', '\u{302}'),
        ('˜', '\u{303}'),
        ('¸', '\u{327}'),
    ];
    let mark = |c: char| ACCENTS.iter().find(|(accent, _)| *accent == c).map(|(_, mark)| *mark);
    if !text.chars().any(|c| mark(c).is_some()) {
        return text;
    }
    use unicode_normalization::char::compose;
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().map(|next| if *next == 'ı' { 'i' } else { *next });
        let composed = mark(c).zip(next).and_then(|(mark, next)| compose(next, mark));
        if composed.is_some() {
            chars.next();
        }
        out.push(composed.unwrap_or(c));
    }
    out
}

/// Brings words from their order on the page into the order they are read in, where some run
/// from right to left: a simple form of the Unicode Bidirectional Algorithm on whole words.
fn reading_order(words: Vec<Word>) -> Vec<Word> {
    let rtl_word = |word: &Word| word.text.chars().any(is_rtl);
    let ltr_word = |word: &Word| !rtl_word(word) && word.text.chars().any(char::is_alphanumeric);
    let (rtl, ltr): (usize, usize) = words.iter().fold((0, 0), |(rtl, ltr), word| {
        let length = word.text.chars().count();
        if rtl_word(word) { (rtl + length, ltr) } else { (rtl, ltr + length) }
    });
    if rtl == 0 {
        return words;
    }
    // A word's space is before it; read the other way round it is the one of the word after.
    let turn = |run: &mut [Word]| {
        let marks: Vec<(bool, bool)> = run.iter().map(|word| (word.spaced, word.cell)).collect();
        run.reverse();
        for (index, word) in run.iter_mut().enumerate().skip(1) {
            (word.spaced, word.cell) = marks[marks.len() - index];
        }
        if let (Some(first), Some(mark)) = (run.first_mut(), marks.first()) {
            (first.spaced, first.cell) = *mark;
        }
    };
    let mut words = words;
    let base_is_rtl = rtl >= ltr;
    if base_is_rtl {
        turn(&mut words);
    }
    let against = |word: &Word| if base_is_rtl { ltr_word(word) } else { rtl_word(word) };
    let mut at = 0;
    while at < words.len() {
        let run = words[at..].iter().take_while(|word| against(word)).count();
        if run > 1 {
            turn(&mut words[at..at + run]);
        }
        at += run.max(1);
    }
    words
}

/// The usual distance from line to line, in parts of the type's size.
fn leading(columns: &[Vec<Line>]) -> f32 {
    let mut steps: Vec<f32> = columns
        .iter()
        .flat_map(|lines| lines.windows(2))
        .filter(|pair| (pair[0].size - pair[1].size).abs() < 0.5)
        .map(|pair| (pair[1].v1 - pair[0].v1) / pair[0].size)
        .filter(|step| (0.8..3.0).contains(step))
        .collect();
    steps.sort_by(f32::total_cmp);
    // The lower third: gaps between paragraphs are among the steps too.
    steps.get(steps.len() / 3).copied().unwrap_or(1.2)
}

/// Joins the lines of a column into paragraphs, list items and tables.
fn compose(lines: &[Line], leading: f32, page: u32, out: &mut Vec<Paragraph>) {
    let right = lines.iter().map(|line| line.u1).fold(f32::MIN, f32::max);
    let left = lines.iter().map(|line| line.u0).fold(f32::MAX, f32::min);
    let mut at = 0;
    while at < lines.len() {
        let rows = table_rows(&lines[at..]);
        if rows > 0 {
            out.push(build(BlockKind::Table, &lines[at..at + rows], page));
            at += rows;
            continue;
        }
        let code = lines[at..].iter().take_while(|line| line.monospace).count();
        if code > 1 {
            out.push(build(BlockKind::Code, &lines[at..at + code], page));
            at += code;
            continue;
        }
        let kind = if opens_item(&lines[at]) { BlockKind::ListItem } else { BlockKind::Paragraph };
        let mut end = at + 1;
        while end < lines.len()
            && table_rows(&lines[end..]) == 0
            && !breaks(&lines[at..end], &lines[end], kind, leading, (left, right))
        {
            end += 1;
        }
        out.push(build(kind, &lines[at..end], page));
        at = end;
    }
}

/// How many lines from the first on are rows of a table: lines with wide gaps in them.
fn table_rows(lines: &[Line]) -> usize {
    let rows = lines.iter().take_while(|line| line.cells >= 2).count();
    let enough = if lines.iter().take(rows).any(|line| line.cells >= 3) { 2 } else { 3 };
    if rows >= enough { rows } else { 0 }
}

fn ends_sentence(line: &Line) -> bool {
    line.words.last().is_some_and(|word| {
        word.text.ends_with(['.', '!', '?', ':', ';', '。', '！', '？', '：', '；', '”', '"', ')'])
    })
}

/// Whether a line ends as those of a table of contents do.
fn ends_in_number(line: &Line) -> bool {
    line.words.last().is_some_and(|word| {
        let number = word.text.rsplit(LEADER).next().unwrap_or_default();
        !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit() || matches!(c, 'i' | 'v' | 'x'))
    })
}

/// Whether `next` begins another paragraph than the one of `lines`.
fn breaks(
    lines: &[Line],
    next: &Line,
    kind: BlockKind,
    leading: f32,
    (left, right): (f32, f32),
) -> bool {
    let Some(last) = lines.last() else { return true };
    if last.words.iter().any(|word| word.text.contains(LEADER)) && ends_in_number(last) {
        return true;
    }
    let size = last.size.max(next.size);
    let step = next.v1 - last.v1;
    let other_type = (last.size - next.size).abs() > 0.12 * size || last.bold != next.bold;
    let far = step > (leading * 1.25 + 0.1) * size || step <= 0.0;
    if other_type || far {
        return true;
    }
    let ended = ends_sentence(last);
    if opens_item(next)
        && (is_bullet(next) || ended || kind == BlockKind::ListItem || lines.len() == 1)
    {
        return true;
    }
    let indented = next.u0 > last.u0 + 0.9 * size && next.u0 < last.u0 + 6.0 * size;
    let short = last.u1 < right - 0.2 * (right - left);
    // An item's lines hang under its first one; any other indent opens a paragraph.
    let hangs = kind == BlockKind::ListItem && lines.len() == 1;
    (ended && indented && !hangs)
        || (ended && short && !next.words.is_empty() && !hangs && next.u0 <= last.u0 + size)
}

fn is_bullet(line: &Line) -> bool {
    const BULLETS: &[char] = &['•', '◦', '▪', '■', '●', '○', '–', '-', '*', '‣', '➢', '✓', '·'];
    let Some(first) = line.words.first() else { return false };
    let mut chars = first.text.chars();
    let bullet = chars.next().is_some_and(|c| BULLETS.contains(&c)) && chars.next().is_none();
    bullet
        && line
            .words
            .get(1)
            .is_some_and(|word| word.spaced || is_cjk(word.text.chars().next().unwrap_or(' ')))
}

/// Whether a line begins with a bullet, or with a number as lists have them: `1.`, `(a)`, `iv)`.
fn opens_item(line: &Line) -> bool {
    if is_bullet(line) {
        return true;
    }
    let Some(first) = line.words.first() else { return false };
    let text = first.text.strip_prefix('(').unwrap_or(&first.text);
    let Some(number) = text.strip_suffix([')', '.', '、']) else { return false };
    let count = number.chars().count();
    let counts = number.chars().all(|c| c.is_ascii_digit()) && count <= 2
        || count == 1 && number.chars().all(|c| c.is_ascii_lowercase())
        || count <= 4 && number.chars().all(|c| matches!(c, 'i' | 'v' | 'x'));
    count > 0 && counts && line.words.get(1).is_some_and(|word| word.spaced)
}

/// Appends a line to the text of a paragraph without places.
pub(super) fn append_line(text: &mut String, line: &str) {
    match join(text, line) {
        Join::Hyphen => {
            text.pop();
        }
        Join::Space => text.push(' '),
        Join::Nothing => {}
    }
    text.push_str(line);
}

/// How two lines of a paragraph are joined.
#[derive(Debug, PartialEq, Eq)]
enum Join {
    /// The hyphen at the end goes, and the word goes on.
    Hyphen,
    Space,
    Nothing,
}

fn join(before: &str, after: &str) -> Join {
    let mut ending = before.chars().rev();
    let (last, last_but_one) = (ending.next(), ending.next());
    let Some((last, first)) = last.zip(after.chars().next()) else { return Join::Nothing };
    let broken_word = last_but_one.is_some_and(char::is_alphabetic) && first.is_lowercase();
    match last {
        '\u{AD}' => Join::Hyphen,
        '-' | '\u{2010}' if broken_word => Join::Hyphen,
        // "2019-\n2020" and "Anglo-\nAmerican" keep their hyphen and need no space.
        '-' | '\u{2010}'
            if last_but_one.is_some_and(char::is_alphanumeric) && first.is_alphanumeric() =>
        {
            Join::Nothing
        }
        _ if is_cjk(last) && is_cjk(first) => Join::Nothing,
        _ => Join::Space,
    }
}

fn build(kind: BlockKind, lines: &[Line], page: u32) -> Paragraph {
    let mut text = String::new();
    let mut boxes: Vec<DraftBox> = Vec::new();
    let mut chars = 0u32;
    for (row, line) in lines.iter().enumerate() {
        for (index, word) in line.words.iter().enumerate() {
            let separator = match (index, kind) {
                (0, _) if row == 0 => "",
                (0, BlockKind::Table | BlockKind::Code) => "\n",
                (0, _) => match join(&text, &word.text) {
                    Join::Hyphen => {
                        text.pop();
                        chars -= 1;
                        if let Some(last) = boxes.last_mut() {
                            last.end = last.end.min(chars);
                        }
                        ""
                    }
                    Join::Space => " ",
                    Join::Nothing => "",
                },
                (_, BlockKind::Table) if word.cell => " | ",
                _ if word.spaced || word.cell => " ",
                _ => "",
            };
            text.push_str(separator);
            chars += separator.chars().count() as u32;
            let start = chars;
            // A soft hyphen at the end of a line waits for the next line; others are not shown.
            let keep_last = index + 1 == line.words.len() && row + 1 < lines.len();
            let length = word.text.chars().count();
            for (position, c) in word.text.chars().enumerate() {
                if !is_noise(c) || (c == '\u{AD}' && keep_last && position + 1 == length) {
                    text.push(c);
                    chars += 1;
                }
            }
            if chars > start {
                let [x0, y0, x1, y1] = word.rect.map(|value| (value * 10.0).round() / 10.0);
                boxes.push(DraftBox { start, end: chars, rect: Rect { page, x0, y0, x1, y1 } });
            }
        }
    }
    boxes.retain(|b| b.start < b.end);
    let mut sizes: Vec<f32> = lines.iter().map(|line| line.size).collect();
    sizes.sort_by(f32::total_cmp);
    let size = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
    let bold = lines.iter().all(|line| line.bold);
    Paragraph { kind, text, boxes, size, bold, lines: lines.len(), running: false }
}
