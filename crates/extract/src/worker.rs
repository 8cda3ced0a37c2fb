//! Reads documents in a child process with limits, so that a file that breaks a reader costs
//! that file only.
//!
//! The child is the same executable, started with arguments that make it call [`run_worker`].
//! It takes one request a line on its standard input and answers each with one line on its
//! standard output that begins with a mark of its own; other output is ignored, because readers are
//! free to print. It ends when its input ends, so it never outlives its parent, and it lowers
//! its own memory limit as it is told (where the system has such a limit).

use std::ffi::OsString;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lectern_domain::{CharRange, Chunk, DocumentKind, Extraction, Rect, TextBox};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::archive::{Member, Shelf};
use crate::ocr::MODEL_FILES;
use crate::{
    OcrError, ReadError, ReadFile, RecognisedPage, Recogniser, chunk, identify, load, read_from,
    recognise_from, unlock_from,
};

/// Answers begin with this; nothing that a library prints does.
const MARK: &str = "\u{1}lectern-read:";

/// The stack of the thread that reads: deeply nested files need much of it.
const STACK_BYTES: usize = 64 << 20;

/// A document as it was read, with its chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadDocument {
    /// Its text and what belongs to it.
    #[serde(with = "compact")]
    pub extraction: Extraction,
    /// Its chunks, in order. An archive has none: what is to be found are its members.
    pub chunks: Vec<Chunk>,
    /// The members of an archive, each a document of its own.
    pub members: Vec<Member>,
}

/// What the member of an archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberIdentity {
    /// Its kind.
    pub kind: DocumentKind,
    /// SHA-256 of its bytes.
    pub hash: Vec<u8>,
}

/// Why a document was not read, by a name that stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFailureReason {
    /// It holds no text.
    Empty,
    /// It is said to be text and is not.
    NotText,
    /// Files of its kind cannot be read.
    Unsupported,
    /// Its structure is broken.
    Damaged,
    /// It opens with a password only.
    PasswordNeeded,
    /// It consists of pictures of pages, and OCR is not to be had.
    NeedsOcr,
    /// It, or what was read from it, is larger than is allowed.
    TooBig,
    /// Reading it took longer than is allowed.
    TimedOut,
    /// The reader broke off.
    Crashed,
    /// It is not there any more.
    Missing,
    /// The system does not let us read it.
    AccessDenied,
    /// The system failed while reading it.
    Unreadable,
}

impl ReadFailureReason {
    /// The name used in JSON and in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotText => "not_text",
            Self::Unsupported => "unsupported",
            Self::Damaged => "damaged",
            Self::PasswordNeeded => "password_needed",
            Self::NeedsOcr => "needs_ocr",
            Self::TooBig => "too_big",
            Self::TimedOut => "timed_out",
            Self::Crashed => "crashed",
            Self::Missing => "missing",
            Self::AccessDenied => "access_denied",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A document that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ReadFailure {
    /// Why, for programs.
    pub reason: ReadFailureReason,
    /// Why, in words a person understands.
    pub message: String,
}

impl ReadFailure {
    fn new(reason: ReadFailureReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// It is another file than it was a moment before.
    pub fn changed() -> Self {
        Self::new(ReadFailureReason::Unreadable, "the file was changed while it was read")
    }

    /// The model for OCR is not there.
    pub fn needs_ocr() -> Self {
        Self::new(ReadFailureReason::NeedsOcr, "the model for OCR is not installed")
    }

    fn crashed() -> Self {
        let message =
            "the reader broke off: the file is damaged, or needs more memory than is allowed";
        Self::new(ReadFailureReason::Crashed, message)
    }
}

impl From<&ReadError> for ReadFailure {
    fn from(error: &ReadError) -> Self {
        let reason = match error {
            ReadError::Missing => ReadFailureReason::Missing,
            ReadError::AccessDenied => ReadFailureReason::AccessDenied,
            ReadError::Io(_) => ReadFailureReason::Unreadable,
            ReadError::Empty | ReadError::NoWords => ReadFailureReason::Empty,
            ReadError::NotText => ReadFailureReason::NotText,
            ReadError::Unsupported => ReadFailureReason::Unsupported,
            ReadError::Damaged(_) => ReadFailureReason::Damaged,
            ReadError::PasswordNeeded => ReadFailureReason::PasswordNeeded,
            ReadError::NeedsOcr | ReadError::Ocr(_) => ReadFailureReason::NeedsOcr,
            ReadError::TooBig | ReadError::TooDeep => ReadFailureReason::TooBig,
        };
        Self::new(reason, error.to_string())
    }
}

/// What one document may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time, the start of the process included.
    pub time: Duration,
    /// Address space of the process in bytes; enforced on Linux and its like.
    pub memory_bytes: u64,
    /// Size of the answer in bytes.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// Two minutes, 2 GiB, 512 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(120), memory_bytes: 2 << 30, output_bytes: 512 << 20 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    /// Paths need not be Unicode.
    path: OsString,
    kind: DocumentKind,
    memory_bytes: u64,
    /// Whether engines that may take the process with them stay out.
    careful: bool,
    task: Task,
}

/// What is to be done with a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Task {
    /// Read it, with what was recognised on its pages.
    Read { recognised: Vec<RecognisedPage> },
    /// Read it with its password.
    Unlock { password: Password },
    /// Recognise one page of it.
    Recognise { page: u32 },
    /// Find what it is: a member of an archive.
    Identify,
    /// Answer with its bytes, for it is a member of an archive.
    Unpack,
}

/// A password, which no message shows.
#[derive(Clone, Serialize, Deserialize)]
struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

type Answer = Result<ReadDocument, ReadFailure>;

/// Reads and chunks one document in this process, with what was recognised on its pages.
///
/// # Errors
///
/// As [`read_recognised`](crate::read_recognised).
pub fn read_document(path: &Path, kind: DocumentKind, recognised: &[RecognisedPage]) -> Answer {
    read_on(&mut Shelf::default(), path, kind, recognised)
}

fn read_on(
    shelf: &mut Shelf,
    path: &Path,
    kind: DocumentKind,
    recognised: &[RecognisedPage],
) -> Answer {
    chunked(read_from(shelf, path, kind, recognised))
}

/// As [`read_document`], for a file that opens with a password only; see [`unlock`](crate::unlock).
///
/// # Errors
///
/// As [`unlock`](crate::unlock).
pub fn unlock_document(path: &Path, kind: DocumentKind, password: &str) -> Answer {
    chunked(unlock_from(&mut Shelf::default(), path, kind, password))
}

fn chunked(read: Result<ReadFile, ReadError>) -> Answer {
    let ReadFile { extraction, members } = read.map_err(|error| ReadFailure::from(&error))?;
    let chunks = if members.is_empty() { chunk(&extraction) } else { Vec::new() };
    Ok(ReadDocument { extraction, chunks, members })
}

/// Finds what the member of an archive at `path` is, in this process.
///
/// # Errors
///
/// As [`read`](crate::read).
pub fn identify_member(path: &Path) -> Result<MemberIdentity, ReadFailure> {
    identify_on(&mut Shelf::default(), path)
}

fn identify_on(shelf: &mut Shelf, path: &Path) -> Result<MemberIdentity, ReadFailure> {
    let (kind, hash) = identify(shelf, path).map_err(|error| ReadFailure::from(&error))?;
    Ok(MemberIdentity { kind, hash })
}

/// The bytes of the member of an archive at `path`, unpacked in this process.
///
/// # Errors
///
/// As [`read`](crate::read).
pub fn unpack_member(path: &Path) -> Result<Vec<u8>, ReadFailure> {
    load(&mut Shelf::default(), path).map_err(|error| ReadFailure::from(&error))
}

/// The child's side: answers requests until the standard input ends. The executable calls it
/// when its first argument is `read-worker`, before it does anything else. `ocr_model` is its second, if
/// there is one: see [`Reader::with_ocr`].
pub fn run_worker(ocr_model: Option<PathBuf>) -> ExitCode {
    serve(read_on, ocr_model)
}

/// Recognises pages, with a model that is loaded for the first of them.
struct PageReader {
    folder: Option<PathBuf>,
    recogniser: Option<Recogniser>,
}

impl PageReader {
    fn recognise(
        &mut self,
        shelf: &mut Shelf,
        path: &Path,
        kind: DocumentKind,
        page: u32,
    ) -> Result<RecognisedPage, ReadFailure> {
        let recogniser = match self.recogniser.take() {
            Some(recogniser) => recogniser,
            None => {
                let folder = self.folder.as_deref().ok_or_else(ReadFailure::needs_ocr)?;
                let broken = |error: OcrError| {
                    ReadFailure::new(ReadFailureReason::NeedsOcr, error.to_string())
                };
                Recogniser::load(folder).map_err(broken)?
            }
        };
        let recogniser = self.recogniser.insert(recogniser);
        recognise_from(shelf, path, kind, page, recogniser)
            .map_err(|error| ReadFailure::from(&error))
    }
}

type ReadInProcess = fn(&mut Shelf, &Path, DocumentKind, &[RecognisedPage]) -> Answer;

fn serve(read: ReadInProcess, ocr_model: Option<PathBuf>) -> ExitCode {
    yield_to_others();
    // Before there is another thread: only this one and its later ones are confined.
    confine();
    let (requests, queue) = std::sync::mpsc::channel::<Request>();
    let mut pages = PageReader { folder: ocr_model, recogniser: None };
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let mut shelf = Shelf::default();
        for Request { path, kind, memory_bytes, careful, task } in queue {
            limit_memory(memory_bytes);
            crate::pdf::be_careful(careful);
            let path = PathBuf::from(&path);
            let shelf = &mut shelf;
            shelf.make_room_for(&path);
            let sent = match task {
                Task::Read { recognised } => {
                    send(&guarded(|| read(shelf, &path, kind, &recognised)))
                }
                Task::Unlock { password: Password(password) } => {
                    send(&guarded(|| chunked(unlock_from(shelf, &path, kind, &password))))
                }
                Task::Recognise { page } => {
                    send(&guarded(|| pages.recognise(shelf, &path, kind, page)))
                }
                Task::Identify => send(&guarded(|| identify_on(shelf, &path))),
                Task::Unpack => send(&guarded(|| {
                    let bytes = load(shelf, &path).map_err(|error| ReadFailure::from(&error))?;
                    Ok(BASE64_STANDARD.encode(bytes))
                })),
            };
            if sent.is_err() {
                break;
            }
        }
    });
    if reader.is_err() {
        return ExitCode::FAILURE;
    }
    // This thread watches the input, so that the process ends with its parent even in the
    // middle of a document that never ends.
    for line in std::io::stdin().lock().lines() {
        let request = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(request) = request else { return ExitCode::FAILURE };
        if requests.send(request).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What `work` returns; a panic is a failure of this document only.
fn guarded<T>(work: impl FnOnce() -> Result<T, ReadFailure>) -> Result<T, ReadFailure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(ReadFailure::crashed()))
}

/// Writes an answer on a line of its own, whatever was printed before it.
fn send<T: Serialize>(answer: &Result<T, ReadFailure>) -> std::io::Result<()> {
    let json = serde_json::to_string(answer)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{json}")?;
    out.flush()
}

/// Takes from this process what reading does not need, as far as the kernel can: writing to any
/// file, connections of every kind, and other programs and processes. A document that takes the
/// reader over can then harm and tell nobody.
fn confine() {
    #[cfg(target_os = "linux")]
    {
        confine_files();
        confine_calls();
    }
}

/// Refuses writing to any file, TCP, and signals to other processes (Landlock). Returns whether
/// the kernel does it.
#[cfg(target_os = "linux")]
fn confine_files() -> bool {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
    };
    // Rights that an older kernel does not know are left out.
    Ruleset::default()
        .handle_access(AccessFs::from_write(ABI::V6))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self())
        .is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// Refuses the calls by which a process gets sockets of any kind, starts programs, or looks into
/// other processes (seccomp). Returns whether the kernel does it.
#[cfg(target_os = "linux")]
fn confine_calls() -> bool {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let refused = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        // Rings of requests reach the kernel past this filter.
        libc::SYS_io_uring_setup,
        libc::SYS_pidfd_getfd,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
    ];
    let rules = refused.into_iter().map(|call| (call, Vec::new())).collect();
    let (others, these) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32));
    std::env::consts::ARCH
        .try_into()
        .and_then(|architecture| SeccompFilter::new(rules, others, these, architecture))
        .and_then(BpfProgram::try_from)
        .is_ok_and(|program| apply_filter(&program).is_ok())
}

/// Nobody waits for the reader: what a person does goes first.
#[cfg(unix)]
fn yield_to_others() {
    // Where the system refuses, it reads all the same.
    let _ = rustix::process::nice(10);
}

#[cfg(not(unix))]
fn yield_to_others() {}

#[cfg(unix)]
fn limit_memory(bytes: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::As).maximum;
    // Without the limit the document is read all the same; the time limit still holds.
    let _ = setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum });
}

#[cfg(not(unix))]
fn limit_memory(_: u64) {}

/// The parent's side: reads one document after another in a child process, which it starts
/// when it is needed, keeps while it is well, and replaces when it is not.
#[derive(Debug)]
pub struct Reader {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The folder of the model for OCR, whether it is there yet or not.
    ocr_model: Option<PathBuf>,
    /// What the next document may cost.
    pub limits: Limits,
    worker: Option<Worker>,
    /// The child that recognises pages: it holds the model for OCR and works at low priority.
    recogniser: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    /// A reader whose child is `program` with `arguments`, which must end in [`run_worker`].
    /// Nothing is started yet.
    pub fn new(program: PathBuf, arguments: Vec<OsString>, limits: Limits) -> Self {
        Self { program, arguments, ocr_model: None, limits, worker: None, recogniser: None }
    }

    /// The same reader, which recognises pictures with the model in this folder. It is the child's last
    /// argument, for [`run_worker`].
    #[must_use]
    pub fn with_ocr(mut self, model: PathBuf) -> Self {
        self.arguments.push(model.clone().into_os_string());
        self.ocr_model = Some(model);
        self
    }

    /// Whether the model for OCR is there.
    pub fn can_recognise(&self) -> bool {
        let whole = |folder: &PathBuf| MODEL_FILES.iter().all(|name| folder.join(name).is_file());
        self.ocr_model.as_ref().is_some_and(whole)
    }

    /// The child that waits for the next document, if there is one.
    pub fn process_id(&self) -> Option<u32> {
        self.worker.as_ref()?.child.id()
    }

    /// Reads one document, with what was recognised on its pages before. Dropping the future kills the
    /// child; the next call starts another.
    ///
    /// A PDF that is too much for the fastest engine, which is not written in Rust, gets a second
    /// chance without it; the two together have the time of one document.
    ///
    /// # Errors
    ///
    /// Whatever happens to the child is a failure of this document only.
    pub async fn read(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        recognised: Vec<RecognisedPage>,
    ) -> Answer {
        // Its memory may be wanted, and it is started soon.
        self.recogniser = None;
        self.twice(path, kind, &Task::Read { recognised }).await
    }

    /// Reads one document that opens with a password only, as [`Self::read`] does. The password goes
    /// to the child by its pipe and is kept nowhere.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; [`ReadFailureReason::PasswordNeeded`] where it is the wrong one.
    pub async fn unlock(&mut self, path: &Path, kind: DocumentKind, password: &str) -> Answer {
        let task = Task::Unlock { password: Password(password.to_owned()) };
        self.twice(path, kind, &task).await
    }

    /// Recognises the text of one page, counted from 1, as [`Self::read`] reads a document, in a child
    /// of its own; the limits are for the page.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; [`ReadFailureReason::NeedsOcr`] where the model for OCR is not to be had.
    pub async fn recognise(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        page: u32,
    ) -> Result<RecognisedPage, ReadFailure> {
        self.twice(path, kind, &Task::Recognise { page }).await
    }

    /// Finds what the member of an archive at `path` is, as [`Self::read`] reads it.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn identify(&mut self, path: &Path) -> Result<MemberIdentity, ReadFailure> {
        self.twice(path, DocumentKind::Zip, &Task::Identify).await
    }

    /// The bytes of the member of an archive at `path`.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn unpack(&mut self, path: &Path) -> Result<Vec<u8>, ReadFailure> {
        let bytes: String = self.twice(path, DocumentKind::Zip, &Task::Unpack).await?;
        BASE64_STANDARD.decode(bytes).map_err(|_| ReadFailure::crashed())
    }

    async fn twice<T: DeserializeOwned>(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        task: &Task,
    ) -> Result<T, ReadFailure> {
        use ReadFailureReason::{Crashed, TimedOut};
        if kind != DocumentKind::Pdf {
            return self.attempt(path, kind, task, self.limits.time, false).await;
        }
        let half = self.limits.time / 2;
        match self.attempt(path, kind, task, half, false).await {
            Err(failure) if matches!(failure.reason, Crashed | TimedOut) => {
                self.attempt(path, kind, task, half, true).await
            }
            answer => answer,
        }
    }

    async fn attempt<T: DeserializeOwned>(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        task: &Task,
        time: Duration,
        careful: bool,
    ) -> Result<T, ReadFailure> {
        // The child is put back only after a whole answer: one that timed out, or whose
        // future was dropped, is killed, so that no answer is taken for another document's.
        let worker = self.child_for(task).take();
        let limits = self.limits;
        let exchange = async {
            let mut worker = match worker {
                Some(worker) => worker,
                None => self.start()?,
            };
            let request = Request {
                path: path.as_os_str().to_owned(),
                kind,
                memory_bytes: limits.memory_bytes,
                careful,
                task: task.clone(),
            };
            let answer = worker.exchange(&request, limits).await?;
            Ok((worker, answer))
        };
        match tokio::time::timeout(time, exchange).await {
            Ok(Ok((worker, answer))) => {
                *self.child_for(task) = Some(worker);
                answer
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                let seconds = limits.time.as_secs().max(1);
                let message =
                    format!("reading the file took longer than {seconds} s and was stopped");
                Err(ReadFailure::new(ReadFailureReason::TimedOut, message))
            }
        }
    }

    fn child_for(&mut self, task: &Task) -> &mut Option<Worker> {
        match task {
            Task::Recognise { .. } => &mut self.recogniser,
            _ => &mut self.worker,
        }
    }

    fn start(&self) -> Result<Worker, ReadFailure> {
        let broken = |reason: &str| {
            let message = format!("the reading process could not be started: {reason}");
            ReadFailure::new(ReadFailureReason::Unreadable, message)
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // A Ctrl-C in the terminal is for the program, which ends its worker itself.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| broken(&error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken("it has no pipes"));
        };
        Ok(Worker { child, input, output: BufReader::new(output) })
    }
}

impl Worker {
    /// Sends one request and waits for its answer. An error means that the child is of no use
    /// any more.
    async fn exchange<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        limits: Limits,
    ) -> Result<Result<T, ReadFailure>, ReadFailure> {
        let mut line = serde_json::to_vec(request).map_err(|_| ReadFailure::crashed())?;
        line.push(b'\n');
        let sent = async {
            self.input.write_all(&line).await?;
            self.input.flush().await
        };
        sent.await.map_err(|_| ReadFailure::crashed())?;
        let mut left = limits.output_bytes;
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.output).take(left);
            let read = limited.read_until(b'\n', &mut line).await.unwrap_or(0) as u64;
            if read == left {
                let message = "the file holds more text than is allowed";
                return Err(ReadFailure::new(ReadFailureReason::TooBig, message));
            }
            if read == 0 {
                // Reap it, so that no zombie stays.
                let _ = self.child.start_kill();
                let _ = self.child.wait().await;
                return Err(ReadFailure::crashed());
            }
            left -= read;
            if let Some(json) = line.strip_prefix(MARK.as_bytes()) {
                return serde_json::from_slice(json).map_err(|_| ReadFailure::crashed());
            }
        }
    }
}

/// [`Extraction`] with its boxes as rows of numbers: there is one for every word.
mod compact {
    use super::{CharRange, DocumentKind, Extraction, Rect, TextBox};
    use lectern_domain::{Anchor, Block, ColumnAnchor, Page, Section};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;

    #[derive(Serialize, Deserialize)]
    struct Wire<'a> {
        kind: DocumentKind,
        title: Cow<'a, Option<String>>,
        text: Cow<'a, str>,
        pages: Cow<'a, [Page]>,
        blocks: Cow<'a, [Block]>,
        sections: Cow<'a, [Section]>,
        anchors: Cow<'a, [Anchor]>,
        columns: Cow<'a, [ColumnAnchor]>,
        /// Start, length, page, left, top, right, bottom.
        boxes: Vec<(u32, u32, u32, f32, f32, f32, f32)>,
        warnings: Cow<'a, [String]>,
        scans: Cow<'a, [u32]>,
    }

    pub(super) fn serialize<S: Serializer>(
        e: &Extraction,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let row = |b: &TextBox| {
            let Rect { page, x0, y0, x1, y1 } = b.rect;
            (b.range.start, b.range.len(), page, x0, y0, x1, y1)
        };
        Wire {
            kind: e.kind,
            title: Cow::Borrowed(&e.title),
            text: Cow::Borrowed(&e.text),
            pages: Cow::Borrowed(&e.pages),
            blocks: Cow::Borrowed(&e.blocks),
            sections: Cow::Borrowed(&e.sections),
            anchors: Cow::Borrowed(&e.anchors),
            columns: Cow::Borrowed(&e.columns),
            boxes: e.boxes.iter().map(row).collect(),
            warnings: Cow::Borrowed(&e.warnings),
            scans: Cow::Borrowed(&e.scans),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Extraction, D::Error> {
        let wire = Wire::deserialize(d)?;
        let boxes = wire.boxes.into_iter().map(|(start, length, page, x0, y0, x1, y1)| TextBox {
            range: CharRange::new(start, start.saturating_add(length)),
            rect: Rect { page, x0, y0, x1, y1 },
        });
        Ok(Extraction {
            kind: wire.kind,
            title: wire.title.into_owned(),
            text: wire.text.into_owned(),
            pages: wire.pages.into_owned(),
            blocks: wire.blocks.into_owned(),
            sections: wire.sections.into_owned(),
            anchors: wire.anchors.into_owned(),
            columns: wire.columns.into_owned(),
            boxes: boxes.collect(),
            warnings: wire.warnings.into_owned(),
            scans: wire.scans.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use super::*;

    /// The child of the tests: this test binary, told to run only this "test". It does as the
    /// first word of the document says.
    #[test]
    #[ignore = "is the child process of the other tests"]
    fn worker_of_the_tests() {
        let read: ReadInProcess = |shelf, path, kind, recognised| {
            let order = std::fs::read_to_string(path).unwrap_or_default();
            match order.split_whitespace().next() {
                Some("abort") => std::process::abort(),
                Some("exit") => std::process::exit(0),
                Some("panic") => panic!("as ordered"),
                Some("hang") => loop {
                    std::thread::park();
                },
                Some("garbage") => println!("\n{MARK}{{\"Ok\": 3}}"),
                Some("flood") => loop {
                    println!("noise without end");
                },
                Some("memory") => {
                    let much = vec![1u8; 8 << 30];
                    assert!(much[much.len() - 1] > 0);
                }
                Some("noise") => print!("half a line of noise"),
                Some("write") => {
                    let kept = path.with_extension("written");
                    assert!(std::fs::write(kept, "mine").is_err(), "a file could be written");
                }
                Some("connect") => {
                    let refused = |error: std::io::Error| {
                        error.kind() == std::io::ErrorKind::PermissionDenied
                    };
                    assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err_and(refused));
                    assert!(std::process::Command::new("true").spawn().is_err_and(refused));
                }
                Some("careful") if !crate::pdf::is_careful() => std::process::abort(),
                _ => {}
            }
            read_on(shelf, path, kind, recognised)
        };
        serve(read, None);
    }

    fn reader() -> Reader {
        let arguments =
            ["--exact", "worker::tests::worker_of_the_tests", "--ignored", "--nocapture"];
        let program = std::env::current_exe().unwrap();
        Reader::new(program, arguments.map(OsString::from).to_vec(), Limits::default())
    }

    async fn read_text(
        reader: &mut Reader,
        folder: &Path,
        text: &str,
    ) -> Result<String, ReadFailureReason> {
        let path = folder.join("document.txt");
        std::fs::write(&path, text).unwrap();
        let answer = reader.read(&path, DocumentKind::Txt, Vec::new()).await;
        answer.map(|document| document.extraction.text).map_err(|failure| failure.reason)
    }

    #[tokio::test]
    async fn a_broken_document_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = reader();
        let usual = reader.limits;
        let short = Limits { time: Duration::from_millis(300), ..usual };
        let small = Limits { output_bytes: 64 << 10, ..usual };
        let long_text = "words ".repeat(20_000);
        let mut cases = vec![
            ("abort", usual, ReadFailureReason::Crashed),
            ("exit", usual, ReadFailureReason::Crashed),
            ("panic", usual, ReadFailureReason::Crashed),
            ("garbage", usual, ReadFailureReason::Crashed),
            ("hang", short, ReadFailureReason::TimedOut),
            ("flood", small, ReadFailureReason::TooBig),
            (long_text.as_str(), small, ReadFailureReason::TooBig),
            ("", usual, ReadFailureReason::Empty),
        ];
        if cfg!(target_os = "linux") {
            cases.push(("memory", usual, ReadFailureReason::Crashed));
        }
        for (order, limits, expected) in cases {
            reader.limits = limits;
            assert_eq!(
                read_text(&mut reader, folder.path(), order).await,
                Err(expected),
                "{order:.10}"
            );
            reader.limits = usual;
            let next = read_text(&mut reader, folder.path(), "The next document.").await;
            assert_eq!(next.as_deref(), Ok("The next document."), "after {order:.10}");
        }
    }

    #[tokio::test]
    async fn a_pdf_that_breaks_the_reader_gets_a_second_chance_with_the_careful_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("document.pdf");
        let mut reader = reader();
        // The text is no PDF, which only a reader that lives can tell.
        for (order, expected) in [
            ("careful", ReadFailureReason::Damaged),
            ("abort", ReadFailureReason::Crashed),
            ("a plain word", ReadFailureReason::Damaged),
        ] {
            std::fs::write(&path, order).unwrap();
            let answer = reader.read(&path, DocumentKind::Pdf, Vec::new()).await;
            assert_eq!(answer.map_err(|failure| failure.reason).err(), Some(expected), "{order}");
        }
    }

    /// Where the kernel cannot confine a process there is nothing to see.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_child_writes_to_no_file() {
        let able = std::thread::spawn(confine_files).join().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let written = read_text(&mut reader(), folder.path(), "write this").await;
        let expected = if able { Ok("write this") } else { Err(ReadFailureReason::Crashed) };
        assert_eq!(written.as_deref(), expected.as_ref().copied());
        assert_eq!(folder.path().join("document.written").exists(), !able);
    }

    /// Where the kernel cannot confine a process there is nothing to see.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_child_opens_no_socket_and_starts_no_program() {
        let able = std::thread::spawn(confine_calls).join().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tried = read_text(&mut reader(), folder.path(), "connect to somebody").await;
        let expected =
            if able { Ok("connect to somebody") } else { Err(ReadFailureReason::Crashed) };
        assert_eq!(tried.as_deref(), expected.as_ref().copied());
    }

    #[tokio::test]
    async fn a_healthy_child_is_kept_and_its_noise_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = reader();
        assert_eq!(
            read_text(&mut reader, folder.path(), "noise one").await.as_deref(),
            Ok("noise one")
        );
        let first = reader.worker.as_ref().and_then(|worker| worker.child.id());
        assert_eq!(
            read_text(&mut reader, folder.path(), "noise two").await.as_deref(),
            Ok("noise two")
        );
        let second = reader.worker.as_ref().and_then(|worker| worker.child.id());
        assert!(first.is_some() && first == second);
    }

    #[tokio::test]
    async fn a_dropped_read_leaves_no_answer_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = reader();
        assert!(read_text(&mut reader, folder.path(), "warm").await.is_ok());
        let hanging = folder.path().join("hang.txt");
        std::fs::write(&hanging, "hang").unwrap();
        {
            let mut read = Box::pin(reader.read(&hanging, DocumentKind::Txt, Vec::new()));
            assert!(futures_poll_once(read.as_mut()).await);
        }
        assert!(reader.worker.is_none());
        assert_eq!(read_text(&mut reader, folder.path(), "after").await.as_deref(), Ok("after"));
    }

    /// Polls a future once; whether it is still pending.
    async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context).is_pending())
        })
        .await
    }

    #[tokio::test]
    async fn the_child_ends_with_its_input_even_in_the_middle_of_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hang.txt");
        std::fs::write(&path, "hang").unwrap();
        let request = Request {
            path: path.into(),
            kind: DocumentKind::Txt,
            memory_bytes: 2 << 30,
            careful: false,
            task: Task::Read { recognised: Vec::new() },
        };
        let mut worker = reader().start().unwrap();
        let line = serde_json::to_string(&request).unwrap() + "\n";
        worker.input.write_all(line.as_bytes()).await.unwrap();
        drop(worker.input);
        assert!(worker.child.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_failure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut reader = Reader::new("/no/such/program".into(), Vec::new(), Limits::default());
        let answer = reader.read(file.path(), DocumentKind::Txt, Vec::new()).await;
        assert_eq!(answer.map_err(|failure| failure.reason), Err(ReadFailureReason::Unreadable));
    }

    #[test]
    fn a_document_survives_the_way_through_the_pipe() {
        let extraction = Extraction {
            kind: DocumentKind::Pdf,
            title: Some("Title".into()),
            text: "one 二".into(),
            pages: vec![lectern_domain::Page {
                number: Some(1),
                label: Some("i".into()),
                range: CharRange::new(0, 5),
            }],
            blocks: Vec::new(),
            sections: vec![lectern_domain::Section {
                range: CharRange::new(0, 5),
                title: "fn one()".into(),
            }],
            anchors: vec![lectern_domain::Anchor { start: 0, line: 3 }],
            columns: vec![lectern_domain::ColumnAnchor { start: 0, column: 2 }],
            boxes: vec![TextBox {
                range: CharRange::new(4, 5),
                rect: Rect { page: 1, x0: 1.5, y0: 2.0, x1: 3.1, y1: 4.0 },
            }],
            warnings: vec!["a warning".into()],
            scans: vec![2],
        };
        let chunks = vec![Chunk {
            range: CharRange::new(0, 5),
            page: Some(1),
            heading: vec!["H".into()],
            text: "one 二".into(),
        }];
        let members = vec![Member { path: "a/b.txt".into(), failure: Some("too big".into()) }];
        let document = ReadDocument { extraction, chunks, members };
        let json = serde_json::to_string(&document).unwrap();
        assert!(json.contains("[[4,1,1,1.5,2.0,3.1,4.0]]"), "{json}");
        assert_eq!(serde_json::from_str::<ReadDocument>(&json).unwrap(), document);
    }
}
