//! Splitting text into sentences by its punctuation and lines alone: no model, no
//! dictionary beyond a short list of abbreviations.

use crate::CharRange;

/// Words that end in a full stop without ending a sentence, in lower case and
/// without that stop.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "apt", "art", "bros", "ca", "cap", "capt", "cf", "ch", "chap", "cmdr", "col",
    "cpl", "dept", "dr", "e.g", "ed", "eds", "eg", "eq", "eqs", "esp", "est", "etc", "ex", "fig",
    "figs", "gen", "gov", "hon", "i.e", "ie", "incl", "lt", "maj", "messrs", "mr", "mrs", "ms",
    "mt", "nr", "op", "para", "ph.d", "pp", "pres", "prof", "pt", "ref", "refs", "rep", "resp",
    "rev", "sec", "sen", "sgt", "sr", "st", "supp", "tab", "u.s", "viz", "vol", "vols", "vs",
];

/// Words that are abbreviations only before a number: "No. 5", "Sept. 3".
const BEFORE_NUMBERS: &[&str] = &[
    "apr", "aug", "dec", "feb", "jan", "jul", "jun", "mar", "no", "nos", "nov", "oct", "p", "sep",
    "sept", "§",
];

/// Words that begin a sentence when they follow an initial or an acronym
/// (“in the U.S. The …”), where a name would go on (“J. Smith”).
const OPENERS: &[&str] = &[
    "A", "After", "All", "Although", "An", "And", "As", "At", "Because", "Before", "But", "By",
    "During", "Each", "For", "From", "He", "Her", "His", "However", "I", "If", "In", "It", "Its",
    "Many", "Most", "No", "On", "One", "Other", "She", "Since", "So", "Some", "Such", "That",
    "The", "Their", "There", "These", "They", "This", "Those", "To", "Under", "We", "What", "When",
    "Where", "While", "With", "You",
];

/// A line that is shorter than this and followed by a capital stands by itself:
/// a heading or a field of a form, not a wrapped line of running text.
const SHORT_LINE: usize = 40;

/// Whether `c` is written without spaces between words: Han, kana, and their
/// punctuation and full-width forms. (Korean puts spaces between words.)
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{2E80}'..='\u{2FDF}' | '\u{3000}'..='\u{30FF}' | '\u{31C0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}

/// The sentences of `text`, in order, without the white space around them.
///
/// Ranges never overlap and every character that is not white space is in
/// exactly one. A sentence ends at Latin or CJK punctuation (with the quotes,
/// brackets and footnote numbers that close it), at an empty line, and at a line
/// break beside a list item, a heading or a table row. Abbreviations, initials,
/// decimals, versions and numbered items do not end one. Wrapped lines of
/// running text stay together.
pub fn sentences(text: &str) -> Vec<CharRange> {
    let chars: Vec<char> = text.chars().collect();
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '\n' if line_break_ends(&chars, start, at) => at,
            '。' | '！' | '？' | '｡' | '.' | '!' | '?' | '…' => {
                let end = close(&chars, at);
                if !punctuation_ends(&chars, start, at, end) {
                    // The whole run is decided at once: "..." or "?!" must not be
                    // looked at again from its middle.
                    at = end;
                    continue;
                }
                end
            }
            _ => {
                at += 1;
                continue;
            }
        };
        push_trimmed(&chars, start, end, &mut ranges);
        start = end;
        at = end.max(at + 1);
    }
    push_trimmed(&chars, start, chars.len(), &mut ranges);
    ranges
}

fn push_trimmed(chars: &[char], mut start: usize, mut end: usize, ranges: &mut Vec<CharRange>) {
    while start < end && chars[start].is_whitespace() {
        start += 1;
    }
    while start < end && chars[end - 1].is_whitespace() {
        end -= 1;
    }
    if start < end {
        ranges.push(CharRange::new(start as u32, end as u32));
    }
}

/// Where the punctuation that begins at `at` ends, with all that closes it.
fn close(chars: &[char], at: usize) -> usize {
    let is = |i: usize, set: &str| chars.get(i).is_some_and(|&c| set.contains(c));
    let mut end = at + 1;
    while is(end, ".!?…。！？｡") {
        end += 1;
    }
    while is(end, "\"'”’)]}»›」』）】》〉＂") {
        end += 1;
    }
    // Footnote numbers: "in 1066.[3][4] The".
    while is(end, "[") {
        let Some(length) = chars[end + 1..].iter().take(6).position(|&c| c == ']') else { break };
        let inside = &chars[end + 1..end + 1 + length];
        if length == 0 || !inside.iter().all(|c| c.is_ascii_digit() || ", ".contains(*c)) {
            break;
        }
        end += length + 2;
    }
    end
}

/// Whether the punctuation `chars[at..end]` ends the sentence that began at `start`.
fn punctuation_ends(chars: &[char], start: usize, at: usize, end: usize) -> bool {
    if chars[at..end].iter().any(|&c| "。！？｡".contains(c)) {
        return true;
    }
    let Some(&after) = chars.get(end) else { return true };
    if is_cjk(after) {
        // Chinese follows a sentence's end without a space; a list number and an
        // ellipsis in mid-sentence are not ends.
        return chars[at] != '…' && !(chars[at] == '.' && is_item_number(chars, start, at));
    }
    if !after.is_whitespace() {
        return false;
    }
    let Some(next) = chars[end..].iter().position(|c| !c.is_whitespace()).map(|gap| end + gap)
    else {
        return true;
    };
    let opening =
        chars[next..].iter().copied().find(|c| !"\"'“‘«‹([{「『（【《".contains(*c)).unwrap_or(' ');
    if opening.is_lowercase() {
        return false;
    }
    chars[at] != '.' || end - at > 1 && chars[at + 1] == '.' || stop_ends(chars, start, at, next)
}

/// Whether the single full stop at `at`, with the next word at `next`, is more
/// than the stop of an abbreviation, an initial or a number of a list.
fn stop_ends(chars: &[char], start: usize, at: usize, next: usize) -> bool {
    if is_item_number(chars, start, at) {
        return false;
    }
    let word_start = (start..at)
        .rev()
        .find(|&i| !(chars[i].is_alphanumeric() || ".§-".contains(chars[i])))
        .map_or(start, |i| i + 1);
    let word: String = chars[word_start..at].iter().collect();
    let lower = word.to_lowercase();
    let following: String = chars[next..].iter().take_while(|c| c.is_alphanumeric()).collect();
    if BEFORE_NUMBERS.contains(&lower.as_str()) {
        return !following.starts_with(|c: char| c.is_ascii_digit());
    }
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let acronym = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
    if initial || acronym || lower == "etc" {
        return OPENERS.contains(&following.as_str());
    }
    !ABBREVIATIONS.contains(&lower.as_str())
}

/// Whether the stop at `at` only ends a list number such as "1.", "2.3." or "a."
/// at the start of a sentence.
fn is_item_number(chars: &[char], start: usize, at: usize) -> bool {
    let label: String =
        chars[start..at].iter().skip_while(|c| c.is_whitespace() || "#*->".contains(**c)).collect();
    let is_number =
        |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
    let is_letter = label.len() == 1 && label.bytes().all(|b| b.is_ascii_alphabetic());
    is_letter || label.split('.').all(is_number)
}

/// Whether the line break at `at` ends the sentence that began at `start`.
fn line_break_ends(chars: &[char], start: usize, at: usize) -> bool {
    let following = &chars[at + 1..];
    let Some(gap) = following.iter().position(|c| !c.is_whitespace()) else { return true };
    if following[..gap].contains(&'\n') {
        return true;
    }
    let line_start = chars[..at].iter().rposition(|&c| c == '\n').map_or(0, |i| i + 1);
    let line = &chars[line_start..at];
    let next_end = following.iter().position(|&c| c == '\n').unwrap_or(following.len());
    let next = &following[gap..next_end.max(gap)];
    let line_text = &line[line.iter().position(|c| !c.is_whitespace()).unwrap_or(line.len())..];
    if line_text.is_empty()
        || starts_block(next)
        || line_text[0] == '#'
        || is_row(line_text)
        || is_row(next)
    {
        return true;
    }
    let sentence_is_line =
        start <= line_start || chars[line_start..start].iter().all(|c| c.is_whitespace());
    let last = line_text.iter().rev().find(|c| !c.is_whitespace()).copied().unwrap_or(' ');
    sentence_is_line
        && line_text.len() < SHORT_LINE
        && next[0].is_uppercase()
        && !",;:-–—&/(".contains(last)
        && !line_text.iter().any(|&c| is_cjk(c))
        && previous_line_is_apart(chars, line_start)
}

/// Whether the line at `line_start` does not go on with the line above: only then
/// may it stand by itself. The last line of a wrapped paragraph is short as well.
fn previous_line_is_apart(chars: &[char], line_start: usize) -> bool {
    let above = &chars[..line_start.saturating_sub(1)];
    let begin = above.iter().rposition(|&c| c == '\n').map_or(0, |i| i + 1);
    let above = &above[begin..];
    above.len() < SHORT_LINE
        || above.iter().rev().find(|c| !c.is_whitespace()).is_some_and(|c| ".!?:".contains(*c))
}

fn is_row(line: &[char]) -> bool {
    line.first() == Some(&'|') || line.windows(3).any(|w| w == [' ', '|', ' '])
}

/// Whether a line begins a list item, a heading, a quotation or a code fence.
fn starts_block(line: &[char]) -> bool {
    let second = line.get(1).copied().unwrap_or('\n');
    match line.first().copied().unwrap_or(' ') {
        '#' => second == '#' || second.is_whitespace(),
        '-' | '*' | '+' | '–' => second.is_whitespace(),
        '•' | '·' | '▪' | '◦' | '●' | '○' | '■' | '>' => true,
        '`' => second == '`',
        '(' | '（' => {
            let close = line.iter().take(5).position(|&c| c == ')' || c == '）');
            close.is_some_and(|end| end > 1 && line[1..end].iter().all(|&c| is_ordinal(c)))
        }
        c if is_ordinal(c) => {
            let end = line.iter().take_while(|&&c| is_ordinal(c) || c == '.').count();
            match line[end - 1] {
                '.' => line.get(end).is_some_and(|c| c.is_whitespace() || is_cjk(*c)),
                _ => {
                    line.get(end).is_some_and(|&c| c == '、' || c == ')' || c == '）' || c == '．')
                }
            }
        }
        _ => false,
    }
}

fn is_ordinal(c: char) -> bool {
    c.is_ascii_digit() || "一二三四五六七八九十".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::char_slice;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| char_slice(text, range)).collect()
    }

    #[test]
    fn splits_where_a_reader_would() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \n\t ", &[]),
            ("One. Two! Three?", &["One.", "Two!", "Three?"]),
            ("No full stop", &["No full stop"]),
            ("Really?! Yes... No.", &["Really?!", "Yes...", "No."]),
            (
                "Dr. Smith met Mr. J. R. Jones. They spoke.",
                &["Dr. Smith met Mr. J. R. Jones.", "They spoke."],
            ),
            (
                "It costs $3.50 in v2.1.0 of Node.js. Fine.",
                &["It costs $3.50 in v2.1.0 of Node.js.", "Fine."],
            ),
            (
                "Use a tool, e.g. Make, i.e. the old one.",
                &["Use a tool, e.g. Make, i.e. the old one."],
            ),
            ("See Fig. 3 and No. 5. Then stop.", &["See Fig. 3 and No. 5.", "Then stop."]),
            ("The answer is no. It stays so.", &["The answer is no.", "It stays so."]),
            (
                "He lives in the U.S. The law differs.",
                &["He lives in the U.S.", "The law differs."],
            ),
            (
                "The U.S. Army came at 5 p.m. on Monday.",
                &["The U.S. Army came at 5 p.m. on Monday."],
            ),
            (
                "He said \u{201c}stop.\u{201d} She did.",
                &["He said \u{201c}stop.\u{201d}", "She did."],
            ),
            (
                "\u{201c}Why?\u{201d} he asked. (It was late.) Rain.",
                &["\u{201c}Why?\u{201d} he asked.", "(It was late.)", "Rain."],
            ),
            (
                "It fell in 1066.[3][4] The king died.",
                &["It fell in 1066.[3][4]", "The king died."],
            ),
            (
                "合同金额为3.5万元。付款期限为30天！对吗？",
                &["合同金额为3.5万元。", "付款期限为30天！", "对吗？"],
            ),
            ("他说：“好。”然后走了。", &["他说：“好。”", "然后走了。"]),
            ("The price is 5. 价格是五元。End.", &["The price is 5.", "价格是五元。", "End."]),
            ("第一条、甲方\n二、乙方\n（三）丙方", &["第一条、甲方", "二、乙方", "（三）丙方"]),
            (
                "A line that was wrapped by its editor after\nabout forty characters stays together.",
                &[
                    "A line that was wrapped by its editor after\nabout forty characters stays together.",
                ],
            ),
            ("Heading\n\nText begins\nhere.", &["Heading", "Text begins\nhere."]),
            ("Name: Ada\nBorn: 1815\nDied: 1852", &["Name: Ada", "Born: 1815", "Died: 1852"]),
            (
                "Do this:\n- wash\n- dry\n1. First. Go on.\n2. Second",
                &["Do this:", "- wash", "- dry", "1. First.", "Go on.", "2. Second"],
            ),
            ("# Title\nText.\nMore text.", &["# Title", "Text.", "More text."]),
            ("a | b\nc | d\nAfter it.", &["a | b", "c | d", "After it."]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn every_visible_character_is_in_exactly_one_sentence() {
        // Many strings of nine pieces out of an alphabet of what the rules look at.
        let pieces = ["a", "B", ".", " ", "\n", "1", "。", "[1]", "|", "- ", "”", "…"];
        for seed in 0..20_000_usize {
            let mut n = seed.wrapping_mul(0x9E37_79B9);
            let text: String = (0..9)
                .map(|_| {
                    n = n
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    pieces[(n >> 33) % pieces.len()]
                })
                .collect();
            let ranges = sentences(&text);
            let joined: String = ranges.iter().map(|r| char_slice(&text, *r)).collect();
            let bare = |s: &str| s.split_whitespace().collect::<String>();
            assert_eq!(bare(&joined), bare(&text), "{text:?}");
            assert!(ranges.iter().all(|r| !r.is_empty()), "{text:?}");
            assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{text:?}");
        }
    }
}
