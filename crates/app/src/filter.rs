//! Filters as people write them, as the catalogue understands them.

use std::path::{Path, PathBuf};

use chrono::{Days, Local, NaiveDate, NaiveTime};
use lectern_catalog::ScopeFilter;
use lectern_domain::{DocumentKind, ErrorCode};
use lectern_extract::archive_of;

use crate::{AppError, Filter, Result};

/// The filter that the catalogue applies. Days are days of the local calendar.
pub(crate) fn resolve(filter: &Filter) -> Result<ScopeFilter> {
    let kinds = kinds(&filter.kinds)?;
    let languages = languages(&filter.languages)?;
    let tags = filter.tags.iter().map(|tag| tag_name(tag)).collect::<Result<_>>()?;
    let paths = |paths: &[String]| {
        let path = |path| absolute(path).map(|path| path.to_string_lossy().into_owned());
        paths.iter().map(|named| path(Path::new(named))).collect::<Result<_>>()
    };
    Ok(ScopeFilter {
        within: paths(&filter.within)?,
        without: paths(&filter.without)?,
        named: Vec::new(),
        kinds,
        languages,
        tags,
        since: filter.since.as_deref().map(start_of_day).transpose()?,
        before: filter.until.as_deref().map(end_of_day).transpose()?,
    })
}

/// `path` made absolute, with links resolved where it exists. A path that is gone
/// from the disk may still be in the library.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    // What is in an archive has its links resolved where the archive is.
    let member = archive_of(path).and_then(|archive| {
        Some(archive.canonicalize().ok()?.join(path.strip_prefix(archive).ok()?))
    });
    if let Some(path) = member {
        return Ok(path);
    }
    std::path::absolute(path).map_err(|error| {
        AppError::new(
            ErrorCode::InvalidInput,
            format!("{}: {error}", path.display()),
            "Check the path.",
        )
    })
}

fn start_of_day(date: &str) -> Result<i64> {
    nanoseconds(date, parse(date)?)
}

fn end_of_day(date: &str) -> Result<i64> {
    let next = parse(date)?.checked_add_days(Days::new(1));
    nanoseconds(date, next.ok_or_else(|| invalid(date))?)
}

fn parse(date: &str) -> Result<NaiveDate> {
    NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| invalid(date))
}

/// The names of these types, which may be written with commas between them, or as extensions.
pub(crate) fn kinds(names: &[String]) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for name in names.iter().flat_map(|names| names.split(',')) {
        let name = name.trim();
        let kind = DocumentKind::parse(&name.to_ascii_lowercase())
            .or_else(|| DocumentKind::from_extension(name.trim_start_matches('.')))
            .ok_or_else(|| {
                let types = DocumentKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
                AppError::new(
                    ErrorCode::InvalidInput,
                    format!("{name:?} is not a type of document that Lectern reads"),
                    format!("Types are: {}.", types.join(", ")),
                )
            })?;
        kinds.push(kind.as_str().to_owned());
    }
    Ok(kinds)
}

/// The codes of these languages, which may be written with commas between them.
fn languages(names: &[String]) -> Result<Vec<String>> {
    let names = names.iter().flat_map(|names| names.split(','));
    let code = |name: &str| {
        let name = name.trim().to_lowercase();
        // A region does not matter: `en-GB` is English.
        let code = name.split(['-', '_']).next().unwrap_or_default();
        lectern_ingest::languages().find(|known| *known == code).map(str::to_owned).ok_or_else(
            || {
                let known = lectern_ingest::languages().collect::<Vec<_>>();
                AppError::new(
                    ErrorCode::InvalidInput,
                    format!("{name:?} is not a language that Lectern tells apart"),
                    format!("Languages are: {}.", known.join(", ")),
                )
            },
        )
    };
    names.map(code).collect()
}

/// A tag as it is kept: in lower case, without spaces around it or a `#` before it.
pub(crate) fn tag_name(tag: &str) -> Result<String> {
    let name = tag.trim().trim_start_matches('#').trim().to_lowercase();
    if name.is_empty() || name.contains(|c: char| c == ',' || c == '"' || c.is_control()) {
        return Err(AppError::new(
            ErrorCode::InvalidInput,
            format!("{tag:?} cannot be a tag"),
            "A tag is a word or a few, without commas and quotation marks.",
        ));
    }
    Ok(name)
}

fn nanoseconds(written: &str, date: NaiveDate) -> Result<i64> {
    date.and_time(NaiveTime::MIN)
        .and_local_timezone(Local)
        .earliest()
        .and_then(|time| time.timestamp_nanos_opt())
        .ok_or_else(|| invalid(written))
}

fn invalid(date: &str) -> AppError {
    AppError::new(
        ErrorCode::InvalidInput,
        format!("{date:?} is not a date"),
        "Write dates as YYYY-MM-DD, for example 2024-03-31.",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn understands_kinds_and_dates_or_says_what_is_wrong() {
        let filter = |kinds: &[&str], since: Option<&str>, until: Option<&str>| {
            resolve(&Filter {
                kinds: kinds.iter().map(ToString::to_string).collect(),
                since: since.map(Into::into),
                until: until.map(Into::into),
                ..Filter::default()
            })
        };
        assert_eq!(filter(&["pdf,md", "HTM"], None, None).unwrap().kinds, ["pdf", "md", "html"]);
        let day = filter(&[], Some("2024-02-28"), Some("2024-02-28")).unwrap();
        assert_eq!(day.before.unwrap() - day.since.unwrap(), 24 * 3600 * 1_000_000_000);
        let of = |languages: &[&str], tags: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            resolve(&Filter { languages: owned(languages), tags: owned(tags), ..Filter::default() })
        };
        let found = of(&["de,en-GB", "ZH"], &["Tax 2023 ", "#home"]).unwrap();
        assert_eq!(found.languages, ["de", "en", "zh"]);
        assert_eq!(found.tags, ["tax 2023", "home"]);
        for (languages, tags) in [(&["german"][..], &[][..]), (&[], &[" # "]), (&[], &["a,b"])] {
            let error = of(languages, tags).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput, "{languages:?} {tags:?}");
            assert!(!error.hint.is_empty());
        }
        for (kinds, since) in
            [(&["exe"][..], None), (&[], Some("yesterday")), (&[], Some("2024-02-30"))]
        {
            let error = filter(kinds, since, None).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput);
            assert!(!error.hint.is_empty());
        }
    }
}
