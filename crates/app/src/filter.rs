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
    let paths = |paths: &[String]| {
        let path = |path| absolute(path).map(|path| path.to_string_lossy().into_owned());
        paths.iter().map(|named| path(Path::new(named))).collect::<Result<_>>()
    };
    Ok(ScopeFilter {
        within: paths(&filter.within)?,
        without: paths(&filter.without)?,
        named: Vec::new(),
        kinds,
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
                within: Vec::new(),
                without: Vec::new(),
                kinds: kinds.iter().map(ToString::to_string).collect(),
                since: since.map(Into::into),
                until: until.map(Into::into),
            })
        };
        assert_eq!(filter(&["pdf,md", "HTM"], None, None).unwrap().kinds, ["pdf", "md", "html"]);
        let day = filter(&[], Some("2024-02-28"), Some("2024-02-28")).unwrap();
        assert_eq!(day.before.unwrap() - day.since.unwrap(), 24 * 3600 * 1_000_000_000);
        for (kinds, since) in
            [(&["exe"][..], None), (&[], Some("yesterday")), (&[], Some("2024-02-30"))]
        {
            let error = filter(kinds, since, None).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput);
            assert!(!error.hint.is_empty());
        }
    }
}
