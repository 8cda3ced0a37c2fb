//! Text to the terms it is indexed and searched by.
//!
//! Words of alphabetic scripts are stemmed by the Snowball stemmer of the text's language and folded
//! (compatibility forms, case, the marks on Latin and Greek letters). Scripts that do not put spaces
//! between words, and Korean, whose particles stick to its words, become overlapping pairs of
//! characters, which is the usual way to find Chinese without a dictionary: a
//! dictionary may cut the query and the text differently, pairs cannot.
//!
//! Words that only build the sentence of a query count less. Where they are in most texts BM25 knows by
//! itself that they say little, but not where the texts are in several languages, or where those of a
//! question (`when`, `吗`) hardly occur in texts that answer it.

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

/// Pairs of Hiragana that do the same in Japanese, where they are not a part of a word.
const FUNCTION_PAIRS: [&str; 83] = [
    "です", "ます", "でし", "まし", "した", "する", "して", "され", "れる", "れた", "られ", "いる",
    "いた", "いて", "てい", "ある", "あり", "あっ", "った", "って", "なる", "なり", "なっ", "から",
    "まで", "より", "など", "ので", "のに", "には", "では", "とは", "にお", "おい", "おけ", "ける",
    "ても", "でも", "だっ", "この", "その", "あの", "どの", "これ", "それ", "あれ", "どれ", "ここ",
    "そこ", "どこ", "なに", "なん", "いつ", "だれ", "どう", "どん", "とい", "いう", "いっ", "こと",
    "もの", "よう", "ため", "につ", "つい", "によ", "よる", "よっ", "すか", "たか", "るか", "のか",
    "のは", "のが", "たの", "るの", "さい", "せん", "ませ", "しょ", "ょう", "うか", "たち",
];

/// The terms of a text, in order, separated by single spaces.
pub(crate) fn text_terms(text: &str) -> String {
    terms(text, Side::Text, &Stemmers::of(text)).join(" ")
}

/// What a term of a query counts, in parts of [`ASKED_FOR`]. Measured; see `docs/benchmarks.md`.
type Weight = usize;

/// A term that is asked for.
const ASKED_FOR: Weight = 3;

/// A pair of characters of which one only builds the sentence.
const HALF: Weight = 2;

/// A word or a pair that only builds the sentence.
const FUNCTION: Weight = 1;

/// A Han character beside the pairs it is in. It finds what they miss, where a word is shortened or
/// split, and says less.
const CHARACTER: Weight = 1;

/// What a query is searched by. Every character of the query is text, none is syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryTerms(Vec<(String, Weight)>);

impl QueryTerms {
    /// Whether there is no term, so that nothing can be found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often the terms with the highest weight occur in [`repeated`](Self::repeated), and so how
    /// many times too high its scores are.
    pub(crate) fn scale(&self) -> usize {
        let highest = self.0.iter().map(|(_, weight)| *weight).max().unwrap_or(1);
        if self.0.iter().all(|(_, weight)| *weight == highest) { 1 } else { highest }
    }

    /// The terms, separated by single spaces, each as often as it counts: BM25 adds up what each
    /// occurrence is worth, so that one search weighs them all.
    pub(crate) fn repeated(&self) -> String {
        let all_count_the_same = self.scale() == 1;
        let repeated = self.0.iter().flat_map(|(term, weight)| {
            std::iter::repeat_n(term.as_str(), if all_count_the_same { 1 } else { *weight })
        });
        repeated.collect::<Vec<_>>().join(" ")
    }
}

/// The terms of a query.
pub(crate) fn query_terms(query: &str) -> QueryTerms {
    let stemmers = Stemmers::of(query);
    let of_function = |c: char| FUNCTION_CHARACTERS.contains(c);
    let only_build = words_of_function(query, &stemmers);
    let only_build: HashSet<String> =
        only_build.iter().flat_map(|word| terms(word, Side::Query, &stemmers)).collect();
    let weight = |term: &str| match term {
        term if only_build.contains(term) || FUNCTION_PAIRS.contains(&term) => FUNCTION,
        term if term.chars().all(of_function) => FUNCTION,
        term if is_pair(term) && term.chars().any(of_function) => HALF,
        _ => ASKED_FOR,
    };
    let mut terms: Vec<(String, Weight)> = distinct(terms(query, Side::Query, &stemmers))
        .into_iter()
        .map(|term| {
            let weight = weight(&term);
            (term, weight)
        })
        .collect();
    // A query of nothing else is meant.
    if terms.iter().all(|(_, weight)| *weight == FUNCTION) {
        terms.iter_mut().for_each(|(_, weight)| *weight = ASKED_FOR);
        return QueryTerms(terms);
    }
    let characters = terms
        .iter()
        .filter(|(term, weight)| is_pair(term) && *weight > FUNCTION)
        .flat_map(|(term, _)| term.chars())
        .filter(|&c| is_han(c) && !of_function(c));
    let characters = distinct(characters.map(String::from).collect());
    terms.extend(characters.into_iter().map(|character| (character, CHARACTER)));
    QueryTerms(terms)
}

/// Whether the term is two characters of a script without spaces.
fn is_pair(term: &str) -> bool {
    term.chars().next().is_some_and(is_unspaced) && term.chars().count() == 2
}

/// The words of a query, between its spaces, that only build its sentence in its language.
fn words_of_function(query: &str, stemmers: &Stemmers) -> Vec<String> {
    let is_shouted = !query.chars().any(char::is_lowercase);
    let words = query.split_whitespace().filter_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        // WHO and IT are names.
        let is_name =
            !is_shouted && word.chars().count() > 1 && !word.chars().any(char::is_lowercase);
        let word = word.replace('’', "'").to_lowercase();
        (!is_name).then(|| word.strip_suffix("'s").unwrap_or(&word).to_owned())
    });
    stemmers.function_words(words.collect())
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

fn terms(text: &str, side: Side, stemmers: &Stemmers) -> Vec<String> {
    let characters: Vec<char> = text.nfkc().filter(|&character| !is_invisible(character)).collect();
    let mut terms = Vec::new();
    let mut position = 0;
    while let Some(&character) = characters.get(position) {
        if is_unspaced(character) {
            position = unspaced_run(&characters, position, side, &mut terms);
        } else if is_word(character) {
            position = compound(&characters, position, stemmers, &mut terms);
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
            for terms in [text_terms(text), query_terms(query).repeated()] {
                assert!(terms.split(' ').any(|other| other == term), "{term} in {terms}");
            }
        }
    }

    #[test]
    fn a_query_has_distinct_terms_that_count_by_what_they_say() {
        // What counts whole; half; least.
        let cases: &[(&str, [&str; 3])] = &[
            ("", ["", "", ""]),
            ("* : \" ( ) ~ ^ \\ [ ] { }", ["", "", ""]),
            ("rent rents Rent", ["rent", "", ""]),
            ("Who pays the rent, and when?", ["pay rent", "", "who the and when"]),
            ("What's the tenant's name?", ["tenant name", "", "what the"]),
            // There is nothing else.
            ("\"AND (", ["and", "", ""]),
            ("What is it?", ["what is it", "", ""]),
            ("是什么", ["是什 什么", "", ""]),
            ("What does the WHO recommend?", ["who recommend", "", "what doe the"]),
            ("WHO PAYS THE RENT", ["pay rent", "", "who the"]),
            ("Wie hoch ist die Miete für das Haus?", ["hoch miet haus", "", "wie ist die fur das"]),
            ("Quel est le loyer de la maison ?", ["est loi loyer maison", "", "quel le de la"]),
            ("违约金", ["违约 约金", "", "违 约 金"]),
            ("税", ["税", "", ""]),
            ("税 率", ["税 率", "", ""]),
            ("违约金是多少", ["违约 约金", "金是", "是多 多少 违 约 金"]),
            ("税是多少", ["", "税是", "是多 多少 税"]),
            ("ライセンスの期限", ["ライ イセ セン ンス スの の期 期限", "", "期 限"]),
            ("期限はいつですか", ["期限 限は はい つで", "", "いつ です すか 期 限"]),
        ];
        for (query, expected) in cases {
            let QueryTerms(terms) = query_terms(query);
            let of_weight = |weight| {
                let terms = terms.iter().filter(|(_, of)| *of == weight);
                terms.map(|(term, _)| term.as_str()).collect::<Vec<_>>().join(" ")
            };
            assert_eq!([ASKED_FOR, HALF, FUNCTION].map(of_weight), *expected, "{query:?}");
        }
    }

    #[test]
    fn a_term_is_there_as_often_as_it_counts() {
        let cases = [
            ("rent due", "rent due", 1),
            ("the rent", "the rent rent rent", 3),
            ("what is it", "what is it", 1),
            ("税是多少", "税是 税是 是多 多少 税", 2),
        ];
        for (query, repeated, scale) in cases {
            let terms = query_terms(query);
            assert_eq!((&*terms.repeated(), terms.scale()), (repeated, scale), "{query:?}");
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
                .repeated()
                .split(' ')
                .any(|term| text_terms.split(' ').any(|other| other == term));
            assert!(found, "{query:?} in {text:?}");
        }
    }

    #[test]
    fn endless_words_and_endless_queries_are_cut() {
        let word = "x".repeat(10_000);
        assert_eq!(text_terms(&word).len(), WORD_CHARACTERS);
        assert_eq!(text_terms(&word), query_terms(&word).repeated());
        let page: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        assert_eq!(query_terms(&page.join(" ")).repeated().split(' ').count(), QUERY_TERMS);
    }
}
