//! The words, names and numbers that carry what a text says, in a form in which
//! two texts can be compared.

use std::collections::HashSet;

use frostem::{Algorithm, Stemmer};
use lectern_domain::is_cjk;
use unicode_segmentation::UnicodeSegmentation;

/// English words that carry no content. Negations are among them: they are
/// looked at by themselves.
const STOP_WORDS: &str = " a about above according after again all also although am among an and another any are around as at \
be became because become becomes been before being below between both but by came can could did do does doing down during each \
either else etc even ever every few for from further get gets had has have having he her here hers herself him himself his how \
however i if in into is it its itself just may me might more most much must my myself of off often on once only or other others \
our ours out over own per rather s said same say says shall she should since so some such t tell tells than that the their theirs them themselves \
then there these they this those through thus to too under until up upon us very via was we well were what when where whether \
which while who whom whose why will with within would yes yet you your yours yourself \
answer document documents passage source sources text mentioned stated states states please \
not no nor never none neither cannot without nothing nobody ";

/// Characters of Chinese and Japanese that carry no content by themselves;
/// runs are cut at them.
const STOP_CHARACTERS: &str = "的了是在和与及也都就而或且把被将对从到为以于其之这那此该有吗呢吧啊呀着过地得很会可能请问什么哪谁何を\
はがのにとでもへやかねよます";

const NEGATIONS: &[&str] =
    &["not", "no", "nor", "never", "none", "neither", "cannot", "without", "nothing", "nobody"];

/// Stems of words that deny without a negation.
const DENIALS: &[&str] = &[
    "lack",
    "fail",
    "unabl",
    "prohibit",
    "forbid",
    "forbidden",
    "deni",
    "deny",
    "refus",
    "absenc",
    "absent",
    "exclud",
    "except",
    "imposs",
    "reject",
    "prevent",
    "unlik",
    "instead",
    "rare",
    "hard",
    "ban",
    "avoid",
    "stop",
    "ceas",
    "illeg",
    "invalid",
];

/// Words that begin another clause without a comma.
const CLAUSE_WORDS: &[&str] =
    &["but", "although", "though", "while", "whereas", "because", "which"];

const CHINESE_NEGATIONS: &str = "不没無无未非勿莫否";
/// Words in which those characters deny nothing.
const NO_NEGATIONS: &[&str] = &[
    "不过",
    "不仅",
    "不但",
    "不同",
    "不断",
    "不少",
    "不久",
    "不管",
    "不论",
    "不只",
    "不光",
    "不得不",
    "不锈",
    "不动产",
    "无论",
    "未来",
    "非常",
    "除非",
    "是否",
    "能否",
    "否则",
    "非洲",
    "莫斯科",
    "无线",
    "无限",
    "没收",
    "差不多",
    "对不起",
];
/// Chinese words that deny without one of those characters.
const CHINESE_DENIALS: &[&str] = &["禁止", "拒绝", "缺", "除外", "失败", "避免", "反对", "停止"];

const NUMBER_WORDS: &[(&str, f64)] = &[
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];

/// Words that may be numbers: taken as such in a source, where they can only
/// help, but not in a claim, where they would have to be found.
const MAYBE_NUMBERS: &[(&str, f64)] = &[
    ("one", 1.0),
    ("first", 1.0),
    ("once", 1.0),
    ("second", 2.0),
    ("twice", 2.0),
    ("third", 3.0),
    ("fourth", 4.0),
    ("fifth", 5.0),
    ("sixth", 6.0),
    ("seventh", 7.0),
    ("eighth", 8.0),
    ("ninth", 9.0),
    ("tenth", 10.0),
    ("dozen", 12.0),
    ("january", 1.0),
    ("february", 2.0),
    ("march", 3.0),
    ("april", 4.0),
    ("may", 5.0),
    ("june", 6.0),
    ("july", 7.0),
    ("august", 8.0),
    ("september", 9.0),
    ("october", 10.0),
    ("november", 11.0),
    ("december", 12.0),
    ("half", 0.5),
];

const SCALES: &[(&str, f64)] = &[
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
    ("trillion", 1e12),
    ("k", 1e3),
    ("m", 1e6),
    ("bn", 1e9),
    ("百", 1e2),
    ("千", 1e3),
    ("万", 1e4),
    ("萬", 1e4),
    ("亿", 1e8),
    ("億", 1e8),
    ("百万", 1e6),
    ("千万", 1e7),
];

/// What sort of term it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TermKind {
    /// A content word by its stem, or two neighbouring CJK characters.
    Word,
    /// A word that is capitalised where it need not be.
    Name,
    /// A number by its value.
    Number,
    /// A small number in words, which may only count what the source lists.
    Count,
}

/// A term of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) key: String,
    pub(crate) kind: TermKind,
}

/// What a text says, as terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// Its terms in order, each once.
    pub(crate) terms: Vec<Term>,
    /// Every key that a claim about this text may rightly contain: more than
    /// `terms`, since a number may be read in several ways.
    pub(crate) keys: HashSet<String>,
    /// How many negations it has.
    pub(crate) negations: usize,
    /// Words that deny something by their meaning ("lacks").
    pub(crate) denials: HashSet<String>,
    /// The terms right after a negation.
    pub(crate) negated: HashSet<String>,
    /// All terms of the clauses that have a negation.
    pub(crate) negated_clauses: HashSet<String>,
    /// The terms of the clause that is being read, and whether it has one.
    clause: Vec<String>,
    clause_negates: bool,
}

/// One word of the text, or one run of CJK characters.
struct Token<'a> {
    text: &'a str,
    start: usize,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    for (start, word) in text.unicode_word_indices() {
        let cjk = |word: &str| word.chars().next().is_some_and(is_cjk);
        match tokens.last_mut() {
            // The segmentation gives Han characters one by one.
            Some(last) if cjk(word) && cjk(last.text) && last.start + last.text.len() == start => {
                last.text = &text[last.start..start + word.len()];
            }
            _ => tokens.push(Token { text: word, start }),
        }
    }
    tokens
}

fn number_key(value: f64) -> String {
    format!("#{value}")
}

/// The value of a number that starts the word, and the rest of the word.
fn leading_number(word: &str) -> Option<(f64, &str)> {
    let end =
        word.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(word.len());
    let value = word[..end].replace(',', "").parse().ok()?;
    Some((value, &word[end..]))
}

/// The value of a run of Chinese numerals such as 三万五千 or 二〇二四.
fn chinese_number(run: &str) -> Option<f64> {
    let digit = |c: char| match c {
        '〇' | '零' => Some(0.0),
        '两' => Some(2.0),
        _ => "一二三四五六七八九".chars().position(|d| d == c).map(|i| i as f64 + 1.0),
    };
    if run.starts_with(['百', '千', '万', '亿']) {
        return None;
    }
    if run.chars().count() > 2 && run.chars().all(|c| digit(c).is_some()) {
        return Some(run.chars().filter_map(digit).fold(0.0, |value, d| value * 10.0 + d));
    }
    let (mut total, mut section, mut pending) = (0.0, 0.0, None);
    for c in run.chars() {
        if let Some(d) = digit(c) {
            pending = Some(d);
            continue;
        }
        let unit = match c {
            '十' => 10.0,
            '百' => 100.0,
            '千' => 1000.0,
            '万' => 1e4,
            _ => 1e8,
        };
        if unit < 1e4 {
            section += pending.take().unwrap_or(1.0) * unit;
        } else {
            total = (total + section + pending.take().unwrap_or(0.0)) * unit;
            section = 0.0;
        }
    }
    Some(total + section + pending.unwrap_or(0.0))
}

const CHINESE_NUMERALS: &str = "〇零一二两三四五六七八九十百千万亿";

/// Characters after which a single numeral is sure to count something.
const CLASSIFIERS: &str = "个年月日天周名位次条项台件元人种岁章层号倍";

impl Terms {
    /// The terms of `text`.
    pub(crate) fn of(text: &str) -> Self {
        let stemmer = Stemmer::new(Algorithm::English);
        let tokens = tokens(text);
        let capitals = tokens.iter().filter(|t| t.text.starts_with(char::is_uppercase)).count();
        // In a title every word has a capital, so none of them tells a name.
        let title_case = tokens.len() > 3 && capitals * 10 > tokens.len() * 7;
        let mut terms = Self::default();
        let mut scope = 0;
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            let next = tokens.get(index + 1);
            let before = index
                .checked_sub(1)
                .map_or("", |i| &text[tokens[i].start + tokens[i].text.len()..token.start]);
            index += 1;
            if before.contains([',', ';', ':', '.', '(', ')', '，', '。', '；', '、'])
                || CLAUSE_WORDS.contains(&token.text)
            {
                terms.end_clause();
                scope = 0;
            }
            if token.text.chars().next().is_some_and(is_cjk) {
                terms.add_cjk(token.text);
                continue;
            }
            let word = token.text.to_lowercase().replace('’', "'");
            let word = word.strip_suffix("'s").unwrap_or(&word);
            let number = leading_number(word).or_else(|| {
                NUMBER_WORDS.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, ""))
            });
            if let Some((value, rest)) = number {
                terms.keys.insert(number_key(value));
                let following = if rest.is_empty() {
                    next.map(|t| t.text.to_lowercase())
                } else {
                    Some(rest.to_owned())
                };
                let scale = following.as_deref().and_then(|name| {
                    SCALES.iter().rev().find(|(scale, _)| {
                        name == *scale
                            || name.strip_suffix('s') == Some(scale)
                            || is_cjk_start(scale) && name.starts_with(scale)
                    })
                });
                // "5 m" is as likely five metres as five millions.
                let scale = scale.filter(|(name, _)| name.len() > 1 || !rest.is_empty());
                let value = value * scale.map_or(1.0, |(_, factor)| *factor);
                let in_words = scale.is_none() && word.starts_with(char::is_alphabetic);
                let kind = if in_words { TermKind::Count } else { TermKind::Number };
                terms.add(number_key(value), kind, &mut scope);
                if rest == "th" && following_word(next).starts_with("centur") {
                    terms.keys.insert(number_key((value - 1.0) * 100.0));
                }
                if scale.is_some_and(|(name, _)| rest.is_empty() && !is_cjk_start(name)) {
                    index += 1;
                } else if scale.is_none() && !matches!(rest, "" | "st" | "nd" | "rd" | "th" | "s") {
                    terms.add(stemmer.stem(rest).into_owned(), TermKind::Word, &mut scope);
                }
                continue;
            }
            if let Some((_, value)) = MAYBE_NUMBERS.iter().find(|(name, _)| *name == word) {
                terms.keys.insert(number_key(*value));
            }
            if NEGATIONS.contains(&word) || word.ends_with("n't") {
                let after = text[token.start + token.text.len()..].trim_start();
                let numbered = word == "no"
                    && after.starts_with(|c: char| c == '.' || c == ',' || c.is_ascii_digit());
                let additive = word == "not"
                    && next.is_some_and(|t| matches!(t.text, "only" | "just" | "merely"));
                if !numbered && !additive {
                    terms.negations += 1;
                    terms.clause_negates = true;
                    scope = 2;
                }
                continue;
            }
            let starts_sentence = ends_sentence(text[..token.start].trim_end());
            let capital = token.text.starts_with(char::is_uppercase);
            if STOP_WORDS.split(' ').any(|stop| stop == word)
                && (starts_sentence || !capital || title_case)
            {
                continue;
            }
            let marked = token.text.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit());
            let beside = next.is_some_and(|t| t.text.starts_with(char::is_uppercase));
            let name = capital && (marked || !title_case && (!starts_sentence || beside));
            let stem = stemmer.stem(word).into_owned();
            if DENIALS.contains(&stem.as_str()) {
                terms.denials.insert(stem.clone());
            }
            terms.add(stem, if name { TermKind::Name } else { TermKind::Word }, &mut scope);
        }
        terms.end_clause();
        terms
    }

    fn end_clause(&mut self) {
        if std::mem::take(&mut self.clause_negates) {
            self.negated_clauses.extend(self.clause.drain(..));
        }
        self.clause.clear();
    }

    fn add(&mut self, key: String, kind: TermKind, scope: &mut usize) {
        if *scope > 0 {
            *scope -= 1;
            self.negated.insert(key.clone());
        }
        self.keys.insert(key.clone());
        self.clause.push(key.clone());
        if !self.terms.iter().any(|term| term.key == key) {
            self.terms.push(Term { key, kind });
        }
    }

    fn add_cjk(&mut self, run: &str) {
        self.denials.extend(
            CHINESE_DENIALS.iter().filter(|word| run.contains(*word)).map(|word| word.to_string()),
        );
        let chars: Vec<char> = run.chars().collect();
        // A claim need not repeat a source's particles, so terms are taken
        // between them; any pair in a source may be found.
        for pair in chars.windows(2) {
            self.keys.insert(pair.iter().collect());
        }
        self.keys.extend(chars.iter().map(char::to_string));
        let mut rest = run;
        while let Some(start) = rest.find(|c| CHINESE_NUMERALS.contains(c)) {
            let length =
                rest[start..].find(|c| !CHINESE_NUMERALS.contains(c)).unwrap_or(rest.len() - start);
            let numeral = &rest[start..start + length];
            if let Some(value) = chinese_number(numeral) {
                let key = number_key(value);
                let counts = rest[start + length..].starts_with(|c| CLASSIFIERS.contains(c));
                if numeral.chars().count() > 1 {
                    self.add(key, TermKind::Number, &mut 0);
                } else if counts {
                    self.add(key, TermKind::Count, &mut 0);
                } else {
                    self.keys.insert(key);
                }
            }
            rest = &rest[start + length..];
        }
        let mut without = run.to_owned();
        for word in NO_NEGATIONS {
            without = without.replace(word, &"・".repeat(word.chars().count()));
        }
        let without: Vec<char> = without.chars().collect();
        let negation = |c: char| CHINESE_NEGATIONS.contains(c);
        let numeral = |c: char| CHINESE_NUMERALS.contains(c);
        let mut begin = 0;
        let mut scope = 0;
        for end in 0..=chars.len() {
            let at = chars.get(end).copied();
            let cut = at.is_none_or(|c| STOP_CHARACTERS.contains(c))
                || without.get(end).copied().is_some_and(negation);
            if !cut {
                continue;
            }
            let part = &chars[begin..end];
            match part {
                [] => {}
                [c] if numeral(*c) => {}
                [c] => self.add(c.to_string(), TermKind::Word, &mut scope),
                _ => {
                    for pair in part.windows(2).filter(|pair| !pair.iter().copied().any(numeral)) {
                        self.add(pair.iter().collect(), TermKind::Word, &mut scope);
                    }
                }
            }
            if without.get(end).copied().is_some_and(negation) {
                self.negations += 1;
                self.clause_negates = true;
                scope = 2;
            }
            begin = end + 1;
        }
    }
}

fn following_word(token: Option<&Token<'_>>) -> String {
    token.map_or_else(String::new, |token| token.text.to_lowercase())
}

fn is_cjk_start(text: &str) -> bool {
    text.chars().next().is_some_and(is_cjk)
}

/// Whether a sentence begins after `before`, which has no white space at its end.
fn ends_sentence(before: &str) -> bool {
    let before = before.trim_end_matches(['"', '“', '‘', '\'', '(', '*', '#', '-', '•', '>', ' ']);
    before.is_empty()
        || before.ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '\n', '”', '"'])
}

/// Whether two keys are forms of one word that the stemmer keeps apart, such as
/// "german" and "germani": a long common beginning and a short rest. Types of
/// products that differ in a digit are different things.
pub(crate) fn akin(a: &str, b: &str) -> bool {
    if a.contains(|c: char| c.is_ascii_digit() || c == '#')
        || b.contains(|c: char| c.is_ascii_digit() || c == '#')
    {
        return false;
    }
    let common = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let longest = a.chars().count().max(b.chars().count());
    common >= 4 && common * 10 >= longest * 7
}

/// How much a related form of a word counts.
const AKIN: f32 = 0.8;
/// How much a pair of CJK characters counts that stand in the text apart.
const BOTH_CHARACTERS: f32 = 0.5;

/// How much of a term the keys of a text have, in 0..=1.
pub(crate) fn found(key: &str, keys: &HashSet<String>) -> f32 {
    if keys.contains(key) {
        1.0
    } else if keys.iter().any(|other| akin(key, other)) {
        AKIN
    } else if key.chars().all(is_cjk)
        && key.chars().all(|c| keys.contains(c.encode_utf8(&mut [0; 4]) as &str))
    {
        // Two characters that stand side by side only where words meet.
        BOTH_CHARACTERS
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        Terms::of(text).terms.into_iter().map(|term| term.key).collect()
    }

    #[test]
    fn keeps_what_carries_content() {
        let cases: &[(&str, &[&str])] = &[
            ("The cats were running.", &["cat", "run"]),
            ("It is what it is.", &[]),
            ("1,000 euros in 2024", &["#1000", "euro", "#2024"]),
            ("about 5 million people", &["#5000000", "peopl"]),
            ("the 19th century", &["#19", "centuri"]),
            ("twelve months, 24-month", &["#12", "month", "#24"]),
            ("a 200MB file", &["#200", "mb", "file"]),
            ("合同的金额", &["合同", "金额"]),
            ("共3.5万元", &["共", "#35000"]),
            ("三万元", &["#30000"]),
            ("三十天期限", &["#30", "天期", "期限"]),
            ("三个月", &["#3", "个月"]),
            ("四川省", &["川省"]),
        ];
        for (text, expected) in cases {
            assert_eq!(keys(text), *expected, "{text}");
        }
    }

    #[test]
    fn reads_numbers_in_every_form() {
        let cases = [
            ("共计三万五千元", 35_000.0),
            ("二〇二四年", 2024.0),
            ("3.5万元", 35_000.0),
            ("12亿人", 1.2e9),
            ("十五天", 15.0),
            ("三个月", 3.0),
            ("2024-03-05", 3.0),
            ("the second of May", 5.0),
            ("two hundred", 200.0),
            ("$2.5bn", 2.5e9),
        ];
        for (text, value) in cases {
            assert!(
                Terms::of(text).keys.contains(&number_key(value)),
                "{text}: {:?}",
                Terms::of(text).keys
            );
        }
    }

    #[test]
    fn knows_forms_of_one_word() {
        let cases = [
            ("german", "germani", true),
            ("norman", "normandi", true),
            ("power6", "power9", false),
            ("#1990", "#1991", false),
            ("nation", "native", false),
            ("car", "cart", false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(akin(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn tells_names_by_their_capitals() {
        let names = |text: &str| -> Vec<String> {
            Terms::of(text)
                .terms
                .into_iter()
                .filter(|t| t.kind == TermKind::Name)
                .map(|t| t.key)
                .collect()
        };
        assert_eq!(names("The house of Ada Lovelace burned."), ["ada", "lovelac"]);
        assert_eq!(names("Marie Curie found it."), ["mari", "curi"]);
        assert_eq!(names("Houses burn."), Vec::<String>::new());
        assert_eq!(names("We use LanceDB."), ["lancedb"]);
        assert_eq!(names("How To Build A House"), Vec::<String>::new());
    }

    #[test]
    fn sees_negations_and_what_they_deny() {
        let cases = [
            ("It is not allowed.", true),
            ("You can't smoke.", true),
            ("See No. 5.", false),
            ("No, it is red.", false),
            ("not only red", false),
            ("不得转租", true),
            ("非常重要", false),
            ("不仅重要", false),
            ("是否重要", false),
            ("没有收到", true),
        ];
        for (text, expected) in cases {
            assert_eq!(Terms::of(text).negations > 0, expected, "{text}");
        }
        assert!(Terms::of("The dog was not found.").negated.contains("found"));
        assert!(Terms::of("承租人不得转租").negated.contains("转租"));
    }
}
