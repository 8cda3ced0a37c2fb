//! One file over HTTP, into a file that grows: resumed where it ended, checked while it
//! is written, and given up only for a reason.
//!
//! Resuming follows RFC 9110, sections 13.1.5 (`If-Range`) and 14: the range is sent with
//! the validator of what is here, so a file that was changed meanwhile comes whole instead
//! of a part that does not fit. The model hub says more: a first answer redirects to where
//! the bytes are, and gives their number (`x-linked-size`) and SHA-256 (`x-linked-etag`).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::ModelsError;
use crate::network::{Network, host, reason};

/// So many redirects end nowhere.
const MAX_REDIRECTS: usize = 10;
/// What is written at once.
const BLOCK: usize = 1 << 20;
/// How often a file may be begun anew because what came did not fit together.
const MAX_BEGINNINGS: u32 = 3;

/// What is known of a file before it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) bytes: Option<u64>,
    /// In lower-case hexadecimal.
    pub(crate) sha256: Option<String>,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// What happens while a file comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// So many bytes of so many are here.
    Bytes(u64, Option<u64>),
    /// It did not work for this reason and is tried again.
    Retrying(&'a ModelsError),
}

/// A file to be fetched.
pub(crate) struct Transfer<'a> {
    pub(crate) network: &'a Network,
    pub(crate) url: &'a str,
    /// Its name for people.
    pub(crate) name: &'a str,
    /// The model it belongs to.
    pub(crate) id: &'a str,
    /// Where it grows.
    pub(crate) part: &'a Path,
    pub(crate) expected: Expected,
    /// How many failures in a row, without a byte between them, end it.
    pub(crate) failures: u32,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) step: &'a (dyn Fn(Step<'_>) + Send + Sync),
}

/// How one try ended that did not bring the whole file.
enum Ended {
    /// It makes no sense to go on.
    For(ModelsError),
    /// It may work next time, after so long at least.
    Again(ModelsError, Option<Duration>),
    /// What is here does not belong to what the server has.
    Anew(ModelsError),
}

impl From<ModelsError> for Ended {
    fn from(error: ModelsError) -> Self {
        Self::For(error)
    }
}

impl Transfer<'_> {
    /// Fetches what is missing, checks it, and leaves the whole file at `part`.
    pub(crate) async fn fetch(&self) -> Result<Checked, ModelsError> {
        let mut part = self.blocking(Part::open(self.part.to_owned())).await?;
        let (mut failures, mut beginnings, mut most) = (0, 0, part.bytes);
        loop {
            let ended = match self.attempt(&mut part).await {
                Ok(checked) => return Ok(checked),
                Err(ended) => ended,
            };
            match ended {
                Ended::For(error) => return Err(error),
                Ended::Anew(error) => {
                    beginnings += 1;
                    part = self.blocking(part.cleared()).await?;
                    most = 0;
                    if beginnings >= MAX_BEGINNINGS {
                        return Err(error);
                    }
                    (self.step)(Step::Retrying(&error));
                }
                Ended::Again(error, wanted) => {
                    if part.bytes > most {
                        (failures, most) = (0, part.bytes);
                    }
                    failures += 1;
                    let patience = &self.network.patience;
                    if failures > self.failures {
                        return Err(error);
                    }
                    (self.step)(Step::Retrying(&error));
                    let doubled = patience.first.saturating_mul(1 << (failures - 1).min(16));
                    let wait = doubled.max(wanted.unwrap_or_default()).min(patience.longest);
                    self.or_stopped(tokio::time::sleep(wait)).await?;
                }
            }
        }
    }

    async fn attempt(&self, part: &mut Part) -> Result<Checked, Ended> {
        // What a killed process left may be whole already.
        if self.expected.bytes == Some(part.bytes) && self.expected.sha256.is_some() {
            return self.finish(part, &self.expected).await;
        }
        let (response, linked) = self.request(part).await?;
        let url = response.url().clone();
        let expected = self.agree(&url, linked)?;
        let status = response.status();
        let whole = match status {
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(response.headers());
                let (start, total) =
                    range.ok_or_else(|| self.anew(&url, "its range makes no sense"))?;
                if start != part.bytes {
                    return Err(self.anew(&url, "it sends another part than was asked for"));
                }
                if let (Some(before), Some(now)) = (&part.origin.sha256, &expected.sha256)
                    && before != now
                {
                    return Err(self.anew(&url, "it was changed since its first part came"));
                }
                total.or(response.content_length().map(|left| part.bytes + left))
            }
            StatusCode::OK => {
                if part.bytes > 0 {
                    self.renew(part).await?;
                }
                response.content_length()
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                if expected.sha256.is_some()
                    && expected.bytes.is_none_or(|bytes| bytes == part.bytes)
                {
                    return self.finish(part, &expected).await;
                }
                return Err(self.anew(&url, "what is here is longer than the file"));
            }
            _ => return Err(self.refused(&url, &response)),
        };
        if let (Some(expected), Some(found)) = (expected.bytes, whole)
            && expected != found
        {
            let difference = format!("it has {found} bytes and should have {expected}");
            return Err(self.other(&url, difference).into());
        }
        let expected = Expected { bytes: expected.bytes.or(whole), sha256: expected.sha256 };
        if expected.sha256.is_none() {
            return Err(
                ModelsError::NoChecksum { host: host(&url), file: self.name.to_owned() }.into()
            );
        }
        let origin =
            Origin { validator: validator(response.headers()), sha256: expected.sha256.clone() };
        let path = part.path.clone();
        self.blocking(move || origin.keep(&path)).await?;
        self.receive(response, part, &expected).await?;
        self.finish(part, &expected).await
    }

    /// Asks for what is missing and follows redirects. Returns the answer that has the
    /// bytes, and what the answers on the way said of them.
    async fn request(&self, part: &Part) -> Result<(Response, Expected), Ended> {
        let unusable =
            |reason: String| ModelsError::Unreachable { host: self.url.to_owned(), reason };
        let mut url = Url::parse(self.url).map_err(|error| unusable(error.to_string()))?;
        let mut linked = Expected::default();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.network.client.get(url.clone());
            request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if part.bytes > 0 {
                request = request.header(header::RANGE, format!("bytes={}-", part.bytes));
                if let Some(validator) = part.origin.validator.as_deref() {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let sent = self.or_stopped(request.send()).await?;
            let response = sent.map_err(|error| self.lost(&url, &error))?;
            let headers = response.headers();
            linked.bytes = linked.bytes.or_else(|| number(headers, "x-linked-size"));
            linked.sha256 = linked.sha256.or_else(|| digest(headers, "x-linked-etag"));
            let moved = response.status().is_redirection();
            let location = headers.get(header::LOCATION).filter(|_| moved);
            // What is not wanted is not asked for further.
            self.agree(&url, linked.clone())?;
            let Some(location) = location else {
                // A mirror may answer with the bytes at once, under the same name for them.
                linked.sha256 = linked.sha256.or_else(|| digest(headers, "etag"));
                return Ok((response, linked));
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| unusable("it redirects to nowhere".into()))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(
                    unusable("it redirects to a connection that is not encrypted".into()).into()
                );
            }
            url = next;
        }
        Err(unusable("it redirects in circles".into()).into())
    }

    /// What the file should be, by the catalogue and by the server, if they agree.
    fn agree(&self, url: &Url, linked: Expected) -> Result<Expected, ModelsError> {
        let different =
            |what: &str, ours: &dyn std::fmt::Display, theirs: &dyn std::fmt::Display| {
                self.other(url, format!("its {what} is {theirs} and should be {ours}"))
            };
        if let (Some(ours), Some(theirs)) = (&self.expected.sha256, &linked.sha256)
            && ours != theirs
        {
            return Err(different("SHA-256", ours, theirs));
        }
        if let (Some(ours), Some(theirs)) = (self.expected.bytes, linked.bytes)
            && ours != theirs
        {
            return Err(different("number of bytes", &ours, &theirs));
        }
        Ok(Expected {
            bytes: self.expected.bytes.or(linked.bytes),
            sha256: self.expected.sha256.clone().or(linked.sha256),
        })
    }

    /// Writes the body of an answer behind what is here.
    async fn receive(
        &self,
        mut response: Response,
        part: &mut Part,
        expected: &Expected,
    ) -> Result<(), Ended> {
        let url = response.url().clone();
        let mut block = Vec::with_capacity(BLOCK);
        loop {
            let next = self.or_stopped(response.chunk()).await;
            let (chunk, ended) = match next {
                Ok(Ok(chunk)) => (chunk, None),
                Ok(Err(error)) => (None, Some(self.lost(&url, &error))),
                Err(stopped) => (None, Some(stopped.into())),
            };
            let last = chunk.is_none();
            block.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if block.len() >= BLOCK || last {
                let here = part.bytes + block.len() as u64;
                if expected.bytes.is_some_and(|bytes| here > bytes) {
                    return Err(self.anew(&url, "more comes than the file has"));
                }
                let full = std::mem::replace(&mut block, Vec::with_capacity(BLOCK));
                let taken = part.take();
                *part = self.blocking(taken.with(full)).await?;
                (self.step)(Step::Bytes(part.bytes, expected.bytes));
            }
            match (ended, last) {
                (Some(ended), _) => return Err(ended),
                (None, true) if expected.bytes.is_some_and(|bytes| part.bytes < bytes) => {
                    let reason = "the connection ended too early".to_owned();
                    return Err(Ended::Again(
                        ModelsError::Unreachable { host: host(&url), reason },
                        None,
                    ));
                }
                (None, true) => return Ok(()),
                (None, false) => {}
            }
        }
    }

    /// Compares what is here with what it should be.
    async fn finish(&self, part: &mut Part, expected: &Expected) -> Result<Checked, Ended> {
        let taken = part.take();
        *part = self.blocking(taken.flushed()).await?;
        let found = Checked { bytes: part.bytes, sha256: hexadecimal(part.digest.clone()) };
        match &expected.sha256 {
            Some(sha256) if *sha256 == found.sha256 => Ok(found),
            sha256 => Err(Ended::Anew(ModelsError::Damaged {
                file: self.name.to_owned(),
                expected: sha256.clone().unwrap_or_default(),
                found: found.sha256,
            })),
        }
    }

    async fn renew(&self, part: &mut Part) -> Result<(), ModelsError> {
        let taken = part.take();
        *part = self.blocking(taken.cleared()).await?;
        Ok(())
    }

    /// What an answer without the file means.
    fn refused(&self, url: &Url, response: &Response) -> Ended {
        let status = response.status();
        let error = ModelsError::Status {
            host: host(url),
            file: self.name.to_owned(),
            status: status.as_u16(),
        };
        let again = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            // An address that was redirected to is signed for some time only.
            || (status == StatusCode::FORBIDDEN && url.as_str() != self.url);
        if !again {
            return Ended::For(error);
        }
        // The date that may stand here instead comes from servers that are down for long.
        let wanted = number(response.headers(), "retry-after").map(Duration::from_secs);
        Ended::Again(error, wanted)
    }

    /// What a connection that failed means.
    fn lost(&self, url: &Url, error: &reqwest::Error) -> Ended {
        let (host, reason) = (host(url), reason(error));
        // As rustls says it; the error itself is hidden under three libraries.
        if let Some((_, fault)) = reason.split_once("invalid peer certificate: ") {
            return Ended::For(ModelsError::Certificate { host, reason: fault.to_owned() });
        }
        Ended::Again(ModelsError::Unreachable { host, reason }, None)
    }

    fn other(&self, url: &Url, difference: String) -> ModelsError {
        ModelsError::OtherFile { host: host(url), file: self.name.to_owned(), difference }
    }

    fn anew(&self, url: &Url, difference: &str) -> Ended {
        Ended::Anew(self.other(url, difference.to_owned()))
    }

    pub(crate) async fn or_stopped<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, ModelsError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ModelsError::Stopped { id: self.id.to_owned() }),
            done = work => Ok(done),
        }
    }

    /// Work on the file, on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, ModelsError> {
        blocking(self.part, work).await
    }
}

/// Work on the disk, on a thread that may wait for it.
pub(crate) async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ModelsError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    done.map_err(|source| ModelsError::Io { path: path.to_owned(), source })
}

/// The part of a file that is here, and its digest so far.
struct Part {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    digest: Sha256,
    origin: Origin,
}

impl Part {
    /// Opens what is here, or makes it, and reads it for its digest.
    fn open(path: PathBuf) -> impl FnOnce() -> io::Result<Self> {
        move || {
            let mut file =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            let origin = Origin::of(&path);
            let (mut digest, mut bytes) = (Sha256::new(), 0);
            let mut block = vec![0; BLOCK];
            loop {
                match file.read(&mut block)? {
                    0 => break,
                    read => {
                        digest.update(&block[..read]);
                        bytes += read as u64;
                    }
                }
            }
            Ok(Self { path, file: Some(file), bytes, digest, origin })
        }
    }

    /// Leaves an empty one behind, for work on another thread.
    fn take(&mut self) -> Self {
        Self {
            path: self.path.clone(),
            file: self.file.take(),
            bytes: self.bytes,
            digest: self.digest.clone(),
            origin: self.origin.clone(),
        }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file was closed by a failure"))
    }

    fn with(mut self, block: Vec<u8>) -> impl FnOnce() -> io::Result<Self> {
        move || {
            let end = self.bytes;
            let file = self.file()?;
            file.seek(SeekFrom::Start(end))?;
            file.write_all(&block)?;
            self.digest.update(&block);
            self.bytes += block.len() as u64;
            Ok(self)
        }
    }

    fn cleared(mut self) -> impl FnOnce() -> io::Result<Self> {
        move || {
            self.file()?.set_len(0)?;
            self.origin = Origin::default();
            self.origin.keep(&self.path)?;
            Ok(Self { bytes: 0, digest: Sha256::new(), ..self })
        }
    }

    fn flushed(mut self) -> impl FnOnce() -> io::Result<Self> {
        move || {
            self.file()?.sync_all()?;
            Ok(self)
        }
    }
}

/// Where a part is from, kept beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// A strong entity tag, or a date.
    validator: Option<String>,
    /// What the server said the whole file's SHA-256 is.
    sha256: Option<String>,
}

impl Origin {
    fn path(part: &Path) -> PathBuf {
        let mut name = part.as_os_str().to_owned();
        name.push(".from");
        name.into()
    }

    fn of(part: &Path) -> Self {
        let content = fs::read(Self::path(part)).unwrap_or_default();
        serde_json::from_slice(&content).unwrap_or_default()
    }

    fn keep(&self, part: &Path) -> io::Result<()> {
        write_whole(&Self::path(part), &serde_json::to_vec(self)?)
    }
}

/// Removes a part and what is known of it.
pub(crate) fn discard(part: &Path) -> io::Result<()> {
    for path in [part.to_owned(), Origin::path(part)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a small file so that it is there whole, under its name, or as it was.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, content)?;
    fs::rename(&new, path)
}

pub(crate) fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// A SHA-256 that serves as an entity tag.
fn digest(headers: &HeaderMap, name: &str) -> Option<String> {
    let tag = headers.get(name)?.to_str().ok()?.trim().trim_matches('"');
    let is_digest = tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| tag.to_ascii_lowercase())
}

/// What `If-Range` may be sent: a strong entity tag, or the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let strong = text(header::ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| text(header::LAST_MODIFIED)).map(str::to_owned)
}

/// The first byte and the file's length, of `bytes 10-99/100`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    Some((start, total.trim().parse().ok()))
}

/// The pace of the last seconds.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    bytes: u64,
    per_second: Option<f64>,
}

impl Pace {
    /// The time over which it is taken.
    const SPAN: Duration = Duration::from_secs(2);

    pub(crate) fn new(bytes: u64) -> Self {
        Self { since: Instant::now(), bytes, per_second: None }
    }

    /// So many bytes are here now.
    pub(crate) fn at(&mut self, bytes: u64) -> Option<f64> {
        if bytes < self.bytes {
            *self = Self::new(bytes);
        }
        let passed = self.since.elapsed();
        if passed >= Self::SPAN {
            let now = (bytes - self.bytes) as f64 / passed.as_secs_f64();
            let smooth = self.per_second.map_or(now, |before| (before + now) / 2.);
            *self = Self { since: Instant::now(), bytes, per_second: Some(smooth) };
        }
        self.per_second
    }
}
