//! Why a file is not ready, by a name that every face has its own words for.
//!
//! The catalogue keeps the English sentence, which the command line prints. The name is found by
//! that sentence, so that files which an earlier version left out have theirs as well; a sentence
//! that is not known here has none, and is shown as it is.

use lectern_extract::ReadError;

use crate::ReasonCode;

/// What a reason begins with, what it is, and whether the rest says more.
const BEGINNINGS: [(&str, ReasonCode); 8] = [
    ("the file is damaged: ", ReasonCode::Damaged),
    ("the file could not be read: ", ReasonCode::Unreadable),
    ("reading the file took longer than ", ReasonCode::TimedOut),
    ("the reader broke off: ", ReasonCode::Crashed),
    ("the reading process could not be started: ", ReasonCode::Crashed),
    ("The file is larger than ", ReasonCode::TooBig),
    ("The file's name is not valid Unicode", ReasonCode::BadName),
    ("Reading it was called off", ReasonCode::Cancelled),
];

/// The name of a reason, with what belongs to it: a number or, in English, what exactly is wrong.
pub(crate) fn name(reason: &str) -> Option<(ReasonCode, Option<String>)> {
    let fixed = [
        (ReadError::Missing, ReasonCode::Missing),
        (ReadError::AccessDenied, ReasonCode::AccessDenied),
        (ReadError::Empty, ReasonCode::Empty),
        (ReadError::NoWords, ReasonCode::Empty),
        (ReadError::NotText, ReasonCode::NotText),
        (ReadError::Unsupported, ReasonCode::Unsupported),
        (ReadError::PasswordNeeded, ReasonCode::PasswordNeeded),
        (ReadError::NeedsOcr, ReasonCode::NeedsOcr),
        (ReadError::TooBig, ReasonCode::TooBig),
        (ReadError::TooDeep, ReasonCode::TooDeep),
    ];
    let said = reason.trim_end_matches('.');
    if let Some((_, code)) =
        fixed.into_iter().find(|(error, _)| error.to_string().eq_ignore_ascii_case(said))
    {
        return Some((code, None));
    }
    let (rest, code) = BEGINNINGS
        .iter()
        .find_map(|(beginning, code)| Some((reason.strip_prefix(beginning)?, *code)))?;
    let detail = match code {
        ReasonCode::Damaged | ReasonCode::Unreadable => Some(rest.to_owned()),
        ReasonCode::TooBig | ReasonCode::TimedOut => {
            rest.split_whitespace().next().map(str::to_owned)
        }
        _ => None,
    };
    Some((code, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_their_names() {
        let cases = [
            ("The file is empty.", ReasonCode::Empty, None),
            ("the file is empty", ReasonCode::Empty, None),
            (
                "the file holds pictures of pages only (a scan); its text is not recognised",
                ReasonCode::NeedsOcr,
                None,
            ),
            ("the file is damaged: no xref", ReasonCode::Damaged, Some("no xref")),
            ("The file is larger than 200 MB.", ReasonCode::TooBig, Some("200")),
            ("the file is too big to be read", ReasonCode::TooBig, None),
            (
                "reading the file took longer than 60 s and was stopped",
                ReasonCode::TimedOut,
                Some("60"),
            ),
        ];
        for (sentence, code, detail) in cases {
            assert_eq!(name(sentence), Some((code, detail.map(str::to_owned))), "{sentence}");
        }
        assert_eq!(name("the moon is full"), None);
    }

    #[test]
    fn what_reading_says_is_known() {
        let errors = [
            ReadError::Missing,
            ReadError::AccessDenied,
            ReadError::Io(std::io::Error::other("gone")),
            ReadError::Empty,
            ReadError::NoWords,
            ReadError::NotText,
            ReadError::Unsupported,
            ReadError::Damaged("torn".into()),
            ReadError::PasswordNeeded,
            ReadError::NeedsOcr,
            ReadError::TooBig,
            ReadError::TooDeep,
        ];
        for error in errors {
            assert!(name(&error.to_string()).is_some(), "{error}");
        }
    }
}
