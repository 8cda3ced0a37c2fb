//! Electronic books (EPUB 2 and 3).

use std::collections::HashMap;

use lectern_domain::{DocumentKind, Extraction};

use crate::compose::{Composer, collapse};
use crate::package::{Package, resolve};
use crate::xml::{attribute, damaged, name, parse_with};
use crate::{ReadError, html};

/// The documents of the spine are the pages, in reading order.
pub(crate) fn read(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let mut package = Package::open(bytes)?;
    // Fonts may be scrambled; only books whose texts are encrypted cannot be read.
    let encryption = package.part("META-INF/encryption.xml")?.unwrap_or_default();
    let container = package.part("META-INF/container.xml")?.unwrap_or_default();
    let book = parse_with(&container, true).ok().and_then(|container| {
        let root = container.descendants().find(|node| name(*node) == "rootfile")?;
        attribute(root, "full-path").map(str::to_owned)
    });
    let found = || package.names().into_iter().find(|name| name.ends_with(".opf"));
    let book = book.or_else(found).ok_or_else(|| damaged("the list of its parts is missing"))?;
    let source = package.part(&book)?.ok_or_else(|| damaged("the list of its parts is missing"))?;
    let list = parse_with(&source, true)?;
    let folder = book.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut items: HashMap<&str, (String, bool)> = HashMap::new();
    for node in list.descendants().filter(|node| name(*node) == "item") {
        if let (Some(id), Some(target)) = (attribute(node, "id"), attribute(node, "href")) {
            let contents = attribute(node, "properties").is_some_and(|p| p.contains("nav"));
            items.insert(id, (resolve(folder, &percent_decoded(target)), contents));
        }
    }
    let mut composer = Composer::default();
    let title = list.descendants().find(|node| name(*node) == "title");
    composer.title = title.and_then(|node| node.text()).map(collapse);
    let spine = list.descendants().filter(|node| name(*node) == "itemref");
    let spine = spine.filter_map(|node| items.get(attribute(node, "idref")?));
    for (number, (part, contents)) in (1..).zip(spine) {
        composer.begin_page(number, None);
        // The table of contents repeats the headings.
        if *contents {
            continue;
        }
        if encryption.contains(part.as_str()) {
            return Err(ReadError::PasswordNeeded);
        }
        match package.bytes(part) {
            Ok(Some(bytes)) => composer.blocks(&html::document(&bytes)?),
            Ok(None) => composer.warnings.push(format!("chapter {number} is missing")),
            Err(error) => composer.warnings.push(format!("chapter {number}: {error}")),
        }
        if composer.is_full() {
            composer.truncate();
            break;
        }
    }
    composer.finish(DocumentKind::Epub)
}

/// The text that `%41` and its like stand for.
fn percent_decoded(address: &str) -> String {
    let bytes = address.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = address.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;

    const CONTAINER: &str =
        "<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>";
    const BOOK: &str = "<package xmlns:dc='dc'><metadata><dc:title>Tea</dc:title></metadata><manifest>\
        <item id='n' href='nav.xhtml' properties='nav'/><item id='b' href='two%20b.xhtml'/><item id='a' href='text/one.xhtml'/>\
        </manifest><spine><itemref idref='n'/><itemref idref='a'/><itemref idref='b'/></spine></package>";

    #[test]
    fn chapters_are_read_in_the_order_of_the_spine() {
        let bytes = package(&[
            ("META-INF/container.xml", CONTAINER),
            ("OPS/book.opf", BOOK),
            ("OPS/nav.xhtml", "<nav><a>One</a></nav>"),
            ("OPS/two b.xhtml", "<html><body><h1>Two</h1><p>b</p></body></html>"),
            (
                "OPS/text/one.xhtml",
                "<?xml version='1.0' encoding='utf-8'?><html><body><h1>One</h1><p>茶</p></body></html>",
            ),
        ]);
        let extraction = read(bytes).unwrap();
        assert_eq!(sketch(&extraction), "# One\n\n¶ 茶\n\n# Two\n\n¶ b");
        assert_eq!(extraction.title.as_deref(), Some("Tea"));
        let pages: Vec<_> = extraction.pages.iter().map(|p| (p.number, p.range.len())).collect();
        assert_eq!(pages, [(Some(1), 0), (Some(2), 8), (Some(3), 6)]);
    }

    #[test]
    fn encrypted_books_ask_for_a_password() {
        let bytes = package(&[
            ("META-INF/container.xml", CONTAINER),
            ("META-INF/encryption.xml", "<e><CipherReference URI='OPS/text/one.xhtml'/></e>"),
            ("OPS/book.opf", BOOK),
            ("OPS/text/one.xhtml", "noise"),
        ]);
        assert!(matches!(read(bytes), Err(ReadError::PasswordNeeded)));
    }
}
