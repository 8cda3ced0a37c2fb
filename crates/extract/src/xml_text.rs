//! XML of any vocabulary: articles, books, patents, feeds, records.

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use roxmltree::Node;

use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::xml::{MAX_DEPTH, name, parse_with};
use crate::{ReadError, html};

/// An element with text of its own is a paragraph; one with nothing but elements is a container;
/// one whose elements are all single values is a record of `name: value` lines. Titles, lists,
/// tables and code are told by the names that the common vocabularies give them.
pub(crate) fn read(bytes: &[u8]) -> Result<Extraction, ReadError> {
    let source = html::decode(bytes)?;
    let mut composer = Composer::default();
    match parse_with(&source, true) {
        Ok(document) => {
            let root = document.root_element();
            if name(root) == "html" {
                return html::read(bytes);
            }
            let mut walker = Walker::default();
            walker.element(root, 1, 0);
            composer.title = walker.title;
            composer.blocks(&walker.blocks);
        }
        // Entities that are defined elsewhere, or several documents in one file: what a browser
        // would make of it is better than nothing.
        Err(ReadError::Damaged(_)) => composer.blocks(&html::fragment(&separated(&source))),
        Err(error) => return Err(error),
    }
    composer.finish(DocumentKind::Xml)
}

/// The source with every element on a line of its own, for a reader that does not know which
/// elements are blocks.
fn separated(source: &str) -> String {
    const BLOCKS: [&str; 14] = [
        "p",
        "para",
        "title",
        "heading",
        "claim",
        "claim-text",
        "row",
        "tr",
        "item",
        "li",
        "sec",
        "section",
        "PARA",
        "PDAT",
    ];
    let mut out = String::with_capacity(source.len() + source.len() / 8);
    let mut rest = source;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let tag = after.trim_start_matches('/');
        let end = tag.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(0);
        if BLOCKS.contains(&&tag[..end]) {
            out.push_str("<hr>");
        }
        out.push('<');
        rest = after;
    }
    out.push_str(rest);
    out
}

#[derive(Default)]
struct Walker {
    blocks: Vec<DraftBlock>,
    title: Option<String>,
}

impl Walker {
    /// Reads an element; `level` is that of a heading in it.
    fn element(&mut self, node: Node<'_, '_>, level: u8, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let tag = name(node).to_ascii_lowercase();
        match tag.as_str() {
            "style" | "script" | "processing-meta" | "journal-id" | "issn" => return,
            "title" | "article-title" | "heading" | "head" | "invention-title" | "bridgehead"
                if !has_blocks(node) =>
            {
                let text = flat(node, depth);
                if self.title.is_none() {
                    self.title = Some(text.clone());
                }
                self.blocks.push(DraftBlock::new(BlockKind::Heading(level.min(6)), text));
                return;
            }
            "table" | "tgroup" => {
                self.table(node, level, depth);
                return;
            }
            "programlisting" | "screen" | "literallayout" | "code" | "preformat" | "codeblock" => {
                let text: String = node.descendants().filter_map(|node| node.text()).collect();
                self.blocks.push(DraftBlock::new(BlockKind::Code, text));
                return;
            }
            _ => {}
        }
        let own_text =
            node.children().any(|n| n.is_text() && !n.text().unwrap_or("").trim().is_empty());
        if own_text && !has_blocks(node) {
            let item = node
                .ancestors()
                .take(3)
                .any(|node| matches!(name(node), "li" | "item" | "list-item" | "listitem"));
            let kind = if item { BlockKind::ListItem } else { BlockKind::Paragraph };
            self.blocks.push(DraftBlock::new(kind, flat(node, depth)));
            return;
        }
        if own_text {
            self.mixed(node, level, depth);
            return;
        }
        let children: Vec<_> = node.children().filter(Node::is_element).collect();
        if children.is_empty() {
            let values = attributes(node);
            if !values.is_empty() {
                self.blocks.push(DraftBlock::new(BlockKind::Paragraph, values));
            }
        } else if is_record(&children) {
            let lines: Vec<_> = children
                .iter()
                .map(|child| {
                    let text = flat(*child, depth);
                    let text = if text.is_empty() { attributes(*child) } else { text };
                    format!("{}: {text}", name(*child))
                })
                .collect();
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, lines.join("\n")));
        } else {
            let section =
                children.iter().any(|child| matches!(name(*child), "title" | "head" | "heading"));
            let nested = matches!(
                tag.as_str(),
                "sec"
                    | "section"
                    | "chapter"
                    | "part"
                    | "sect1"
                    | "sect2"
                    | "sect3"
                    | "sect4"
                    | "div"
                    | "topic"
                    | "appendix"
            );
            let level = if nested && section && depth > 1 { level + 1 } else { level };
            for child in children {
                self.element(child, level, depth + 1);
            }
        }
    }

    /// Reads text and blocks that stand between each other in one element.
    fn mixed(&mut self, node: Node<'_, '_>, level: u8, depth: usize) {
        let mut text = String::new();
        for child in node.children() {
            if child.is_element() && is_block(name(child)) {
                self.blocks.push(DraftBlock::new(
                    BlockKind::Paragraph,
                    collapse(&std::mem::take(&mut text)),
                ));
                self.element(child, level, depth + 1);
            } else if child.is_element() {
                text.push_str(&raw(child, depth + 1));
            } else if child.is_text() {
                text.push_str(child.text().unwrap_or_default());
            }
        }
        self.blocks.push(DraftBlock::new(BlockKind::Paragraph, collapse(&text)));
    }

    fn table(&mut self, table: Node<'_, '_>, level: u8, depth: usize) {
        let rows: Vec<Vec<String>> = table
            .descendants()
            .filter(|node| matches!(name(*node), "tr" | "row" | "strow"))
            .map(|row| {
                row.children().filter(Node::is_element).map(|cell| flat(cell, depth)).collect()
            })
            .collect();
        if rows.is_empty() {
            for child in table.children().filter(Node::is_element) {
                self.element(child, level, depth + 1);
            }
            return;
        }
        for caption in table.children().filter(|node| matches!(name(*node), "title" | "caption")) {
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, flat(caption, depth)));
        }
        self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
    }
}

/// Several elements of different names with nothing but a value each.
fn is_record(children: &[Node<'_, '_>]) -> bool {
    let leaf = |node: &Node<'_, '_>| !node.children().any(|child| child.is_element());
    let prose = |node: &Node<'_, '_>| is_block(name(*node));
    children.len() > 1 && children.iter().all(leaf) && !children.iter().any(prose)
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "para"
            | "sec"
            | "section"
            | "list"
            | "ul"
            | "ol"
            | "itemizedlist"
            | "orderedlist"
            | "table"
            | "table-wrap"
            | "fig"
            | "figure"
            | "title"
            | "li"
            | "item"
            | "list-item"
            | "listitem"
            | "claim-text"
            | "tables"
            | "boxed-text"
            | "disp-quote"
            | "programlisting"
            | "code"
            | "preformat"
            | "disp-formula"
    )
}

fn has_blocks(node: Node<'_, '_>) -> bool {
    node.children().any(|child| child.is_element() && is_block(name(child)))
}

fn attributes(node: Node<'_, '_>) -> String {
    let values =
        node.attributes().filter(|a| !a.value().trim().is_empty() && a.namespace().is_none());
    values.map(|a| format!("{}: {}", a.name(), a.value())).collect::<Vec<_>>().join(", ")
}

/// All text in `node` on one line.
fn flat(node: Node<'_, '_>, depth: usize) -> String {
    collapse(&raw(node, depth))
}

/// All text in `node`. Where elements follow each other without text between them they are
/// values of their own, and a space keeps them apart.
fn raw(node: Node<'_, '_>, depth: usize) -> String {
    let mut out = String::new();
    if depth > MAX_DEPTH {
        return out;
    }
    let mixed = node.children().any(|n| n.is_text() && !n.text().unwrap_or("").trim().is_empty());
    for child in node.children() {
        if child.is_text() {
            out.push_str(child.text().unwrap_or_default());
        } else if child.is_element() {
            out.push_str(&raw(child, depth + 1));
            if !mixed {
                out.push(' ');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn vocabularies_are_read_by_their_shape() {
        let cases = [
            (
                "<article><front><article-title>On <i>tea</i></article-title></front><body><sec><title>Method</title><p>We <b>brew</b>. \
                 <list><list-item><p>one</p></list-item></list> After.</p><sec><title>Deep</title><p>x</p></sec></sec></body></article>",
                "# On tea\n\n## Method\n\n¶ We brew.\n\n- one\n\n¶ After.\n\n### Deep\n\n¶ x",
            ),
            (
                "<shop><item><name>Tea</name><price>3.50</price></item><item><name>Milk</name><price>1</price></item></shop>",
                "¶ name: Tea\nprice: 3.50\n\n¶ name: Milk\nprice: 1",
            ),
            (
                "<!DOCTYPE d [<!ENTITY co 'Company'>]><d><p>&co; Ltd</p><table><tr><td>a</td><td>b</td></tr></table></d>",
                "¶ Company Ltd\n\n▦ a | b",
            ),
            ("<d><p>Unknown &mdash; entity</p><p>two</p></d>", "¶ Unknown — entity\n\n¶ two"),
            (
                "<s><x id='3' label='Tea'/><x id='4' label='Milk'/></s>",
                "¶ x: id: 3, label: Tea\nx: id: 4, label: Milk",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(sketch(&read(source.as_bytes()).unwrap()), expected, "{source}");
        }
    }

    #[test]
    fn entities_that_expand_without_end_are_stopped() {
        let mut bomb = String::from("<!DOCTYPE d [<!ENTITY a0 'haha'>");
        for level in 1..40 {
            bomb += &format!("<!ENTITY a{level} '&a{0};&a{0};&a{0};&a{0};'>", level - 1);
        }
        bomb += "]><d>before &a39; after</d>";
        let read = read(bomb.as_bytes());
        assert!(read.is_err() || read.is_ok_and(|extraction| extraction.text.len() < 100_000));
    }
}
