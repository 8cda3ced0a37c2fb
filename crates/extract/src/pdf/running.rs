//! Running heads and feet: what is printed at the top or the bottom of page after page.

use std::collections::HashMap;

use super::LaidOutPage;
use super::layout::Paragraph;
use crate::compose::collapse;

/// So many paragraphs at each end of a page are looked at.
const DEPTH: usize = 3;

/// Heads and feet are no longer than this.
const LINES: usize = 4;
const CHARS: usize = 250;

/// What is repeated is on so many pages (more in long documents, where words meet by chance), each
/// at most so many pages from the one before: left and right pages may differ, and the first page
/// of a chapter may have none.
const PAGES: std::ops::RangeInclusive<usize> = 3..=5;
const REACH: usize = 3;

/// Repeated lines are at the same height, give or take so many points.
const DRIFT: f32 = 4.0;

/// A paragraph that may be a head or a foot.
struct Candidate {
    page: usize,
    paragraph: usize,
    /// The top of its first line.
    top: f32,
    /// Whether it says nothing but a number, which no reader misses.
    number_only: bool,
}

/// Takes running heads and feet out of the pages. The first one of each stays where it is, as an
/// ordinary paragraph, so that what it says can be found and is found once; page numbers by
/// themselves all go, except from a page that has nothing else. Type larger than `largest` is a title, repeated or not.
pub(super) fn remove(pages: &mut [LaidOutPage], largest: f32) {
    let mut groups: HashMap<(bool, String), Vec<Candidate>> = HashMap::new();
    for (page, laid_out) in pages.iter().enumerate() {
        for (at_top, paragraph, top) in margins(&laid_out.paragraphs, largest) {
            let text = pattern(&laid_out.paragraphs[paragraph].text);
            let number_only = !text.chars().any(char::is_alphabetic) || is_numbering(&text);
            let candidate = Candidate { page, paragraph, top, number_only };
            groups.entry((at_top, text)).or_default().push(candidate);
        }
    }
    let enough = (pages.len() / 10).clamp(*PAGES.start(), *PAGES.end());
    let mut gone: Vec<(usize, usize)> = Vec::new();
    for candidates in groups.values_mut() {
        candidates.sort_by(|a, b| a.top.total_cmp(&b.top));
        for level in candidates.chunk_by_mut(|a, b| b.top - a.top <= DRIFT) {
            level.sort_by_key(|candidate| candidate.page);
            for run in level.chunk_by(|a, b| b.page - a.page <= REACH) {
                if run.len() < enough {
                    continue;
                }
                let kept = usize::from(!run[0].number_only);
                gone.extend(run[kept..].iter().map(|c| (c.page, c.paragraph)));
                if let Some(first) = run[..kept].first() {
                    pages[first.page].paragraphs[first.paragraph].running = true;
                }
            }
        }
    }
    // From the back, so that the places of the others stay right.
    gone.sort_unstable_by(|a, b| b.cmp(a));
    for on_page in gone.chunk_by(|a, b| a.0 == b.0) {
        let paragraphs = &mut pages[on_page[0].0].paragraphs;
        // What is all that a page has is its text: cards, labels, forms.
        if on_page.len() == paragraphs.len() {
            continue;
        }
        for (_, paragraph) in on_page {
            paragraphs.remove(*paragraph);
        }
    }
}

/// The paragraphs at the two ends of a page that may be heads (`true`) and feet, with their tops.
/// The page is looked at as it is shown, whatever the order its text is read in.
fn margins(paragraphs: &[Paragraph], largest: f32) -> Vec<(bool, usize, f32)> {
    let mut placed: Vec<(usize, f32, f32)> = paragraphs
        .iter()
        .enumerate()
        .filter_map(|(index, paragraph)| {
            let tops = paragraph.boxes.iter().map(|b| b.rect.y0);
            let bottoms = paragraph.boxes.iter().map(|b| b.rect.y1);
            Some((index, tops.reduce(f32::min)?, bottoms.reduce(f32::max)?))
        })
        .collect();
    let mut found = Vec::new();
    placed.sort_by(|a, b| a.1.total_cmp(&b.1));
    found.extend(placed.iter().take(DEPTH).map(|(index, top, _)| (true, *index, *top)));
    placed.sort_by(|a, b| b.2.total_cmp(&a.2));
    found.extend(placed.iter().take(DEPTH).map(|(index, top, _)| (false, *index, *top)));
    found.retain(|(_, index, _)| {
        let paragraph = &paragraphs[*index];
        paragraph.lines <= LINES
            && paragraph.size < largest
            && paragraph.text.chars().count() <= CHARS
    });
    // A page of few paragraphs has the same ones at both ends.
    found.sort_by_key(|(at_top, index, _)| (*index, !at_top));
    found.dedup_by_key(|(_, index, _)| *index);
    found
}

/// The text with its numbers as one sign each, so that pages can be compared. A Roman number by
/// itself is a number.
fn pattern(text: &str) -> String {
    let mut out = String::new();
    for c in collapse(text).chars() {
        let c = if c.is_numeric() { '#' } else { c };
        if c != '#' || !out.ends_with('#') {
            out.extend(c.to_lowercase());
        }
    }
    let roman =
        |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, 'i' | 'v' | 'x' | 'l'));
    if roman(out.trim_matches(|c: char| !c.is_alphanumeric())) { "#".to_owned() } else { out }
}

/// Whether a pattern numbers pages and says nothing else.
fn is_numbering(pattern: &str) -> bool {
    const WORDS: [&str; 13] = [
        "page", "p", "of", "seite", "von", "de", "sur", "página", "pagina", "第", "页", "頁",
        "页共",
    ];
    let mut words = pattern.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    pattern.contains('#') && words.all(|word| WORDS.contains(&word))
}
