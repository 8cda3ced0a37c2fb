//! Archives, whose members are documents of their own.
//!
//! What is inside of an archive has a path, as if the archive were a folder: `/a/b.zip/c/d.pdf`.
//! Archives in archives are folders too. The names in such a path are made safe and unique
//! ([`tidy`]): they are never names of files, and lead nowhere but into the archive.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use serde::{Deserialize, Serialize};
use sevenz_rust2::{ArchiveReader, EntryDecision, Password};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::compose::{Composer, DraftBlock};
use crate::nested::{self, Budget, MAX_NESTING, MAX_UNPACKED};
use crate::xml::damaged;
use crate::{
    ReadError,
    detect::{detect, detect_bytes},
    text,
};

/// Members beyond this many are not read.
const MAX_MEMBERS: usize = 10_000;

/// The dictionary of a compressed stream may be this large, in KiB.
const MAX_DICTIONARY_KIB: u32 = 256 << 10;

/// So much of a member tells whether it may be an archive.
const HEAD: u64 = 512;

/// An archive that was changed so lately may be changed again without a sign of it: the clocks of
/// file systems are as coarse as that.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// A member of an archive, or of an archive in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path below the archive's, with `/` between the steps.
    pub path: String,
    /// Why it cannot be read, where that is known without reading it.
    pub failure: Option<String>,
}

/// Whether documents of this kind are archives.
pub fn is_archive(kind: DocumentKind) -> bool {
    matches!(kind, DocumentKind::Zip | DocumentKind::Tar | DocumentKind::SevenZ)
}

/// The file on the disk that `path` leads into, where there is nothing at `path` itself: an archive,
/// if it is the path of a member.
pub fn archive_of(path: &Path) -> Option<&Path> {
    if fs::symlink_metadata(path).is_ok() {
        return None;
    }
    let (above, found) = path
        .ancestors()
        .skip(1)
        .find_map(|above| fs::symlink_metadata(above).ok().map(|found| (above, found)))?;
    found.is_file().then_some(above)
}

/// Reads what the archive in a file holds: a text that lists the paths of its members, and these.
///
/// # Errors
///
/// [`ReadError::PasswordNeeded`] where `password` does not open it.
pub(crate) fn list(
    source: File,
    name: &str,
    kind: DocumentKind,
    password: Option<&str>,
) -> Result<(Extraction, Vec<Member>), ReadError> {
    let mut budget = Budget::of_archive(source.metadata()?.len());
    let mut archive = Archive::open(Box::new(source), name, kind, &mut budget, password)?;
    let mut members = Vec::new();
    let mut warnings = std::mem::take(&mut archive.warnings);
    archive.list("", 1, &mut budget, password, &mut members, &mut warnings);
    let mut composer = Composer::default();
    for member in &members {
        composer.block(&DraftBlock::new(BlockKind::ListItem, member.path.as_str()));
    }
    for warning in warnings {
        nested::warn(&mut composer, warning);
    }
    Ok((composer.finish(kind)?, members))
}

/// Reads an archive that is inside of another document, with its members: they are its pages, each
/// below a heading with its path.
pub(crate) fn read(
    bytes: Vec<u8>,
    name: &str,
    kind: DocumentKind,
    budget: &mut Budget,
) -> Result<Extraction, ReadError> {
    let mut archive = Archive::open(Box::new(Cursor::new(bytes)), name, kind, budget, None)?;
    let mut composer = Composer::default();
    let (mut count, mut locked) = (0u32, 0usize);
    for name in archive.members.names() {
        if composer.is_full() {
            composer.truncate();
            break;
        }
        match archive.members.bytes(&name, budget, None) {
            Ok(bytes) => {
                count += 1;
                composer.begin_page(count, None);
                nested::add(&mut composer, 1, &name, bytes, budget);
            }
            Err(ReadError::PasswordNeeded) => locked += 1,
            Err(error) => nested::warn(&mut composer, format!("{name}: {error}")),
        }
    }
    if locked > 0 && composer.is_empty() {
        return Err(ReadError::PasswordNeeded);
    }
    if locked > 0 {
        composer.warnings.push(format!("{locked} members are protected by a password"));
    }
    composer.warnings.append(&mut archive.warnings);
    composer.finish(kind)
}

fn not_all(error: &ReadError) -> String {
    format!("not all members were read: {error}")
}

fn too_many() -> String {
    format!("only the first {MAX_MEMBERS} members were read")
}

/// The archive that was opened last, for whoever reads one member after the other.
#[derive(Default)]
pub(crate) struct Shelf(Option<Held>);

struct Held {
    path: PathBuf,
    stamp: Stamp,
    password: Option<String>,
    archive: Archive,
}

/// What tells that a file on the disk has changed.
#[derive(PartialEq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt as _;
            let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
            let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
            Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
        };
        #[cfg(not(unix))]
        let changed = None;
        Self { size: metadata.len(), modified: metadata.modified().ok(), changed }
    }

    /// Whether a later change is sure to show.
    fn is_settled(&self) -> bool {
        self.modified
            .max(self.changed)
            .is_some_and(|time| time.elapsed().is_ok_and(|age| age > COARSE_TICK))
    }
}

impl Shelf {
    /// Lets go of what is held, unless `path` leads into it.
    pub(crate) fn make_room_for(&mut self, path: &Path) {
        self.0.take_if(|held| !path.starts_with(&held.path));
    }

    /// The bytes of the member at `path`, which leads into the file `archive`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Missing`] where there is no such member, [`ReadError::PasswordNeeded`] where
    /// `password` does not open it.
    pub(crate) fn member(
        &mut self,
        path: &Path,
        archive: &Path,
        password: Option<&str>,
    ) -> Result<Vec<u8>, ReadError> {
        let steps = path.strip_prefix(archive).map_err(|_| ReadError::Missing)?;
        let steps: Option<Vec<_>> = steps.iter().map(|step| step.to_str()).collect();
        let inner = steps.ok_or(ReadError::Missing)?.join("/");
        let stamp = Stamp::of(&fs::symlink_metadata(archive)?);
        let held = self.0.take().filter(|held| {
            held.path == archive && held.stamp == stamp && held.password.as_deref() == password
        });
        let mut held = match held {
            Some(held) => held,
            None => {
                let kind = detect(archive)?;
                if !is_archive(kind) {
                    return Err(ReadError::Missing);
                }
                let name = archive.file_name().unwrap_or_default().to_string_lossy();
                let mut budget = Budget::of_archive(stamp.size);
                let source = Box::new(File::open(archive)?);
                Held {
                    path: archive.to_owned(),
                    archive: Archive::open(source, &name, kind, &mut budget, password)?,
                    password: password.map(str::to_owned),
                    stamp,
                }
            }
        };
        let mut budget = Budget::of_archive(held.stamp.size);
        let bytes = held.archive.find(&inner, &mut budget, password);
        self.0 = Some(held).filter(|held| held.stamp.is_settled());
        bytes
    }
}

/// What an archive is read from.
trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An open archive.
struct Archive {
    members: Members,
    /// The archive in this one that was opened last, and its name.
    inner: Option<(String, Box<Archive>)>,
    /// What could not be read.
    warnings: Vec<String>,
}

/// What an archive holds, each by its path. Of several members of one path the last one counts, as
/// it does when they are unpacked.
enum Members {
    /// They can be had in any order.
    Zip(Box<ZipArchive<Box<dyn Source>>>, Named<Packed>),
    /// A stream has to be read from its beginning, so they are unpacked all at once.
    Unpacked(Named<Vec<u8>>),
}

/// Where a member of a zip archive is.
struct Packed {
    index: usize,
    /// Unpacked, as the archive says.
    size: u64,
    locked: bool,
}

/// Values by name, in the order in which the names came first.
struct Named<T> {
    values: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

impl<T> Named<T> {
    fn new() -> Self {
        Self { values: Vec::new(), places: HashMap::new() }
    }

    fn insert(&mut self, name: String, value: T) {
        match self.places.get(&name) {
            Some(place) => self.values[*place].1 = value,
            None => {
                self.places.insert(name.clone(), self.values.len());
                self.values.push((name, value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&T> {
        self.places.get(name).map(|place| &self.values[*place].1)
    }
}

impl Members {
    fn names(&self) -> Vec<String> {
        match self {
            Self::Zip(_, places) => places.values.iter().map(|(name, _)| name.clone()).collect(),
            Self::Unpacked(members) => {
                members.values.iter().map(|(name, _)| name.clone()).collect()
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Zip(_, places) => places.get(name).is_some(),
            Self::Unpacked(members) => members.get(name).is_some(),
        }
    }

    /// How many bytes a member is that is not unpacked yet, as the archive says.
    fn packed_size(&self, name: &str) -> u64 {
        match self {
            Self::Zip(_, places) => places.get(name).map_or(0, |place| place.size),
            Self::Unpacked(_) => 0,
        }
    }

    /// The first bytes of a member; none where they cannot be had.
    fn head(&mut self, name: &str) -> Vec<u8> {
        let mut head = Vec::new();
        match self {
            Self::Zip(archive, places) => {
                let place = places.get(name).filter(|place| !place.locked);
                let member = place.and_then(|place| archive.by_index(place.index).ok());
                // What there is of a damaged member will do.
                let _ = member.map(|member| member.take(HEAD).read_to_end(&mut head));
            }
            Self::Unpacked(members) => {
                let bytes = members.get(name).map_or(&[][..], Vec::as_slice);
                head.extend(bytes.iter().take(HEAD as usize));
            }
        }
        head
    }

    /// The bytes of a member, which `budget` pays for unless that was done when it was unpacked.
    fn bytes(
        &mut self,
        name: &str,
        budget: &mut Budget,
        password: Option<&str>,
    ) -> Result<Vec<u8>, ReadError> {
        let (archive, place) = match self {
            Self::Zip(archive, places) => (archive, places.get(name).ok_or(ReadError::Missing)?),
            Self::Unpacked(members) => {
                return members.get(name).cloned().ok_or(ReadError::Missing);
            }
        };
        if place.size > MAX_UNPACKED {
            return Err(ReadError::TooBig);
        }
        budget.afford(place.size)?;
        let opened = match password {
            _ if !place.locked => archive.by_index(place.index),
            Some(password) => archive.by_index_decrypt(place.index, password.as_bytes()),
            None => return Err(ReadError::PasswordNeeded),
        };
        let member = match opened {
            Err(ZipError::InvalidPassword) => return Err(ReadError::PasswordNeeded),
            // AES, which the crate that unpacks was compiled without.
            Err(ZipError::UnsupportedArchive(_)) if place.locked => {
                return Err(ReadError::Damaged("its encryption is unknown or broken".into()));
            }
            opened => opened.map_err(damaged)?,
        };
        let mut bytes = Vec::new();
        match member.take(place.size + 1).read_to_end(&mut bytes) {
            // What a wrong password opens looks damaged.
            Err(_) if place.locked => Err(ReadError::PasswordNeeded),
            Err(error) => Err(damaged(error)),
            Ok(_) if bytes.len() as u64 > place.size => {
                Err(ReadError::Damaged("it is larger than its archive says".into()))
            }
            Ok(_) => Ok(bytes),
        }
    }
}

impl Archive {
    fn open(
        mut source: Box<dyn Source>,
        name: &str,
        kind: DocumentKind,
        budget: &mut Budget,
        password: Option<&str>,
    ) -> Result<Self, ReadError> {
        let mut warnings = Vec::new();
        if kind == DocumentKind::Zip {
            let members = zip(source, &mut warnings)?;
            return Ok(Self { members, inner: None, warnings });
        }
        let mut unpacking = Unpacking {
            members: Named::new(),
            warnings: &mut warnings,
            budget: budget.in_memory(),
        };
        let outcome = if kind == DocumentKind::SevenZ {
            seven(source, &mut unpacking, password)
        } else {
            let mut head = Vec::new();
            source.by_ref().take(8).read_to_end(&mut head)?;
            source.rewind()?;
            compressed(&head, source, name, &mut unpacking)
        };
        let members = unpacking.members;
        let unpacked = members.values.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        // It cannot be more than there was.
        let _ = budget.spend(unpacked);
        match outcome {
            // What was read before the end of the budget or the damage is worth keeping.
            Err(error) if !members.values.is_empty() => warnings.push(not_all(&error)),
            // What a wrong password opens looks damaged.
            Err(ReadError::Damaged(_)) if password.is_some() => {
                return Err(ReadError::PasswordNeeded);
            }
            outcome => outcome?,
        }
        Ok(Self { members: Members::Unpacked(members), inner: None, warnings })
    }

    /// Lists the members and those of archives among them, which lie `nesting` deep, below `prefix`.
    fn list(
        &mut self,
        prefix: &str,
        nesting: usize,
        budget: &mut Budget,
        password: Option<&str>,
        members: &mut Vec<Member>,
        warnings: &mut Vec<String>,
    ) {
        for name in self.members.names() {
            if members.len() >= MAX_MEMBERS {
                warnings.push(too_many());
                return;
            }
            let path = format!("{prefix}{name}");
            if may_be_archive(&name, &self.members.head(&name)) {
                match self.open_inner(&name, nesting, budget, password) {
                    Ok(inner) => {
                        warnings.append(&mut inner.warnings);
                        let prefix = format!("{path}/");
                        inner.list(&prefix, nesting + 1, budget, password, members, warnings);
                    }
                    // It is something else; what, is found when it is read.
                    Err(ReadError::Unsupported) => members.push(Member { path, failure: None }),
                    Err(error) => {
                        members.push(Member { path, failure: Some(error.to_string()) });
                    }
                }
                // It may hold all of its members.
                self.inner = None;
            } else {
                let size = self.members.packed_size(&name);
                let paid = match size {
                    0..=MAX_UNPACKED => budget.afford(size),
                    _ => Err(ReadError::TooBig),
                };
                members.push(Member { path, failure: paid.err().map(|error| error.to_string()) });
            }
        }
    }

    /// Opens an archive that is a member.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unsupported`] where it is none.
    fn open_inner(
        &mut self,
        name: &str,
        nesting: usize,
        budget: &mut Budget,
        password: Option<&str>,
    ) -> Result<&mut Self, ReadError> {
        let inner = match self.inner.take().filter(|(held, _)| held == name) {
            Some((_, inner)) => inner,
            None => {
                let bytes = self.members.bytes(name, budget, password)?;
                let kind = detect_bytes(name, &bytes).ok().filter(|kind| is_archive(*kind));
                let kind = kind.ok_or(ReadError::Unsupported)?;
                if nesting >= MAX_NESTING {
                    return Err(ReadError::TooDeep);
                }
                let file = name.rsplit('/').next().unwrap_or(name);
                let source = Box::new(Cursor::new(bytes));
                Box::new(Self::open(source, file, kind, budget, password)?)
            }
        };
        Ok(&mut self.inner.insert((name.to_owned(), inner)).1)
    }

    /// The bytes of a member, or of a member of an archive in this one, by its path.
    fn find(
        &mut self,
        path: &str,
        budget: &mut Budget,
        password: Option<&str>,
    ) -> Result<Vec<u8>, ReadError> {
        let mut archive = self;
        let mut path = path;
        for nesting in 1..=MAX_NESTING {
            if archive.members.has(path) {
                return archive.members.bytes(path, budget, password);
            }
            let ends = path.match_indices('/').map(|(end, _)| end);
            let name = ends.map(|end| &path[..end]).find(|name| archive.members.has(name));
            let name = name.ok_or(ReadError::Missing)?;
            path = &path[name.len() + 1..];
            archive = match archive.open_inner(name, nesting, budget, password) {
                // Nothing lies below a member that is no archive.
                Err(ReadError::Unsupported) => return Err(ReadError::Missing),
                opened => opened?,
            };
        }
        Err(ReadError::TooDeep)
    }
}

/// Whether a member may be an archive, by its name and its first bytes.
fn may_be_archive(name: &str, head: &[u8]) -> bool {
    use DocumentKind::{Docx, Epub, Odp, Ods, Odt, Pptx, Xlsx};
    let marks: [&[u8]; 6] =
        [b"PK\x03\x04", b"PK\x05\x06", b"7z\xBC\xAF\x27\x1C", b"\x1F\x8B", b"BZh", b"\xFD7zXZ\0"];
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let package = matches!(
        DocumentKind::from_extension(extension),
        Some(Docx | Pptx | Xlsx | Odt | Ods | Odp | Epub)
    );
    !package && (is_tape(head) || marks.iter().any(|mark| head.starts_with(mark)))
}

/// The path of a member below its archive, from its name there: no steps that lead out of it, and no
/// characters that cannot be shown.
fn tidy(name: &str) -> String {
    let clean = |step: &str| -> String {
        step.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
    };
    let steps = name.split(['/', '\\']).filter(|step| !matches!(*step, "" | "." | ".."));
    steps.map(clean).collect::<Vec<_>>().join("/")
}

/// Whether a member is a person's document, by its path.
fn is_wanted(path: &str) -> bool {
    let mut steps = path.split('/');
    !path.is_empty()
        && !steps.any(|step| step.starts_with('.') || step == "__MACOSX" || step.starts_with("~$"))
}

/// Names as text. In old archives they are in the encoding of the computer that made them, which
/// all of them together tell better than each.
fn decoded(names: &[&[u8]]) -> Vec<String> {
    let old = |name: &&&[u8]| std::str::from_utf8(name).is_err();
    let together: Vec<&[u8]> = names.iter().filter(old).copied().collect();
    let together = text::decode(&together.join(&b'\n'), None).unwrap_or_default();
    let mut together = together.split('\n');
    let names = names.iter().map(|name| match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => together
            .next()
            .filter(|name| !name.is_empty())
            .map_or_else(|| String::from_utf8_lossy(name).into_owned(), str::to_owned),
    });
    names.collect()
}

fn zip(source: Box<dyn Source>, warnings: &mut Vec<String>) -> Result<Members, ReadError> {
    let archive = ZipArchive::new(source).map_err(damaged)?;
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(damaged)?;
        if entry.is_file() {
            let place = Packed { index, size: entry.size(), locked: entry.encrypted() };
            found.push((entry.name_raw().to_owned(), place));
        }
    }
    let names: Vec<&[u8]> = found.iter().map(|(name, _)| name.as_slice()).collect();
    let names = decoded(&names);
    let mut places = Named::new();
    for (name, (_, place)) in names.iter().map(String::as_str).map(tidy).zip(found) {
        if !is_wanted(&name) {
            continue;
        }
        if places.values.len() >= MAX_MEMBERS {
            warnings.push(too_many());
            break;
        }
        places.insert(name, place);
    }
    Ok(Members::Zip(Box::new(archive), places))
}

/// An archive on its way into memory.
struct Unpacking<'a> {
    members: Named<Vec<u8>>,
    warnings: &'a mut Vec<String>,
    budget: Budget,
}

impl Unpacking<'_> {
    /// Whether so many members are as many as are read.
    fn is_full(&mut self, members: usize) -> bool {
        let full = members >= MAX_MEMBERS;
        if full {
            self.warnings.push(too_many());
        }
        full
    }

    fn unpack(&mut self, source: &mut dyn Read) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        source.take(self.budget.bytes() + 1).read_to_end(&mut bytes).map_err(damaged)?;
        self.budget.spend(bytes.len() as u64)?;
        Ok(bytes)
    }
}

fn seven(
    source: Box<dyn Source>,
    unpacking: &mut Unpacking<'_>,
    password: Option<&str>,
) -> Result<(), ReadError> {
    use sevenz_rust2::Error;
    let refused = |error| match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => ReadError::PasswordNeeded,
        error => damaged(error),
    };
    let limit = MAX_DICTIONARY_KIB as usize;
    let password = password.map_or_else(Password::empty, Password::from);
    let mut archive =
        ArchiveReader::new_with_memory_limit(source, password, limit).map_err(refused)?;
    // The threads of a parallel decoder would each have a dictionary.
    archive.set_thread_count(1);
    let mut failure = None;
    let outcome = archive.for_each_entries_with_decision(|entry, source| {
        if unpacking.is_full(unpacking.members.values.len()) {
            return Ok(EntryDecision::Stop);
        }
        let path = tidy(entry.name());
        let added = if entry.is_directory() || !is_wanted(&path) {
            // A solid archive is one stream: what is not wanted has to be read past.
            let left = unpacking.budget.bytes();
            let passed = std::io::copy(&mut source.take(left + 1), &mut std::io::sink())?;
            unpacking.budget.spend(passed)
        } else {
            unpacking.unpack(source).map(|bytes| unpacking.members.insert(path, bytes))
        };
        failure = added.err();
        Ok(if failure.is_some() { EntryDecision::Stop } else { EntryDecision::Continue })
    });
    failure.map_or(Ok(()), Err)?;
    outcome.map_err(refused)
}

/// A tape archive or a single file, as it is or compressed.
fn compressed(
    head: &[u8],
    source: Box<dyn Source>,
    name: &str,
    unpacking: &mut Unpacking<'_>,
) -> Result<(), ReadError> {
    let source = BufReader::new(source);
    if head.starts_with(b"\x1F\x8B") {
        tape_or_file(flate2::bufread::MultiGzDecoder::new(source), name, unpacking)
    } else if head.starts_with(b"BZh") {
        tape_or_file(bzip2::bufread::MultiBzDecoder::new(source), name, unpacking)
    } else if head.starts_with(b"\xFD7zXZ") {
        let limit = MAX_DICTIONARY_KIB;
        tape_or_file(lzma_rust2::XzReader::new_mem_limit(source, true, limit), name, unpacking)
    } else {
        tape(source, unpacking)
    }
}

fn tape_or_file<R: Read>(
    source: R,
    name: &str,
    unpacking: &mut Unpacking<'_>,
) -> Result<(), ReadError> {
    let mut source = BufReader::with_capacity(64 << 10, source);
    let head = source.fill_buf().map_err(damaged)?;
    if is_tape(head) {
        return tape(source, unpacking);
    }
    // `report.txt.gz` holds `report.txt`.
    let inner = name.rsplit_once('.').map_or(name, |(inner, _)| inner);
    let bytes = unpacking.unpack(&mut source)?;
    unpacking.members.insert(tidy(inner), bytes);
    Ok(())
}

pub(crate) fn is_tape(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

fn tape<R: Read>(source: R, unpacking: &mut Unpacking<'_>) -> Result<(), ReadError> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let outcome = unroll(source, &mut found, unpacking);
    let names: Vec<&[u8]> = found.iter().map(|(name, _)| name.as_slice()).collect();
    for (name, (_, bytes)) in decoded(&names).iter().map(|name| tidy(name)).zip(found) {
        unpacking.members.insert(name, bytes);
    }
    outcome
}

/// Adds the names and contents of a tape's files to `found`, as far as it can be read.
fn unroll<R: Read>(
    source: R,
    found: &mut Vec<(Vec<u8>, Vec<u8>)>,
    unpacking: &mut Unpacking<'_>,
) -> Result<(), ReadError> {
    let mut archive = tar::Archive::new(source);
    for entry in archive.entries().map_err(damaged)? {
        if unpacking.is_full(found.len()) {
            break;
        }
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        if entry.header().entry_type().is_file()
            && is_wanted(&tidy(&String::from_utf8_lossy(&name)))
        {
            found.push((name, unpacking.unpack(&mut entry)?));
        } else {
            // Skipping inside of a compressed stream costs as much as reading.
            unpacking.budget.spend(entry.size())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;
    use std::io::Write as _;

    fn tape_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Reads an archive that is inside of another document.
    fn read_inside(
        name: &str,
        bytes: Vec<u8>,
        kind: DocumentKind,
    ) -> Result<Extraction, ReadError> {
        let mut budget = Budget::new(bytes.len() as u64);
        read(bytes, name, kind, &mut budget)
    }

    /// An archive in a folder.
    struct OnDisk(tempfile::TempDir, PathBuf);

    impl OnDisk {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            Self(folder, path)
        }

        fn list(&self, password: Option<&str>) -> Result<(Extraction, Vec<Member>), ReadError> {
            let Self(_, path) = self;
            let name = path.file_name().unwrap().to_str().unwrap();
            list(File::open(path).unwrap(), name, detect(path).unwrap(), password)
        }

        /// The paths of the members, those with a failure with it.
        fn paths(&self) -> Vec<String> {
            let (extraction, members) = self.list(None).unwrap();
            let paths: Vec<_> = members.iter().map(|member| member.path.as_str()).collect();
            assert_eq!(extraction.text, paths.join("\n\n"));
            let line = |member: Member| match member.failure {
                Some(failure) => format!("{}: {failure}", member.path),
                None => member.path,
            };
            members.into_iter().map(line).collect()
        }

        fn member(&self, path: &str, password: Option<&str>) -> Result<String, ReadError> {
            let Self(_, archive) = self;
            let bytes = Shelf::default().member(&archive.join(path), archive, password)?;
            Ok(String::from_utf8(bytes).unwrap())
        }
    }

    /// The same members in archives of the kinds that can be written here.
    fn archives(members: &[(&str, &[u8])]) -> [(&'static str, Vec<u8>); 4] {
        let plain = tape_of(members);
        let bzip = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        };
        [
            ("x.zip", package(members)),
            ("x.tgz", gzip(&plain)),
            ("x.tar.bz2", bzip),
            ("x.tar", plain),
        ]
    }

    #[test]
    fn inside_of_a_document_members_are_read_as_the_documents_they_are() {
        let inner = package(&[("deep/notes.txt", "in the inner one")]);
        let members: [(&str, &[u8]); 7] = [
            ("a/report.md", b"# Title\n\ntext"),
            ("photo.png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0"),
            ("__MACOSX/._report.md", b"noise"),
            ("a/.hidden.txt", b"noise"),
            ("inner.zip", &inner),
            ("empty.txt", b""),
            ("page.dat", b"<!DOCTYPE html><p>a page"),
        ];
        let expected = "# a/report.md\n\n## Title\n\n¶ text\n\n- photo.png\n\n# inner.zip\n\n## deep/notes.txt\n\n\
                        ¶ in the inner one\n\n- empty.txt\n\n# page.dat\n\n¶ a page";
        for (name, bytes) in archives(&members) {
            let kind = detect_bytes(name, &bytes).unwrap();
            let extraction = read_inside(name, bytes, kind).unwrap();
            let pages: Vec<_> = extraction.pages.iter().filter_map(|page| page.number).collect();
            assert_eq!(pages, [1, 2, 3, 4, 5], "{name}");
            assert_eq!(sketch(&extraction), expected, "{name}");
        }
        let single = read_inside("report.md.gz", gzip(b"# One"), DocumentKind::Tar).unwrap();
        assert_eq!(sketch(&single), "# report.md\n\n## One");
    }

    #[test]
    fn an_archive_is_listed_with_the_archives_in_it_and_gives_each_member() {
        let inner = package(&[("deep/notes.txt", "in the inner one"), ("b/.hidden", "noise")]);
        let tape = gzip(&tape_of(&[("c.txt", b"on the tape"), ("inner.zip", &inner)]));
        let members: [(&str, &[u8]); 6] = [
            ("a/report.md", b"# Title"),
            ("__MACOSX/._report.md", b"noise"),
            ("old/inner.zip", &inner),
            ("tape.dat", &tape),
            ("note.txt.gz", &gzip(b"alone")),
            ("report.docx", b"PK\x03\x04 cut"),
        ];
        let expected = [
            ("a/report.md", "# Title"),
            ("old/inner.zip/deep/notes.txt", "in the inner one"),
            ("tape.dat/c.txt", "on the tape"),
            ("tape.dat/inner.zip/deep/notes.txt", "in the inner one"),
            ("note.txt.gz/note.txt", "alone"),
            ("report.docx", "PK\x03\x04 cut"),
        ];
        let seven = ("x.7z", include_bytes!("../tests/data/members.7z").to_vec());
        for (name, bytes) in archives(&members).into_iter().chain([seven]) {
            let archive = OnDisk::new(name, &bytes);
            assert_eq!(archive.paths(), expected.map(|(path, _)| path), "{name}");
            for (path, text) in expected {
                assert_eq!(archive.member(path, None).unwrap(), text, "{name} {path}");
            }
            for path in ["a", "a/report.md/x", "old/inner.zip/deep", "../x.zip", "nothing"] {
                let found = archive.member(path, None);
                assert!(matches!(found, Err(ReadError::Missing)), "{name} {path}: {found:?}");
            }
        }
        let single = OnDisk::new("report.md.gz", &gzip(b"# One"));
        assert_eq!(single.paths(), ["report.md"]);
    }

    #[test]
    fn names_become_paths_that_lead_nowhere_but_into_the_archive() {
        let cases = [
            ("a/b.txt", "a/b.txt"),
            ("/etc/passwd", "etc/passwd"),
            ("../../../etc/passwd", "etc/passwd"),
            ("a/../../b.txt", "a/b.txt"),
            ("./a//b.txt", "a/b.txt"),
            ("C:\\Users\\a.txt", "C:/Users/a.txt"),
            ("..\\..\\a.txt", "a.txt"),
            ("a\u{7}b\n.txt", "a_b_.txt"),
            ("..", ""),
            ("/", ""),
        ];
        for (name, path) in cases {
            assert_eq!(tidy(name), path, "{name:?}");
        }
        // Of those that become one, the last one counts, as where they are unpacked.
        let archive =
            OnDisk::new("x.zip", &package(&[("a/b.txt", "first"), ("../a//b.txt", "last")]));
        assert_eq!(archive.paths(), ["a/b.txt"]);
        assert_eq!(archive.member("a/b.txt", None).unwrap(), "last");
    }

    #[test]
    fn a_path_leads_into_a_file_or_nowhere() {
        let OnDisk(folder, file) = OnDisk::new("x.zip", b"");
        let cases = [
            (file.join("a/b.txt"), Some(file.as_path())),
            (file.clone(), None),
            (folder.path().join("gone.zip/a.txt"), None),
            (folder.path().to_owned(), None),
        ];
        for (path, expected) in cases {
            assert_eq!(archive_of(&path), expected, "{}", path.display());
        }
    }

    #[test]
    fn a_locked_archive_opens_with_its_password_only() {
        let text = "The heron is kept in a locked archive.";
        let zip = OnDisk::new("locked.zip", include_bytes!("../tests/data/locked.zip"));
        let seven = OnDisk::new("locked.7z", include_bytes!("../tests/data/locked.7z"));
        // A zip archive tells what it holds; this 7z archive does not.
        assert_eq!(zip.paths(), ["note.txt"]);
        for wrong in [None, Some(""), Some("Secret")] {
            assert!(matches!(seven.list(wrong), Err(ReadError::PasswordNeeded)), "{wrong:?}");
            for archive in [&zip, &seven] {
                let found = archive.member("note.txt", wrong);
                assert!(matches!(found, Err(ReadError::PasswordNeeded)), "{wrong:?} {found:?}");
            }
        }
        assert_eq!(seven.list(Some("secret")).unwrap().1.len(), 1);
        for archive in [&zip, &seven] {
            assert_eq!(archive.member("note.txt", Some("secret")).unwrap().trim(), text);
        }
        let inside = include_bytes!("../tests/data/locked.zip").to_vec();
        let read = read_inside("locked.zip", inside, DocumentKind::Zip);
        assert!(matches!(read, Err(ReadError::PasswordNeeded)));
    }

    #[test]
    fn names_in_old_encodings_are_read_all_in_the_same() {
        // They are written in place of others of the same length: zip writers know UTF-8 only.
        let names = ["二零二四年度财务审计报告", "甲乙", "丙"];
        let encoded = names.map(|name| encoding_rs::GBK.encode(name).0.into_owned());
        let stand_ins: Vec<String> = ["a", "b", "c"]
            .iter()
            .zip(&encoded)
            .map(|(letter, name)| letter.repeat(name.len()) + ".txt")
            .collect();
        let members: Vec<(&str, &str)> =
            stand_ins.iter().map(|name| (name.as_str(), "text")).collect();
        let mut bytes = package(&members);
        for (stand_in, name) in stand_ins.iter().zip(&encoded) {
            let places: Vec<_> = (0..bytes.len() - stand_in.len())
                .filter(|at| bytes[*at..].starts_with(stand_in.as_bytes()))
                .collect();
            assert_eq!(places.len(), 2);
            for at in places {
                bytes[at..at + name.len()].copy_from_slice(name);
            }
        }
        let archive = OnDisk::new("x.zip", &bytes);
        assert_eq!(archive.paths(), names.map(|name| format!("{name}.txt")));
        assert_eq!(archive.member("甲乙.txt", None).unwrap(), "text");
    }

    #[test]
    fn bombs_end_at_the_limits() {
        let too_big = "the file is too big to be read";
        // A member that unpacks to far more than its archive.
        let members: [(&str, &[u8]); 3] =
            [("first.txt", b"kept"), ("zeros.txt", &vec![b' '; 80 << 20]), ("last.txt", b"kept")];
        for (name, bytes) in archives(&members) {
            let kind = detect_bytes(name, &bytes).unwrap();
            if name == "x.tar" {
                continue;
            }
            let archive = OnDisk::new(name, &bytes);
            let extraction = read_inside(name, bytes, kind).unwrap();
            if kind == DocumentKind::Zip {
                let zeros = format!("zeros.txt: {too_big}");
                assert_eq!(archive.paths(), ["first.txt", &zeros, "last.txt"], "{name}");
                let found = archive.member("zeros.txt", None);
                assert!(matches!(found, Err(ReadError::TooBig)), "{found:?}");
                assert_eq!(sketch(&extraction), "# first.txt\n\n¶ kept\n\n# last.txt\n\n¶ kept");
            } else {
                // Beyond it the stream would have to be unpacked.
                assert_eq!(archive.paths(), ["first.txt"], "{name}");
                let warnings = archive.list(None).unwrap().0.warnings;
                assert_eq!(warnings, [format!("not all members were read: {too_big}")], "{name}");
                assert_eq!(sketch(&extraction), "# first.txt\n\n¶ kept", "{name}");
            }
            assert_eq!(archive.member("first.txt", None).unwrap(), "kept", "{name}");
            assert!(extraction.warnings[0].contains("too big"), "{:?}", extraction.warnings);
        }
    }

    #[test]
    fn archives_inside_of_archives_end_at_a_depth() {
        let mut nested = package(&[("core.txt", "core")]);
        for depth in 0..12 {
            nested = package(&[
                ("inner.zip", nested),
                ("beside.txt", format!("level {depth}").into_bytes()),
            ]);
        }
        let archive = OnDisk::new("x.zip", &nested);
        let mut paths = archive.paths();
        paths.sort();
        let failure = "the file lies too deep inside of other files";
        assert_eq!(
            paths,
            [
                "beside.txt",
                "inner.zip/beside.txt",
                "inner.zip/inner.zip/beside.txt",
                "inner.zip/inner.zip/inner.zip/beside.txt",
                &format!("inner.zip/inner.zip/inner.zip/inner.zip: {failure}"),
            ]
        );
        assert_eq!(archive.member("inner.zip/inner.zip/beside.txt", None).unwrap(), "level 9");
        let deep = "inner.zip/".repeat(12) + "core.txt";
        assert!(matches!(archive.member(&deep, None), Err(ReadError::TooDeep)));
        let extraction = read_inside("x.zip", nested, DocumentKind::Zip).unwrap();
        assert!(extraction.text.contains("level 11") && !extraction.text.contains("core"));
        assert!(extraction.warnings[0].contains("too deep"), "{:?}", extraction.warnings);
    }

    #[test]
    fn a_broken_member_costs_only_itself() {
        let members = [("a.docx", b"PK\x03\x04 cut".to_vec()), ("b.txt", b"whole".to_vec())];
        let mut bytes = package(&members);
        let extraction = read_inside("x.zip", bytes.clone(), DocumentKind::Zip).unwrap();
        assert_eq!(sketch(&extraction), "- a.docx\n\n# b.txt\n\n¶ whole");
        assert!(extraction.warnings[0].starts_with("a.docx: "), "{:?}", extraction.warnings);
        // A bit of its content is another one.
        let at = bytes.windows(5).position(|window| window == b"a.doc").unwrap() + 8;
        bytes[at] ^= 1;
        let archive = OnDisk::new("x.zip", &bytes);
        assert_eq!(archive.paths(), ["a.docx", "b.txt"]);
        assert!(matches!(archive.member("a.docx", None), Err(ReadError::Damaged(_))));
        assert_eq!(archive.member("b.txt", None).unwrap(), "whole");
        let cut = read_inside("x.zip", b"PK\x03\x04 cut".to_vec(), DocumentKind::Zip);
        assert!(matches!(cut, Err(ReadError::Damaged(_))));
    }

    #[test]
    fn an_archive_is_held_while_its_members_are_read_unless_it_was_changed_just_now() {
        let OnDisk(_folder, file) = OnDisk::new("x.tgz", &gzip(&tape_of(&[("a.txt", b"one")])));
        let member = file.join("a.txt");
        let mut shelf = Shelf::default();
        assert_eq!(shelf.member(&member, &file, None).unwrap(), b"one");
        assert!(shelf.0.is_none());
        // As it will be seen later on.
        let stamp = |size| Stamp { size, modified: Some(SystemTime::UNIX_EPOCH), changed: None };
        assert!(stamp(1).is_settled());
        let mut budget = Budget::new(1);
        let source = Box::new(File::open(&file).unwrap());
        let archive = Archive::open(source, "x.tgz", DocumentKind::Tar, &mut budget, None).unwrap();
        shelf.0 = Some(Held { path: file.clone(), stamp: stamp(1), password: None, archive });
        shelf.make_room_for(&member);
        assert!(shelf.0.is_some());
        shelf.make_room_for(&file.with_file_name("other.txt"));
        assert!(shelf.0.is_none());
    }
}
