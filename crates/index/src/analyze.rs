//! Text to the terms it is indexed and searched by.
//!
//! Words of alphabetic scripts are stemmed by the Snowball stemmer of the text's language and folded
//! (compatibility forms, case, the marks on Latin and Greek letters). Scripts that do not put spaces
//! between words, and Korean, whose particles stick to its words, become overlapping pairs of
//! characters, which is the usual way to find Chinese without a dictionary: a
//! dictionary may cut the query and the text differently, pairs cannot.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use crate::language::Stemmers;

/// Longer words are cut here on both sides: they are encoded data, not words.
const WORD_CHARACTERS: usize = 64;

/// Longer compounds (web addresses, paths) are found by their parts alone.
const COMPOUND_CHARACTERS: usize = 40;

/// A query's terms beyond these are ignored; a pasted page needs no more.
const QUERY_TERMS: usize = 256;

/// Han characters that build sentences and questions and say nothing about their subject, in both
/// ways of writing them.
const FUNCTION_CHARACTERS: &str = "的了在是和与與及或之于於以其这這那有也就都而着著被把对對从從到由让讓吗嗎呢吧啊什么麼哪些谁誰几幾个個多少怎如何为為";

/// The terms of a text, in order, separated by single spaces.
pub(crate) fn text_terms(text: &str) -> String {
    terms(text, Side::Text).join(" ")
}

/// What a query is searched by. Every character of the query is text, none is syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryTerms {
    /// The distinct terms, separated by single spaces; empty when there is none.
    pub(crate) terms: String,
    /// Its Han characters one by one, likewise. They find what the pairs miss, where a word is
    /// shortened or split, and say less.
    pub(crate) characters: String,
}

/// The terms of a query.
pub(crate) fn query_terms(query: &str) -> QueryTerms {
    let of_function = |term: &str| term.chars().all(|c| FUNCTION_CHARACTERS.contains(c));
    let mut terms = distinct(terms(query, Side::Query));
    // A query of nothing else is meant.
    if !terms.iter().all(|term| of_function(term)) {
        terms.retain(|term| !of_function(term));
    }
    let characters = terms
        .iter()
        .filter(|term| term.chars().nth(1).is_some())
        .flat_map(|term| term.chars())
        .filter(|&c| is_han(c) && !FUNCTION_CHARACTERS.contains(c));
    let characters = distinct(characters.map(String::from).collect());
    QueryTerms { terms: terms.join(" "), characters: characters.join(" ") }
}

/// The first [`QUERY_TERMS`] of them, each once.
fn distinct(mut terms: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.truncate(QUERY_TERMS);
    terms
}

/// Single characters of an unspaced script are indexed so that a query of one
/// character finds something, but a longer query would only collect chunks that
/// have a common character with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Text,
    Query,
}

fn terms(text: &str, side: Side) -> Vec<String> {
    let stemmers = Stemmers::of(text);
    let characters: Vec<char> = text.nfkc().filter(|&character| !is_invisible(character)).collect();
    let mut terms = Vec::new();
    let mut position = 0;
    while let Some(&character) = characters.get(position) {
        if is_unspaced(character) {
            position = unspaced_run(&characters, position, side, &mut terms);
        } else if is_word(character) {
            position = compound(&characters, position, &stemmers, &mut terms);
        } else {
            position += 1;
        }
    }
    terms
}

/// Pushes the terms of the run that starts at `start`; returns where it ends. A
/// single line break inside of it is a break of the page, not of the language.
fn unspaced_run(characters: &[char], start: usize, side: Side, terms: &mut Vec<String>) -> usize {
    let mut run = Vec::new();
    let mut end = start;
    while let Some(&character) = characters.get(end) {
        let wrapped =
            character == '\n' && characters.get(end + 1).copied().is_some_and(is_unspaced);
        if is_unspaced(character) {
            run.push(character);
        } else if !wrapped {
            break;
        }
        end += 1;
    }
    if side == Side::Text || run.len() == 1 {
        terms.extend(run.iter().map(char::to_string));
    }
    terms.extend(run.windows(2).map(|pair| pair.iter().collect()));
    end
}

/// Pushes the terms of the words that start at `start` and of what connects
/// them; returns where they end. `ISO-9001` is found as `iso`, `9001` and
/// `iso9001`, and `ISO9001` as the same.
fn compound(
    characters: &[char],
    start: usize,
    stemmers: &Stemmers,
    terms: &mut Vec<String>,
) -> usize {
    let mut whole = String::new();
    let mut parts = 0;
    let mut end = start;
    loop {
        let word_start = end;
        while characters.get(end).copied().is_some_and(is_word) {
            end += 1;
        }
        let word = lower(&characters[word_start..end]);
        // Two numbers stay apart, or `3.5` would be found by `35`.
        if whole.ends_with(is_digit) && word.starts_with(is_digit) {
            whole.push('.');
        }
        whole.push_str(&word);
        let runs = runs(&word);
        // The `s` of `tenant's` says nothing.
        let clitic = word_start > start
            && is_apostrophe(characters[word_start - 1])
            && word.chars().count() <= 2;
        if clitic {
            whole.truncate(whole.len() - word.len());
        } else {
            parts += runs.len();
            terms.extend(runs.into_iter().flat_map(|run| stems(run, stemmers)));
        }
        let (Some(&connector), Some(&next)) = (characters.get(end), characters.get(end + 1)) else {
            break;
        };
        if !is_word(next) || !connects(characters[end - 1], connector, next) {
            break;
        }
        end += 1;
    }
    if parts > 1 && whole.chars().count() <= COMPOUND_CHARACTERS {
        terms.extend(stems(&whole, stemmers));
    }
    end
}

/// The word cut wherever letters and digits meet.
fn runs(word: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut previous = None;
    for (index, character) in word.char_indices() {
        let digit = is_digit(character);
        if previous.is_some_and(|previous| previous != digit) {
            runs.push(&word[start..index]);
            start = index;
        }
        previous = Some(digit);
    }
    if start < word.len() {
        runs.push(&word[start..]);
    }
    runs
}

/// What a word in lower case is found by: one term, or two where the language is in doubt.
fn stems(word: &str, stemmers: &Stemmers) -> Vec<String> {
    distinct(stemmers.stems(word).iter().map(|stem| fold(stem)).collect())
}

/// The word in lower case, cut where it is too long for one.
fn lower(word: &[char]) -> String {
    word.iter().take(WORD_CHARACTERS).flat_map(|c| c.to_lowercase()).collect()
}

/// The word in lower case without the marks on Latin and Greek letters.
fn fold(word: &str) -> String {
    let mut folded = String::new();
    for lower in word.chars() {
        match lower {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            // What a letter without a composed form carries.
            '\u{300}'..='\u{36f}' => {}
            lower if lower.is_ascii() => folded.push(lower),
            lower => {
                let mut base = None;
                decompose_canonical(lower, |part| {
                    base.get_or_insert(part);
                });
                folded.push(base.filter(|&base| is_latin_or_greek(base)).unwrap_or(lower));
            }
        }
    }
    folded
}

/// A character of Chinese writing.
fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Soft hyphens, joiners and other characters of no width.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn is_latin_or_greek(character: char) -> bool {
    character.is_ascii_alphabetic() || ('α'..='ω').contains(&character)
}

fn is_word(character: char) -> bool {
    (character.is_alphanumeric() || is_combining_mark(character)) && !is_unspaced(character)
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
}

fn is_apostrophe(character: char) -> bool {
    matches!(character, '\'' | '’')
}

/// Whether `connector` makes one compound of the words on its two sides.
fn connects(previous: char, connector: char, next: char) -> bool {
    match connector {
        '-' | '\u{2010}' | '\u{2011}' | '_' | '.' | '/' | '&' | '+' => true,
        ',' => is_digit(previous) && is_digit(next),
        connector => is_apostrophe(connector),
    }
}

/// Whether words of this character's script are not told apart by spaces, or, in
/// Korean, not by spaces alone.
fn is_unspaced(character: char) -> bool {
    let block = matches!(character,
        '\u{0e00}'..='\u{0eff}'        // Thai, Lao
        | '\u{1000}'..='\u{109f}'      // Myanmar
        | '\u{1100}'..='\u{11ff}'      // Hangul jamo
        | '\u{1780}'..='\u{17ff}'      // Khmer
        | '\u{3005}'..='\u{3007}'      // 々 〆 〇
        | '\u{3040}'..='\u{312f}'      // Hiragana, Katakana, Bopomofo
        | '\u{3400}'..='\u{4dbf}'      // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'      // Hangul
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}');
    block && (character.is_alphanumeric() || is_combining_mark(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_these_terms() {
        let cases = [
            ("", ""),
            (" \t\n.,;:!?\"()*", ""),
            ("The tenant pays", "the tenant pay"),
            ("AGREEMENTS agreement", "agreement agreement"),
            // The marks of Latin and Greek go, those of other scripts stay.
            ("Müller Straße Łódź Ørsted", "muller strasse lodz orsted"),
            ("mu\u{308}ller", "muller"),
            ("Ελλάδα", "ελλαδ"),
            ("йод", "йод"),
            ("हिन्दी", "हिन्दी"),
            // Compatibility forms are one.
            ("ＩＳＯ　９００１", "iso 9001"),
            ("eﬃcient", "effici"),
            // Identifiers by part and as a whole, however they are written.
            ("ISO-9001", "iso 9001 iso9001"),
            ("ISO9001", "iso 9001 iso9001"),
            ("A-12/7", "a 12 7 a12.7"),
            ("e-mails", "e mail email"),
            ("Miet\u{ad}vertrag", "mietvertrag"),
            ("max_token_length", "max token length maxtokenlength"),
            ("3.5 3,5 35", "3 5 3.5 3 5 3.5 35"),
            ("one, two", "one two"),
            ("end. Next", "end next"),
            ("the tenant's rent, l’avocat", "the tenant rent l avocat lavocat"),
            // Pairs and single characters.
            ("违约金", "违 约 金 违约 约金"),
            ("第3条", "第 3 条"),
            ("违约\n金，百分", "违 约 金 违约 约金 百 分 百分"),
            ("违约\n\n金", "违 约 违约 金"),
            ("がき", "が き がき"),
            ("한국어", "한 국 어 한국 국어"),
        ];
        for (text, expected) in cases {
            assert_eq!(text_terms(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_are_stemmed_in_the_language_of_their_text() {
        let cases = [
            (
                "Die Kündigungsfristen der Verträge betragen drei Monate zum Ende des Jahres.",
                "Wie lang ist die Kündigungsfrist eines Vertrages?",
                "kundigungsfrist",
            ),
            (
                "Les locataires paient leurs loyers au début de chaque mois, sans exception.",
                "Quand le loyer est-il payé par les locataires de la maison ?",
                "loyer",
            ),
            (
                "Арендаторы платят арендную плату в первый день каждого месяца.",
                "Когда арендатор должен платить?",
                "арендатор",
            ),
            ("يدفع المستأجرون الإيجار في اليوم الأول من كل شهر.", "متى يدفع المستأجر؟", "يدفع"),
        ];
        for (text, query, term) in cases {
            for terms in [text_terms(text), query_terms(query).terms] {
                assert!(terms.split(' ').any(|other| other == term), "{term} in {terms}");
            }
        }
    }

    #[test]
    fn a_query_has_distinct_terms_and_no_single_characters_unless_it_is_one() {
        let cases = [
            ("", "", ""),
            ("\"AND (", "and", ""),
            ("* : \" ( ) ~ ^ \\ [ ] { }", "", ""),
            ("rent rents Rent", "rent", ""),
            ("违约金", "违约 约金", "违 约 金"),
            ("税", "税", ""),
            ("税 率", "税 率", ""),
            // What only makes it a question is left out, unless there is nothing else.
            ("违约金是多少", "违约 约金 金是", "违 约 金"),
            ("是什么", "是什 什么", ""),
            ("ライセンスの期限", "ライ イセ セン ンス スの の期 期限", "期 限"),
        ];
        for (query, terms, characters) in cases {
            let found = query_terms(query);
            assert_eq!((&*found.terms, &*found.characters), (terms, characters), "{query:?}");
        }
    }

    #[test]
    fn whatever_a_query_and_a_text_share_they_share_as_terms() {
        let cases = [
            ("违约金", "合同规定的违约金为百分之五"),
            ("Kündigungsfrist", "Die KUNDIGUNGSFRIST beträgt"),
            ("iso 9001", "certified to ISO-9001:2015"),
            ("ISO9001", "certified to ISO 9001"),
            ("contract's", "the contracts"),
            ("ライセンス", "このライセンスは"),
        ];
        for (query, text) in cases {
            let text_terms = text_terms(text);
            let found = query_terms(query)
                .terms
                .split(' ')
                .any(|term| text_terms.split(' ').any(|other| other == term));
            assert!(found, "{query:?} in {text:?}");
        }
    }

    #[test]
    fn endless_words_and_endless_queries_are_cut() {
        let word = "x".repeat(10_000);
        assert_eq!(text_terms(&word).len(), WORD_CHARACTERS);
        assert_eq!(text_terms(&word), query_terms(&word).terms);
        let page: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        assert_eq!(query_terms(&page.join(" ")).terms.split(' ').count(), QUERY_TERMS);
    }
}
