//! What the application speaks with any face it has: the window, the command
//! line, a test. The command line prints these types as they are, so a field
//! here is a field of its JSON; TypeScript types are generated from them.

use lectern_domain::{BlockKind, ErrorCode, LineUnit, PageUnit};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What went wrong, in words for the person in front of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, thiserror::Error)]
#[ts(export)]
#[error("{message}")]
pub struct AppError {
    /// A stable name.
    #[ts(type = "string")]
    pub code: ErrorCode,
    /// What happened, in a sentence.
    pub message: String,
    /// What one can do about it; may be empty.
    pub hint: String,
}

/// What `add` and `sync` did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AddReport {
    /// Files that were not in the library before.
    #[ts(type = "number")]
    pub added: u64,
    /// Files in the added places that are ready.
    #[ts(type = "number")]
    pub ready: u64,
    /// Files that hold nothing Lectern reads.
    #[ts(type = "number")]
    pub skipped: u64,
    /// Files that could not be read.
    #[ts(type = "number")]
    pub failed: u64,
    /// Chunks of the files that are ready.
    #[ts(type = "number")]
    pub chunks: u64,
    /// Wall time.
    pub seconds: f64,
}

/// Where a file is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum FileState {
    /// Waiting to be read.
    Pending,
    /// Being read.
    Reading,
    /// Searchable.
    Ready,
    /// Left out, with a reason.
    Skipped,
    /// Could not be read, with a reason.
    Failed,
}

/// What a person could give so that a file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum FileNeed {
    /// Its password.
    Password,
    /// The model for OCR, or the time to read its pictures with it.
    Ocr,
}

/// Why a file is not ready, for faces that have their own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ReasonCode {
    /// It holds nothing.
    Empty,
    /// Its name says text, and it holds something else.
    NotText,
    /// Files of its kind are not read.
    Unsupported,
    /// Its structure is broken; the detail says how, in English.
    Damaged,
    /// It opens with a password only.
    PasswordNeeded,
    /// It holds pictures of pages only.
    NeedsOcr,
    /// It is too big; the detail says beyond how many megabytes, where that is a rule.
    TooBig,
    /// It lies too deep inside of other files.
    TooDeep,
    /// Reading it took too long; the detail says how many seconds.
    TimedOut,
    /// The reader broke off.
    Crashed,
    /// It is not there any more.
    Missing,
    /// The system does not let us read it.
    AccessDenied,
    /// The system failed while reading it; the detail says how, in English.
    Unreadable,
    /// Its name is not valid Unicode.
    BadName,
    /// The person called its reading off.
    Cancelled,
}

/// One file of the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FileStatus {
    /// Absolute path.
    pub path: String,
    /// Where it is on its way.
    pub state: FileState,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// The same by its name, for faces that have their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason_code: Option<ReasonCode>,
    /// What belongs to that name: a number, or what exactly is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason_detail: Option<String>,
    /// What would make it readable, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub needs: Option<FileNeed>,
    /// It lies on a drive that is not there at the moment; what was read of it stays
    /// searchable.
    pub away: bool,
    /// Pages, for kinds that have them.
    pub pages: Option<u32>,
    /// Chunks that are searchable by their words.
    pub chunks: u32,
    /// Chunks that are searchable by their meaning as well.
    pub embedded_chunks: u32,
    /// Last change on the disk, RFC 3339.
    pub modified: String,
    /// `pdf`, `md`, …; of a file that was not read, what its name promises.
    pub kind: Option<String>,
    /// Its language as an ISO 639-1 code (`en`), where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub language: Option<String>,
    /// What a person calls it, or a folder above it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub tags: Vec<String>,
}

/// A tag that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TagCount {
    /// Its name.
    pub name: String,
    /// How many files have it.
    #[ts(type = "number")]
    pub files: u64,
}

/// One folder (or single file) that the person named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FolderStatus {
    /// Absolute path.
    pub path: String,
    /// It cannot be found at the moment; what was read of it stays searchable.
    pub missing: bool,
    /// Its files wait until the person resumes it.
    pub paused: bool,
    /// Why changes there show only after a while, if so.
    pub polled: Option<String>,
    /// What inside it belongs to the library.
    pub rules: FolderRules,
    /// Files that are ready.
    #[ts(type = "number")]
    pub ready: u64,
    /// Files waiting or being read.
    #[ts(type = "number")]
    pub pending: u64,
    /// Files that could not be read.
    #[ts(type = "number")]
    pub failed: u64,
    /// Files left out.
    #[ts(type = "number")]
    pub skipped: u64,
    /// Chunks searchable by their words.
    #[ts(type = "number")]
    pub chunks: u64,
    /// Chunks searchable by their meaning as well.
    #[ts(type = "number")]
    pub embedded_chunks: u64,
}

/// What inside a folder belongs to the library, besides what never does: what programs
/// keep for themselves, such as `node_modules`, `.git`, caches and applications.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct FolderRules {
    /// Patterns of what is left out, in the syntax of `.gitignore`. A file
    /// `.lecternignore` in any folder says the same for that folder.
    pub ignore: Vec<String>,
    /// Hidden files and folders belong to it.
    pub hidden: bool,
    /// Kinds by name, `pdf`, `md`, …; none is every kind.
    #[serde(rename = "types")]
    pub kinds: Vec<String>,
    /// Larger files are left out.
    pub max_megabytes: Option<u32>,
}

/// The state of the whole library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Status {
    /// Files that are ready.
    #[ts(type = "number")]
    pub documents: u64,
    /// Chunks searchable by their words.
    #[ts(type = "number")]
    pub chunks: u64,
    /// Chunks searchable by their meaning as well.
    #[ts(type = "number")]
    pub embedded_chunks: u64,
    /// Files waiting or being read.
    #[ts(type = "number")]
    pub pending: u64,
    /// Files that could not be read.
    #[ts(type = "number")]
    pub failed: u64,
    /// Files left out.
    #[ts(type = "number")]
    pub skipped: u64,
    /// The library's own directory.
    pub directory: String,
    /// What the library takes on the disk: catalogue and index.
    #[ts(type = "number")]
    pub bytes_on_disk: u64,
    /// The embedder in use.
    pub embedder: String,
    /// The embedder that takes its place once its vectors are complete, if one is to.
    pub next_embedder: Option<String>,
    /// Chunks that have its vectors by now; 0 where there is none.
    #[ts(type = "number")]
    pub next_embedded_chunks: u64,
    /// The chat model in use.
    pub model: String,
    /// Whether the chat model's files are here.
    pub model_installed: bool,
    /// Reading and embedding wait until the person resumes them.
    pub paused: bool,
    /// The computer runs on its battery: vectors of what nobody has just edited, and OCR,
    /// wait until it is plugged in.
    pub saves_power: bool,
    /// Pages of pictures that wait for OCR, which comes after all else.
    #[ts(type = "number")]
    pub scans: u64,
    /// Whether the model for OCR is here.
    pub ocr_installed: bool,
    /// The file being read now.
    pub reading: Option<String>,
    /// Why the index or the embedder cannot work at the moment, if so.
    pub problem: Option<AppError>,
    /// Every folder.
    pub folders: Vec<FolderStatus>,
    /// Every file, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub files: Option<Vec<FileStatus>>,
}

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum SearchMode {
    /// Both, fused.
    #[default]
    Hybrid,
    /// By words (BM25).
    Lexical,
    /// By meaning (cosine of embeddings).
    Semantic,
}

/// Which documents a search or a question may use. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct Filter {
    /// Files at or below one of these paths.
    #[serde(rename = "in")]
    pub within: Vec<String>,
    /// Not these files, and none below these paths.
    #[serde(rename = "not_in")]
    pub without: Vec<String>,
    /// Kinds by name: `pdf`, `md`, …
    #[serde(rename = "type")]
    pub kinds: Vec<String>,
    /// In one of these languages, as ISO 639-1 codes: `en`, `zh`, …
    #[serde(rename = "language", skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub languages: Vec<String>,
    /// With all of these tags.
    #[serde(rename = "tag", skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub tags: Vec<String>,
    /// Changed on or after this date, `YYYY-MM-DD`.
    pub since: Option<String>,
    /// Changed on or before this date, `YYYY-MM-DD`.
    pub until: Option<String>,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SearchRequest {
    /// The words.
    pub query: String,
    /// How many hits at most.
    pub k: u32,
    /// Which legs.
    #[serde(default)]
    pub mode: SearchMode,
    /// Where.
    #[serde(default)]
    pub filter: Filter,
}

/// A rectangle on a page: PDF points, origin at the page's top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Rect {
    /// The page, from 1.
    pub page: u32,
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

/// Where a passage begins, in the words of its kind of document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Place {
    /// What the page of the passage is: `page`, `slide`, `sheet`, `chapter`, `message`, `member`
    /// or `cell`; `null` for kinds without.
    #[ts(type = "'page' | 'slide' | 'sheet' | 'chapter' | 'message' | 'member' | 'cell' | null")]
    pub unit: Option<PageUnit>,
    /// Its line, row or second in the file, where it is known. Seconds count from 0.
    pub line: Option<u32>,
    /// What `line` counts: `line`, `row` or `second`.
    #[ts(type = "'line' | 'row' | 'second'")]
    pub line_unit: LineUnit,
    /// The cell of a sheet, as in `B7`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cell: Option<String>,
}

/// The place of a passage in what one way of searching found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Ranking {
    /// From 1.
    pub rank: u32,
    /// BM25 by words, the cosine of the vectors by meaning.
    pub score: f32,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Hit {
    /// Absolute path of the document.
    pub document: String,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
    /// What the document itself calls the page, such as `iv`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<String>,
    /// What the page is, and the line where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub place: Option<Place>,
    /// Higher is better; comparable within one result.
    pub score: f32,
    /// Its place among what the words found.
    pub lexical: Option<Ranking>,
    /// Its place among what the meaning found.
    pub semantic: Option<Ranking>,
    /// What its score gained by having the query's words close together; `null` where that was not
    /// looked at.
    pub reranked: Option<f32>,
    /// The passage's text.
    pub text: String,
    /// Its first character in the document's text.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// Its place on the page or pages.
    pub rects: Vec<Rect>,
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
}

/// Why a file is among the hits of a search, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum WhyNot {
    /// It is among them.
    Listed,
    /// The library does not hold it.
    NotInLibrary,
    /// It has not been read, or could not be.
    NotRead,
    /// A filter leaves it out.
    FilteredOut,
    /// None of its passages holds all of the quoted words.
    NotQuoted,
    /// Neither words nor meaning have it among their candidates.
    NotFound,
    /// Others come before it.
    Outranked,
    /// It says the same as one that is listed, or its document has enough hits.
    Folded,
}

/// Where a file stands in a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Explanation {
    /// Absolute path.
    pub document: String,
    /// Why it is among the hits, or is not.
    pub reason: WhyNot,
    /// Its state in the library.
    pub state: Option<FileState>,
    /// Why it was not read.
    pub detail: Option<String>,
    /// The place of its best passage among all candidates, and that one's score.
    pub fused: Option<Ranking>,
    /// The place of its best passage by words.
    pub lexical: Option<Ranking>,
    /// The place of its best passage by meaning.
    pub semantic: Option<Ranking>,
    /// So deep was looked for these places.
    pub depth: u32,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SearchReply {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The whole call.
    pub milliseconds: f64,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct AskRequest {
    /// The question.
    pub question: String,
    /// Where to look.
    pub filter: Filter,
    /// Go on with this conversation; otherwise a new one begins.
    #[ts(type = "number | null")]
    pub conversation: Option<i64>,
    /// Find the passages only.
    pub no_answer: bool,
    /// How many passages at most; 0 for the default.
    pub k: u32,
    /// Abstain where the model finds it less likely than this that the sources hold the
    /// answer, 0 to 1; `null` for the default.
    pub min_evidence: Option<f32>,
    /// Read every document in scope instead of the passages that fit best.
    pub thorough: bool,
    /// In which manner the answer is given; `null` for one or two short sentences.
    pub manner: Option<Manner>,
    /// Drop sentences that their sources do not bear out, instead of marking them.
    pub only_supported: bool,
    /// What to search for, where the person has put it into words of their own; otherwise a
    /// question that goes on with a conversation is put so that it stands alone.
    pub standalone_question: Option<String>,
    /// Documents that the person adds: their best passages come first, wherever else is looked.
    #[ts(optional, as = "Option<_>")]
    pub with: Vec<String>,
    /// Answer from the passages of this answer, by its id, without searching again. Where one of
    /// them has changed, it is searched again.
    #[ts(type = "number | null", optional)]
    pub passages_of: Option<i64>,
}

/// A manner in which an answer is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Manner {
    /// In as few words as can be.
    Shorter,
    /// With the details that the sources give.
    Longer,
    /// In plain words.
    Simpler,
    /// As a list of points.
    Points,
    /// In this language.
    Language(String),
}

/// How well a sentence is supported by what it cites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum SupportLevel {
    /// The source says so.
    Supported,
    /// The source says part of it.
    Partial,
    /// The source does not say so.
    Unsupported,
    /// The sentence claims nothing.
    None,
}

/// A sentence of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AnswerSentence {
    /// The sentence without its markers.
    pub text: String,
    /// Numbers of its sources.
    pub citations: Vec<u32>,
    /// The verdict.
    pub support: SupportLevel,
    /// 0 to 1.
    pub score: f32,
}

/// A source of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Citation {
    /// The number in the answer's markers.
    pub n: u32,
    /// Absolute path of the document.
    pub document: String,
    /// The page the quote starts on, from 1.
    pub page: Option<u32>,
    /// What the document itself calls the page, such as `iv`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<String>,
    /// What the page is, and the line where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub place: Option<Place>,
    /// The quote's first character in the document's text.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// The document's words, to the letter.
    pub quote: String,
    /// The quote's place on the page or pages.
    pub rects: Vec<Rect>,
    /// The headings above it.
    pub heading: Vec<String>,
    /// SHA-256 of the file that was quoted, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub content: Option<String>,
}

/// What became of a source since it was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum SourceState {
    /// It is as it was.
    Same,
    /// It was changed; what was quoted is still in it, word for word.
    Changed,
    /// It was changed, and what was quoted is no longer in it.
    QuoteGone,
    /// The same file lies elsewhere now.
    Moved,
    /// Its file cannot be found at the moment; what was read of it is kept.
    Missing,
    /// The library does not hold it any more.
    Removed,
}

/// What an answer quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Quoted {
    /// Absolute path of the document.
    pub document: String,
    /// SHA-256 of the file that was quoted, in hexadecimal, where that is known.
    #[serde(default)]
    pub content: Option<String>,
    /// The document's words.
    pub quote: String,
}

/// A source as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SourceNow {
    /// What became of it.
    pub state: SourceState,
    /// Where it lies now; where it lay, if that is not known.
    pub document: String,
}

/// A passage the model was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AnswerPassage {
    /// Its number in the prompt, or `null` where it was left out.
    pub n: Option<u32>,
    /// Absolute path of the document.
    pub document: String,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
    /// What the document itself calls the page, such as `iv`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<String>,
    /// What the page is, and the line where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub place: Option<Place>,
    /// Its text.
    pub text: String,
    /// Its first character in the document's text.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// The sentence of it that is likeliest to answer the question, in the characters of the
    /// document's text; it is known before the model speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub answering: Option<TextRange>,
    /// How likely it holds the answer, 0 to 1, where the model was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub evidence: Option<f32>,
    /// Higher is better; comparable within one answer.
    pub score: f32,
    /// The headings above it.
    pub heading: Vec<String>,
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Tokens {
    /// Read.
    pub prompt: u32,
    /// Written.
    pub completion: u32,
}

/// How long it took, in milliseconds from the question.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Timing {
    /// Finding the passages.
    pub retrieval: f64,
    /// Until the first word; `null` where no model spoke.
    pub first_token: Option<f64>,
    /// Until the end.
    pub total: f64,
}

/// What a person thinks of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum Rating {
    /// It is right.
    Up,
    /// It is not.
    Down,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Answer {
    /// Its id, once it is kept.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub id: Option<i64>,
    /// What the person thinks of it.
    #[serde(default)]
    pub rating: Option<Rating>,
    /// The question as it was asked.
    pub question: String,
    /// The question as it was searched.
    pub standalone_question: String,
    /// Text with `[n]` markers.
    pub answer: String,
    /// The sources do not hold the answer.
    pub abstained: bool,
    /// How likely the model found it that the sources hold the answer, 0 to 1; `null` where
    /// it was not asked.
    #[serde(default)]
    pub evidence: Option<f32>,
    /// The person stopped it; the text is what there was.
    pub cancelled: bool,
    /// The answer sentence by sentence.
    pub sentences: Vec<AnswerSentence>,
    /// The sources that the text refers to, by number.
    pub citations: Vec<Citation>,
    /// The passages that were found, best first.
    pub passages: Vec<AnswerPassage>,
    /// Where was looked.
    #[serde(default)]
    pub filter: Filter,
    /// The manner that was asked for; `null` for the usual one.
    #[serde(default)]
    pub manner: Option<Manner>,
    /// The model's identity.
    pub model: String,
    /// Its cost in tokens.
    pub tokens: Tokens,
    /// Its cost in time.
    pub milliseconds: Timing,
    /// The conversation it belongs to.
    #[ts(type = "number | null")]
    pub conversation: Option<i64>,
    /// Files in scope that were not read yet when it was asked.
    #[ts(type = "number")]
    pub pending: u64,
    /// Files in scope that could not be read.
    #[serde(default)]
    #[ts(optional, as = "Option<u32>")]
    pub failed: u64,
    /// The first of these files.
    #[serde(default)]
    #[ts(optional, as = "Option<_>")]
    pub unread: Vec<UnreadFile>,
    /// Sentences that were dropped because no source bears them out.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// What was read where every document in scope was to be.
    #[serde(default)]
    pub coverage: Option<Coverage>,
    /// The question is about all documents in scope, and only the passages that fit best
    /// were read.
    #[serde(default)]
    pub wants_everything: bool,
}

/// A file that an answer could not rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct UnreadFile {
    /// Absolute path.
    pub path: String,
    /// `pending`, `reading` or `failed`.
    pub state: FileState,
}

/// How much of what was to be read was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Coverage {
    /// Documents in scope whose text is known.
    pub documents: u32,
    /// Those that were read to the end.
    pub read: u32,
    /// Files in scope that could not be read when they were imported.
    pub unreadable: u32,
}

/// What happens while a question is answered; one of the last three ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum AskEvent {
    /// The passages were found; the model starts to read.
    Passages {
        /// The question as it was searched.
        standalone_question: String,
        /// Best first.
        passages: Vec<AnswerPassage>,
    },
    /// The chat model is being loaded; this takes some seconds.
    LoadingModel,
    /// Every document in scope is read, and it has come so far.
    Reading {
        /// Documents read and to be read.
        coverage: Coverage,
    },
    /// More text, with valid markers only.
    Text {
        /// To be appended.
        delta: String,
    },
    /// The answer, complete and checked.
    Done {
        /// The same text and all that belongs to it.
        answer: Box<Answer>,
    },
    /// The person stopped it.
    Cancelled {
        /// What there was.
        answer: Box<Answer>,
    },
    /// It could not be done.
    Failed {
        /// Why.
        error: AppError,
    },
}

/// One page of a document's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct PageText {
    /// From 1; `null` for kinds without pages.
    pub page: Option<u32>,
    /// What the document itself calls the page, such as `iv`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<String>,
    /// Its text. The texts of all pages, one after another, are the document's text.
    pub text: String,
}

/// The extracted text of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DocumentText {
    /// Absolute path.
    pub path: String,
    /// `pdf`, `md`, …
    pub kind: String,
    /// Its pages.
    pub pages: Vec<PageText>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// A block of a document, for showing it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SourceBlock {
    /// What it is: `{"heading": level}`, `"paragraph"`, `"listitem"`, `"table"` or `"code"`.
    #[ts(type = "{ heading: number } | 'paragraph' | 'listitem' | 'table' | 'code'")]
    pub kind: BlockKind,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
    /// Its first character in the document's text.
    pub start: u32,
    /// Its text.
    pub text: String,
}

/// Some characters of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TextRange {
    /// The first one.
    pub start: u32,
    /// One past the last one.
    pub end: u32,
}

/// A document to be shown beside an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Source {
    /// Absolute path.
    pub path: String,
    /// Its own title, or its file name.
    pub title: String,
    /// `pdf`, `md`, …
    pub kind: String,
    /// How many pages it has, for kinds that have them.
    pub page_count: Option<u32>,
    /// The file is no longer there.
    pub missing: bool,
    /// The file is another one than when its text was read.
    pub changed: bool,
    /// The size of the file now; 0 where it is missing.
    #[ts(type = "number")]
    pub bytes: u64,
    /// SHA-256 of the file whose text this is, in hexadecimal.
    pub content: String,
    /// Its text, block by block.
    pub blocks: Vec<SourceBlock>,
}

/// The passage that a link leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Linked {
    /// Absolute path of the document, where it lies now.
    pub document: String,
    /// The page the passage starts on, from 1.
    pub page: Option<u32>,
    /// What the document itself calls the page, such as `iv`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub label: Option<String>,
    /// What the page is, and the line where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub place: Option<Place>,
    /// The passage's first character in the document's text.
    pub start: u32,
    /// One past its last character; `start` where the link names none or the document was changed.
    pub end: u32,
    /// The document's words, to the letter.
    pub quote: String,
    /// The passage's place on the page or pages.
    pub rects: Vec<Rect>,
    /// SHA-256 of the file that the link was made for, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub content: Option<String>,
}

/// A conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ConversationSummary {
    /// Its id.
    #[ts(type = "number")]
    pub id: i64,
    /// Its first question.
    pub title: String,
    /// The last answer's time, RFC 3339.
    pub updated: String,
}

/// What became of an export of rated answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SetReport {
    /// The folder of the set.
    pub path: String,
    /// Questions in it.
    #[ts(type = "number")]
    pub questions: u64,
    /// Documents in it.
    #[ts(type = "number")]
    pub documents: u64,
    /// Rated answers that it leaves out, since nothing is known of what would have been right, or
    /// since a document they rest on is gone.
    #[ts(type = "number")]
    pub left_out: u64,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum HistoryKind {
    /// It was found.
    Added,
    /// Its content became another one.
    Changed,
    /// It was found again under another path.
    Moved,
    /// It is no longer on the disk, or rules leave it out.
    Removed,
    /// It could not be read.
    Failed,
    /// The person had it forgotten.
    Forgotten,
}

/// Something that happened in the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct HistoryEntry {
    /// Its id; later entries have larger ones.
    #[ts(type = "number")]
    pub id: i64,
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub kind: HistoryKind,
    /// Absolute path; `null` for what was forgotten, of which no name is kept.
    pub path: Option<String>,
    /// Where it was before it was moved.
    pub from: Option<String>,
    /// How many files were forgotten.
    #[ts(type = "number | null")]
    pub files: Option<u64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The same by its name, for faces that have their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason_code: Option<ReasonCode>,
    /// What belongs to that name: a number, or what exactly is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason_detail: Option<String>,
}

/// What the window does besides showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct DesktopSettings {
    /// Folders are watched on when the window is closed.
    pub keep_watching: bool,
    /// The end of a long import is told when the window is not looked at.
    pub notify: bool,
    /// Keys that bring the window from everywhere, such as `Control+Alt+KeyL`; empty for none.
    pub shortcut: String,
}

impl Default for DesktopSettings {
    fn default() -> Self {
        Self { keep_watching: false, notify: true, shortcut: String::new() }
    }
}

/// What the window has to say of the desktop around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Desktop {
    /// Whether it is started with the person's session; `null` where the system has no way that is
    /// known to it.
    pub autostart: Option<bool>,
    /// The program; started once more it brings the window to the front.
    pub program: String,
    /// Whether a program may have keys of its own that bring its window.
    pub shortcut: bool,
    /// The folders in which the window keeps its size and what was chosen for it.
    pub kept: Vec<String>,
}

/// A conversation with its answers, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Conversation {
    /// Its id.
    #[ts(type = "number")]
    pub id: i64,
    /// Its first question.
    pub title: String,
    /// Its answers.
    pub answers: Vec<Answer>,
}

/// What the application tells everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum AppEvent {
    /// The library has changed: files came, were read, embedded or forgotten.
    /// Sent at most a few times a second.
    Library {
        /// The state now, without files.
        status: Box<Status>,
    },
    /// A download has moved. Sent at most a few times a second, and at each change of its state.
    Download {
        /// How far it is.
        download: crate::Download,
    },
    /// The models that are installed, the one in use or the settings have changed, here or in
    /// another process: what `models` says is old.
    Models,
    /// A link is to be followed; the window asks to which passage it leads.
    Link,
    /// Files were added other than by a command of the window, such as by a drop.
    Added {
        /// How many.
        #[ts(type = "number")]
        files: u64,
    },
    /// Something that was not asked for by a command went wrong, such as a drop.
    Problem {
        /// What.
        error: AppError,
    },
}

/// One check of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do; empty where all is well.
    pub hint: String,
}
