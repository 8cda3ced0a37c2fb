//! What a person types into the search field: words, "exact words", and filters such as `in:contracts`,
//! `type:pdf` or `after:2023-05`.

use crate::Filter;

/// A query taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    /// What is searched for: all but the filters, the quoted words among it.
    pub(crate) text: String,
    /// What was quoted, to be found as it is but for case and spaces.
    pub(crate) phrases: Vec<String>,
    /// Whether all words were.
    pub(crate) is_quoted: bool,
    /// Parts of the paths of the files that are meant, in lower case.
    pub(crate) named: Vec<String>,
    /// The other filters.
    pub(crate) filter: Filter,
}

/// The straight and the curly marks, and those of French, German and Chinese, each with what ends it.
const QUOTES: [(char, char); 6] =
    [('"', '"'), ('“', '”'), ('«', '»'), ('„', '“'), ('「', '」'), ('『', '』')];

impl Query {
    /// Takes `typed` apart. Nothing is an error: a quote that is not closed quotes nothing, and a word
    /// with a colon that is no filter is a word.
    pub(crate) fn parse(typed: &str) -> Self {
        let mut query = Self::default();
        let mut has_other_words = false;
        let mut rest = typed.trim_start();
        while let Some(first) = rest.chars().next() {
            let quoted =
                QUOTES.iter().find(|(open, _)| *open == first).and_then(|(open, close)| {
                    let inside = &rest[open.len_utf8()..];
                    inside.split_once(*close)
                });
            let (word, later) = match quoted {
                Some((phrase, later)) => {
                    if !normal(phrase).is_empty() {
                        query.phrases.push(normal(phrase));
                    }
                    (phrase, later)
                }
                None => {
                    let end = end_of_word(rest);
                    let (word, later) = rest.split_at(end);
                    let filter = query.takes_filter(word);
                    has_other_words |= !filter;
                    (if filter { "" } else { word }, later)
                }
            };
            if !word.trim().is_empty() {
                if !query.text.is_empty() {
                    query.text.push(' ');
                }
                query.text.push_str(word.trim());
            }
            rest = later.trim_start();
        }
        query.is_quoted = !query.phrases.is_empty() && !has_other_words;
        query
    }

    fn takes_filter(&mut self, word: &str) -> bool {
        let Some((name, value)) = word.split_once(':') else { return false };
        let value = value.trim_matches('"');
        if value.is_empty() {
            return false;
        }
        match name {
            "in" => self.named.push(value.to_lowercase()),
            "type" => self.filter.kinds.push(value.to_owned()),
            "lang" | "language" => self.filter.languages.push(value.to_owned()),
            "tag" => self.filter.tags.push(value.to_owned()),
            "after" | "since" => match day(value, false) {
                Some(day) => self.filter.since = Some(day),
                None => return false,
            },
            "before" | "until" => match day(value, true) {
                Some(day) => self.filter.until = Some(day),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// Whether a passage holds all that was quoted.
    pub(crate) fn is_in(&self, passage: &str) -> bool {
        if self.phrases.is_empty() {
            return true;
        }
        let passage = normal(passage);
        self.phrases.iter().all(|phrase| passage.contains(phrase))
    }
}

/// Where the word at the start of `text` ends: at a space, but not inside of `in:"two words"`.
fn end_of_word(text: &str) -> usize {
    if let Some((name, value)) = text.split_once(":\"")
        && !name.contains(char::is_whitespace)
        && let Some(end) = value.find('"')
    {
        return name.len() + 2 + end + 1;
    }
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// `2023`, `2023-05` or `2023-05-31` as a day: the first of the time named, or its last.
fn day(value: &str, last: bool) -> Option<String> {
    use chrono::{Months, NaiveDate};
    let parts: Vec<u32> = value.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let date =
        |year: u32, month, day| NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    let (first, months) = match *parts.as_slice() {
        [year] if value.len() == 4 => (date(year, 1, 1)?, 12),
        [year, month] => (date(year, month, 1)?, 1),
        [year, month, day] => (date(year, month, day)?, 0),
        _ => return None,
    };
    let day = if last && months > 0 {
        first.checked_add_months(Months::new(months))?.pred_opt()?
    } else {
        first
    };
    Some(day.format("%Y-%m-%d").to_string())
}

/// In lower case, with one space between words and none between characters that need none.
fn normal(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut normal = String::with_capacity(lower.len());
    for word in lower.split_whitespace() {
        let spaced = |c: Option<char>| c.is_some_and(|c| !is_unspaced(c));
        if spaced(normal.chars().next_back()) && spaced(word.chars().next()) {
            normal.push(' ');
        }
        normal.push_str(word);
    }
    normal
}

/// Chinese and Japanese, whose lines break anywhere.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart_what_is_typed() {
        let filter = |kinds: &[&str], since: Option<&str>, until: Option<&str>| Filter {
            kinds: kinds.iter().map(ToString::to_string).collect(),
            since: since.map(Into::into),
            until: until.map(Into::into),
            ..Filter::default()
        };
        let none = Filter::default;
        type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str], Filter);
        let cases: &[Case] = &[
            ("", "", &[], &[], none()),
            ("  rent  due ", "rent due", &[], &[], none()),
            ("\"Net  Rent\" due", "Net  Rent due", &["net rent"], &[], none()),
            ("“违约金” 是", "违约金 是", &["违约金"], &[], none()),
            ("“x”", "x", &["x"], &[], none()),
            ("\"a b\" in:c", "a b", &["a b"], &["c"], none()),
            ("„Netto Miete“ x", "Netto Miete x", &["netto miete"], &[], none()),
            ("«Netto Miete» x", "Netto Miete x", &["netto miete"], &[], none()),
            ("\"never closed", "\"never closed", &[], &[], none()),
            ("\"\" \" \"", "", &[], &[], none()),
            ("rent in:Contracts", "rent", &[], &["contracts"], none()),
            ("in:\"Old Contracts\" rent", "rent", &[], &["old contracts"], none()),
            ("type:pdf,md rent", "rent", &[], &[], filter(&["pdf,md"], None, None)),
            (
                "lang:de tag:\"tax 2023\" rent language:fr tag:home",
                "rent",
                &[],
                &[],
                Filter {
                    languages: vec!["de".into(), "fr".into()],
                    tags: vec!["tax 2023".into(), "home".into()],
                    ..none()
                },
            ),
            (
                "rent after:2023-05 before:2024",
                "rent",
                &[],
                &[],
                filter(&[], Some("2023-05-01"), Some("2024-12-31")),
            ),
            ("since:2024-02-28 x", "x", &[], &[], filter(&[], Some("2024-02-28"), None)),
            // Words like any other.
            (
                "after:lunch in: note:this 10:30",
                "after:lunch in: note:this 10:30",
                &[],
                &[],
                none(),
            ),
            ("before:2023-13", "before:2023-13", &[], &[], none()),
        ];
        for (typed, text, phrases, named, filter) in cases {
            let query = Query::parse(typed);
            assert_eq!(query.text, *text, "{typed}");
            assert_eq!(query.phrases, *phrases, "{typed}");
            assert_eq!(query.named, *named, "{typed}");
            assert_eq!(query.is_quoted, ["“x”", "\"a b\" in:c"].contains(typed), "{typed}");
            assert_eq!(query.filter, *filter, "{typed}");
        }
    }

    #[test]
    fn quoted_words_are_found_whatever_the_line_breaks() {
        let cases = [
            ("\"net rent\"", "The Net\nRent is due.", true),
            ("\"net rent\"", "rent, net", false),
            ("\"net rent\" \"due\"", "net rent is due", true),
            ("\"net rent\" \"paid\"", "net rent is due", false),
            ("\"违约金额\"", "违约\n金额为三万元", true),
            ("no quotes", "anything", true),
        ];
        for (typed, passage, expected) in cases {
            assert_eq!(Query::parse(typed).is_in(passage), expected, "{typed} in {passage}");
        }
    }
}
