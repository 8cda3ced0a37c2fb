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
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::ModelsError;
use crate::download::check_room;
use crate::network::{Network, host, reason};

/// So many redirects end nowhere.
const MAX_REDIRECTS: usize = 10;
/// What is written at once.
const BLOCK: usize = 1 << 20;
/// How often progress is told while a second connection is waited for.
const TICK: Duration = Duration::from_millis(250);
/// How often a file may be begun anew because what came did not fit together.
const MAX_BEGINNINGS: u32 = 3;

/// What is known of a file before it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) bytes: Option<u64>,
    /// In lower-case hexadecimal.
    pub(crate) sha256: Option<String>,
    /// The name of its content in Git, which the hub says of small files instead.
    pub(crate) blob: Option<String>,
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
    /// It goes on from where another connection has come to.
    Further,
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
        let mut second = Second::Untried;
        loop {
            let ended = match self.attempt(&mut part, &mut second).await {
                Ok(checked) => return Ok(checked),
                Err(ended) => ended,
            };
            match ended {
                Ended::Further => {}
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

    async fn attempt(&self, part: &mut Part, second: &mut Second) -> Result<Checked, Ended> {
        // What a killed process left may be whole already.
        if self.expected.bytes == Some(part.bytes) && self.expected.sha256.is_some() {
            return self.finish(part, &self.expected).await;
        }
        let validator_here = part.origin.validator.as_deref();
        let (response, linked) = self.request(part.bytes, validator_here).await?;
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
        let expected = Expected { bytes: expected.bytes.or(whole), ..expected };
        if expected.sha256.is_none() && expected.blob.is_none() {
            return Err(
                ModelsError::NoChecksum { host: host(&url), file: self.name.to_owned() }.into()
            );
        }
        let origin =
            Origin { validator: validator(response.headers()), sha256: expected.sha256.clone() };
        part.origin = origin.clone();
        let path = part.path.clone();
        self.blocking(move || origin.keep(&path)).await?;
        self.receive(response, part, &expected, second).await?;
        self.finish(part, &expected).await
    }

    /// Asks for what comes from a byte on and follows redirects. Returns the answer that has the
    /// bytes, and what the answers on the way said of them.
    async fn request(
        &self,
        from: u64,
        validator: Option<&str>,
    ) -> Result<(Response, Expected), Ended> {
        let unusable =
            |reason: String| ModelsError::Unreachable { host: self.url.to_owned(), reason };
        let mut url = Url::parse(self.url).map_err(|error| unusable(error.to_string()))?;
        let mut linked = Expected::default();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.network.client.get(url.clone());
            request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
                if let Some(validator) = validator {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let sent = self.or_stopped(request.send()).await?;
            let response = sent.map_err(|error| self.lost(&url, &error))?;
            let headers = response.headers();
            linked.bytes = linked.bytes.or_else(|| number(headers, "x-linked-size"));
            linked.sha256 = linked.sha256.or_else(|| digest(headers, "x-linked-etag"));
            linked.blob = linked.blob.or_else(|| blob(headers));
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
            blob: linked.blob,
        })
    }

    /// Writes the body of an answer behind what is here, up to where a second connection began.
    async fn receive(
        &self,
        mut response: Response,
        part: &mut Part,
        expected: &Expected,
        second: &mut Second,
    ) -> Result<(), Ended> {
        let url = response.url().clone();
        let mut block = Vec::with_capacity(BLOCK);
        let began = (Instant::now(), part.bytes);
        let mut ahead: Option<Ahead<'_>> = None;
        loop {
            if ahead.is_none() && second.is_to_begin(began, part.bytes, self.network.patience.probe)
            {
                ahead = self.ahead(part, expected);
            }
            let next = beside(self.or_stopped(response.chunk()), &mut ahead).await;
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
                let more = ahead.as_ref().map_or(0, Ahead::bytes);
                (self.step)(Step::Bytes(part.bytes + more, expected.bytes));
            }
            if let Some(ahead) = ahead.take_if(|ahead| ahead.start <= part.bytes) {
                drop(response);
                *second = self.join(part, ahead, *second, expected).await?;
                return Err(Ended::Further);
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

    /// A second connection for what lies some way ahead, where enough is left for two and there
    /// is room for it.
    fn ahead<'a>(&'a self, part: &Part, expected: &Expected) -> Option<Ahead<'a>> {
        let segment = self.network.patience.segment;
        let start = part.bytes + segment;
        // Without a validator it might be another file's.
        let (total, validator) = (expected.bytes?, part.origin.validator.clone()?);
        let mut name = part.path.as_os_str().to_owned();
        name.push(".ahead");
        let path = PathBuf::from(name);
        if total < start + segment || check_room(path.parent()?, total - part.bytes).is_err() {
            return None;
        }
        let bytes = Arc::<AtomicU64>::default();
        let work = self.fetch_segment(path.clone(), start, total, validator, bytes.clone());
        let (since, from) = (Instant::now(), part.bytes);
        Some(Ahead { start, since, from, path, bytes, work: Box::pin(work), ended: false })
    }

    /// Fetches a segment into a file of its own. However it ends, what is in the file is good.
    async fn fetch_segment(
        &self,
        path: PathBuf,
        start: u64,
        total: u64,
        validator: String,
        bytes: Arc<AtomicU64>,
    ) -> Result<(), Ended> {
        let make = path.clone();
        let mut file = self.blocking(move || File::create(make)).await?;
        let (mut response, _) = self.request(start, Some(&validator)).await?;
        let url = response.url().clone();
        let is_ours = response.status() == StatusCode::PARTIAL_CONTENT
            && content_range(response.headers()) == Some((start, Some(total)))
            && crate::transfer::validator(response.headers()).as_deref() == Some(&*validator);
        if !is_ours {
            return Err(self.anew(&url, "it sends another part than was asked for"));
        }
        while bytes.load(Ordering::Relaxed) < self.network.patience.segment {
            let chunk = response.chunk().await.map_err(|error| self.lost(&url, &error))?;
            let Some(chunk) = chunk else { break };
            let length = chunk.len() as u64;
            file = self.blocking(move || file.write_all(&chunk).map(|()| file)).await?;
            bytes.fetch_add(length, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits for the end of a segment that the first connection has come to, and puts it behind
    /// what is here. Says whether it was of use.
    async fn join(
        &self,
        part: &mut Part,
        mut ahead: Ahead<'_>,
        second: Second,
        expected: &Expected,
    ) -> Result<Second, Ended> {
        while !ahead.ended {
            let tick = self.or_stopped(tokio::time::sleep(TICK));
            tokio::select! {
                ended = &mut ahead.work => {
                    ahead.ended = true;
                    if let Err(Ended::Again(error, _) | Ended::Anew(error)) = ended {
                        // What is missing is fetched by the first one.
                        tracing::debug!("the second connection: {error}");
                    }
                }
                tick = tick => tick?,
            }
            (self.step)(Step::Bytes(part.bytes + ahead.bytes(), expected.bytes));
        }
        let together = (part.bytes - ahead.from) + ahead.bytes();
        let verdict = second.after(together, ahead.since.elapsed());
        let (mut from, end) = (part.bytes - ahead.start, ahead.bytes());
        while from < end {
            let (path, length) = (ahead.path.clone(), (end - from).min(BLOCK as u64));
            let taken = part.take();
            *part = self
                .blocking(move || {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(from))?;
                    let mut block = Vec::new();
                    file.take(length).read_to_end(&mut block)?;
                    taken.with(block)()
                })
                .await?;
            from += length;
        }
        let path = ahead.path.clone();
        self.blocking(move || fs::remove_file(path)).await?;
        Ok(verdict)
    }

    /// Compares what is here with what it should be.
    async fn finish(&self, part: &mut Part, expected: &Expected) -> Result<Checked, Ended> {
        let taken = part.take();
        *part = self.blocking(taken.flushed()).await?;
        let checked = Checked { bytes: part.bytes, sha256: hexadecimal(part.digest.clone()) };
        let (found, expected) = match (&expected.sha256, &expected.blob) {
            (None, Some(blob)) => {
                let path = part.path.clone();
                (self.blocking(move || Ok(blob_of(&fs::read(path)?))).await?, blob.clone())
            }
            (sha256, _) => (checked.sha256.clone(), sha256.clone().unwrap_or_default()),
        };
        if found == expected {
            return Ok(checked);
        }
        Err(Ended::Anew(ModelsError::Damaged { file: self.name.to_owned(), expected, found }))
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

/// Whether a second connection is of use: some servers give each only so much, and on most lines
/// two share what one would have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second {
    /// It was not tried yet.
    Untried,
    /// It is being tried; one alone has brought so many bytes in a second.
    Tried(f64),
    /// It is.
    Helps,
    /// It is not.
    IsOfNoUse,
}

impl Second {
    /// Whether to begin one, when the first has brought `now - from` bytes since then.
    fn is_to_begin(&mut self, (since, from): (Instant, u64), now: u64, probe: Duration) -> bool {
        let passed = since.elapsed();
        match self {
            Self::Untried if passed >= probe && now > from => {
                *self = Self::Tried((now - from) as f64 / passed.as_secs_f64());
                true
            }
            // One alone was measured already; what it was tried with has failed.
            Self::Tried(_) => now > from,
            Self::Helps => true,
            Self::Untried | Self::IsOfNoUse => false,
        }
    }

    /// What is known when two have brought so many bytes in such a time.
    fn after(self, bytes: u64, passed: Duration) -> Self {
        const WORTH: f64 = 1.25;
        match self {
            Self::Tried(alone) if bytes as f64 / passed.as_secs_f64() < WORTH * alone => {
                Self::IsOfNoUse
            }
            Self::Tried(_) => Self::Helps,
            other => other,
        }
    }
}

/// What a second connection fetches.
struct Ahead<'a> {
    /// The first of its bytes.
    start: u64,
    /// When it began, and how far the first connection was then.
    since: Instant,
    from: u64,
    /// Where its bytes are.
    path: PathBuf,
    bytes: Arc<AtomicU64>,
    work: Pin<Box<dyn Future<Output = Result<(), Ended>> + Send + 'a>>,
    /// Whether `work` has ended.
    ended: bool,
}

impl Ahead<'_> {
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Waits for `work`, and goes on with what is fetched ahead meanwhile.
async fn beside<T>(work: impl Future<Output = T>, ahead: &mut Option<Ahead<'_>>) -> T {
    tokio::pin!(work);
    loop {
        match ahead.as_mut().filter(|ahead| !ahead.ended) {
            None => return work.await,
            Some(ahead) => tokio::select! {
                done = &mut work => return done,
                // How it ended shows when the first one comes there.
                _ = &mut ahead.work => ahead.ended = true,
            },
        }
    }
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
    hexadecimal_tag(headers, name, 64)
}

/// The name of a small file's content in Git, which serves the hub as its entity tag. Other
/// servers' tags may look like one.
fn blob(headers: &HeaderMap) -> Option<String> {
    headers.get("x-repo-commit")?;
    ["x-linked-etag", "etag"].into_iter().find_map(|name| hexadecimal_tag(headers, name, 40))
}

fn hexadecimal_tag(headers: &HeaderMap, name: &str, digits: usize) -> Option<String> {
    let tag = headers.get(name)?.to_str().ok()?.trim().trim_matches('"');
    let is_digest = tag.len() == digits && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| tag.to_ascii_lowercase())
}

/// The name that Git has for a content.
fn blob_of(content: &[u8]) -> String {
    let mut digest = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    digest.update(content);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_connection_stays_where_two_bring_more_than_one() {
        let second = Duration::from_secs(1);
        for (before, bytes, expected) in [
            (Second::Tried(100.), 110, Second::IsOfNoUse),
            (Second::Tried(100.), 180, Second::Helps),
            (Second::Helps, 1, Second::Helps),
        ] {
            assert_eq!(before.after(bytes, second), expected, "{before:?}");
        }
        let since = Instant::now();
        let mut untried = Second::Untried;
        assert!(!untried.is_to_begin((since, 0), 100, Duration::from_secs(3600)));
        assert!(untried.is_to_begin((since, 0), 100, Duration::ZERO));
        assert!(matches!(untried, Second::Tried(alone) if alone > 0.));
        assert!(!Second::IsOfNoUse.is_to_begin((since, 0), 100, Duration::ZERO));
    }

    #[test]
    fn a_content_has_the_name_that_git_gives_it() {
        // As `git hash-object` says.
        for (content, name) in [
            ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ] {
            assert_eq!(blob_of(content.as_bytes()), name);
        }
    }
}
