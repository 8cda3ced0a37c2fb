//! Packages: documents that are zip files of XML parts, such as those of Office and OpenDocument.

use std::io::{Cursor, Read as _};

use encoding_rs::{Encoding, UTF_8};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::xml::{attribute, damaged, name, parse};
use crate::{MAX_RATIO, ReadError};

/// A part larger than this when unpacked is not read.
const MAX_PART_BYTES: u64 = 256 << 20;

/// How large the parts together may be whatever their ratio.
const HARMLESS_BYTES: u64 = 256 << 20;

/// A relationship of Office Open XML: from one part to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relationship {
    pub id: String,
    /// The last step of the type's address, such as `chart`.
    pub kind: String,
    /// The other part's name in the package.
    pub target: String,
}

#[derive(Debug)]
pub(crate) struct Package(ZipArchive<Cursor<Vec<u8>>>);

impl Package {
    /// # Errors
    ///
    /// [`ReadError::TooBig`] where the parts say that they unpack to more than a document does,
    /// [`ReadError::PasswordNeeded`] where they are encrypted.
    pub(crate) fn open(bytes: Vec<u8>) -> Result<Self, ReadError> {
        let size = bytes.len() as u64;
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        let mut unpacked = 0u64;
        for index in 0..archive.len() {
            let part = archive.by_index_raw(index).map_err(damaged)?;
            if part.encrypted() {
                return Err(ReadError::PasswordNeeded);
            }
            unpacked = unpacked.saturating_add(part.size());
        }
        if unpacked > HARMLESS_BYTES.max(size.saturating_mul(MAX_RATIO)) {
            return Err(ReadError::TooBig);
        }
        Ok(Self(archive))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.index_for_name(name).is_some()
    }

    /// How many bytes a part says that it unpacks to; 0 where there is none of that name.
    pub(crate) fn size(&mut self, name: &str) -> u64 {
        self.0.by_name(name).map(|part| part.size()).unwrap_or(0)
    }

    /// The names of all parts, in the order of the package.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect()
    }

    /// The bytes of a part; `None` where the package has none of that name.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let file = match self.0.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_PART_BYTES + 1).read_to_end(&mut bytes).map_err(damaged)?;
        if bytes.len() as u64 > MAX_PART_BYTES {
            return Err(ReadError::TooBig);
        }
        Ok(Some(bytes))
    }

    /// The text of an XML part.
    pub(crate) fn part(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        // XML parts are UTF-8 or, rarely, UTF-16 with a byte order mark.
        let decoded = |bytes: Vec<u8>| match Encoding::for_bom(&bytes) {
            None => String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            Some(_) => UTF_8.decode(&bytes).0.into_owned(),
        };
        Ok(self.bytes(name)?.map(decoded))
    }

    /// The relationships of `part`; none where it has none.
    pub(crate) fn relationships(&mut self, part: &str) -> Result<Vec<Relationship>, ReadError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let source = self.part(&resolve(folder, &format!("_rels/{file}.rels")))?;
        let source = source.unwrap_or_default();
        let Ok(document) = parse(&source) else { return Ok(Vec::new()) };
        let read = |node: roxmltree::Node<'_, '_>| {
            let external = attribute(node, "TargetMode").is_some_and(|mode| mode == "External");
            (name(node) == "Relationship" && !external).then_some(())?;
            let kind = attribute(node, "Type")?;
            Some(Relationship {
                id: attribute(node, "Id")?.to_owned(),
                kind: kind.rsplit('/').next().unwrap_or(kind).to_owned(),
                target: resolve(folder, attribute(node, "Target")?),
            })
        };
        Ok(document.descendants().filter_map(read).collect())
    }

    /// The name of the part that the package's relationships call the document.
    pub(crate) fn main_part(&mut self, usual: &str) -> Result<String, ReadError> {
        let relationships = self.relationships("")?;
        let main = relationships.into_iter().find(|r| r.kind == "officeDocument");
        Ok(main.map_or_else(|| usual.to_owned(), |main| main.target))
    }

    /// The title in the core properties.
    pub(crate) fn title(&mut self, part: &str) -> Option<String> {
        let source = self.part(part).ok()??;
        let properties = parse(&source).ok()?;
        let title = properties.descendants().find(|node| name(*node) == "title")?;
        title.text().map(crate::compose::collapse)
    }
}

/// The part that `target` means in a part that lies in `folder`.
pub(crate) fn resolve(folder: &str, target: &str) -> String {
    let mut steps: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|step| !step.is_empty()).collect(),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// A package from its parts, for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn package<S: AsRef<[u8]>>(parts: &[(&str, S)]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, source) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(source.as_ref()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn targets_are_relative_to_their_part() {
        let cases = [
            ("word", "styles.xml", "word/styles.xml"),
            ("ppt/slides", "../charts/chart1.xml", "ppt/charts/chart1.xml"),
            ("word", "/customXml/item.xml", "customXml/item.xml"),
            ("", "word/document.xml", "word/document.xml"),
            ("a", "../../../etc", "etc"),
        ];
        for (folder, target, expected) in cases {
            assert_eq!(resolve(folder, target), expected, "{folder} {target}");
        }
    }
}
