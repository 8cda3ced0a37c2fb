//! What the readers of XML formats share. Elements are told apart by their local names.

use roxmltree::{Document, Node, ParsingOptions};

use crate::ReadError;

/// More nodes than this in one part are not read, which bounds the memory.
const MAX_NODES: u32 = 10_000_000;

/// Elements nested deeper than this are left out, so that the stack suffices.
pub(crate) const MAX_DEPTH: usize = 200;

pub(crate) fn damaged(reason: impl ToString) -> ReadError {
    ReadError::Damaged(reason.to_string())
}

/// Parses a part of a package. Such parts declare no entities; one that does is refused, which
/// also keeps entities that expand without end away.
pub(crate) fn parse(source: &str) -> Result<Document<'_>, ReadError> {
    parse_with(source, false)
}

/// Parses a document that may have a document type declaration. The parser bounds how deep and
/// how often entities are expanded.
pub(crate) fn parse_with(source: &str, allow_dtd: bool) -> Result<Document<'_>, ReadError> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, allow_dtd, ..ParsingOptions::default() };
    Document::parse_with_options(source, options).map_err(|error| match error {
        // Entities that lead to themselves, or multiply to no end.
        roxmltree::Error::NodesLimitReached | roxmltree::Error::EntityReferenceLoop(_) => {
            ReadError::TooBig
        }
        error => damaged(error),
    })
}

pub(crate) fn name<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, child: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|node| name(*node) == child)
}

/// The attribute with this local name, in any name space.
pub(crate) fn attribute<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    node.attributes().find(|attribute| attribute.name() == key).map(|attribute| attribute.value())
}

/// The texts of all elements named `key` below `node`, one after another.
pub(crate) fn texts(node: Node<'_, '_>, key: &str) -> String {
    node.descendants().filter(|node| name(*node) == key).filter_map(|node| node.text()).collect()
}
