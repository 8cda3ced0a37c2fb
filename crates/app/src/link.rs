//! Links to passages of the library: `lectern://open?document=…&start=…&end=…&content=…`.
//!
//! Anybody may write such a link, so it can do one thing only: have a document that is in the
//! library shown.

use lectern_domain::{CharRange, ErrorCode, char_slice};
use url::Url;

use crate::{App, AppError, Linked, Quoted, Result, SourceNow, SourceState, source::Whereabouts};

/// The longest link that is looked at, in bytes. A path has at most 4096.
const LONGEST: usize = 16 * 1024;

/// What a link says.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    document: String,
    range: CharRange,
    content: Option<String>,
}

impl App {
    /// The passage that a link leads to, as the library has it now. Where the document was changed
    /// since, that is the document only.
    pub fn linked(&self, link: &str) -> Result<Linked> {
        let Parts { document, range, content } = parts(link).ok_or_else(|| {
            AppError::new(
                ErrorCode::InvalidInput,
                "the link does not lead to a passage",
                "Copy it once more from the source that it is to lead to.",
            )
        })?;
        let quoted = Quoted { document, content, quote: String::new() };
        let SourceNow { state, document } = self.source_now(&quoted)?;
        let found = self.document(&document)?;
        let same = quoted.content.is_some()
            && matches!(state, SourceState::Same | SourceState::Moved | SourceState::Missing);
        let range = if same { range } else { CharRange::new(0, 0) };
        let text = self.catalog().text(found.id)?.unwrap_or_default();
        let Whereabouts { page, label, place } = self.whereabouts(found.id, range.start)?;
        Ok(Linked {
            rects: self.rects(found.id, range)?,
            quote: char_slice(&text, range).to_owned(),
            document,
            page: page.filter(|_| same),
            label: label.filter(|_| same),
            place: place.filter(|_| same),
            start: range.start,
            end: range.end,
            content: quoted.content,
        })
    }
}

fn parts(link: &str) -> Option<Parts> {
    let url = Url::parse(link).ok().filter(|_| link.len() <= LONGEST)?;
    if url.scheme() != "lectern" || url.host_str() != Some("open") {
        return None;
    }
    let value = |name: &str| {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let number = |name: &str| value(name).map_or(Some(0), |digits| digits.parse().ok());
    let (start, end) = (number("start")?, number("end")?);
    let document = value("document").filter(|path| !path.is_empty())?;
    (start <= end).then(|| Parts {
        document,
        range: CharRange::new(start, end),
        content: value("content"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_to_a_passage_is_a_link() {
        let said = |document: &str, start, end, content: Option<&str>| {
            let (document, content) = (document.to_owned(), content.map(str::to_owned));
            Some(Parts { document, range: CharRange::new(start, end), content })
        };
        let cases = [
            ("lectern://open?document=%2Fa%20b%2F%E7%94%B2.md", said("/a b/甲.md", 0, 0, None)),
            ("lectern://open/?document=/a%26b&start=3&end=9", said("/a&b", 3, 9, None)),
            ("lectern://open?document=/a&content=c0ffee&run=rm", said("/a", 0, 0, Some("c0ffee"))),
            ("lectern://remove?document=/a", None),
            ("lectern://open", None),
            ("lectern://open?document=", None),
            ("lectern://open?document=/a&start=9&end=3", None),
            ("lectern://open?document=/a&start=-1", None),
            ("https://open?document=/a", None),
            ("file:///etc/passwd", None),
            ("", None),
        ];
        for (link, expected) in cases {
            assert_eq!(parts(link), expected, "{link}");
        }
        let long = format!("lectern://open?document=/{}", "a".repeat(LONGEST));
        assert_eq!(parts(&long), None);
    }
}
