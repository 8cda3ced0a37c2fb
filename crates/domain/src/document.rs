use serde::{Deserialize, Serialize};

use crate::CharRange;

/// What a file is, by its content's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    /// Plain text.
    Txt,
    /// Markdown (CommonMark with tables).
    Md,
    /// HTML.
    Html,
    /// Office Open XML text document.
    Docx,
    /// Portable Document Format.
    Pdf,
}

impl DocumentKind {
    /// The kind that a file name's extension (without the dot, any case) stands for.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "txt" | "text" | "log" => Self::Txt,
            "md" | "markdown" | "mdown" => Self::Md,
            "html" | "htm" | "xhtml" => Self::Html,
            "docx" | "docm" => Self::Docx,
            "pdf" => Self::Pdf,
            _ => return None,
        })
    }

    /// The name used in filters and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Html => "html",
            Self::Docx => "docx",
            Self::Pdf => "pdf",
        }
    }

    /// The kind with this name, as [`Self::as_str`] prints it.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Txt, Self::Md, Self::Html, Self::Docx, Self::Pdf]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A rectangle on a page, in PDF points (1/72 inch) from the page's top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

/// A page and the part of the canonical text it holds. The pages of a document
/// cover its text without gaps or overlaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The page, from 1; `None` for the single page of a kind that has none.
    pub number: Option<u32>,
    /// What the document itself calls the page, such as `iv` or `A-3`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its part of the canonical text.
    pub range: CharRange,
}

/// What a block of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A paragraph.
    Paragraph,
    /// One item of a list.
    ListItem,
    /// One table, row by row: cells separated by ` | `, rows by line breaks.
    Table,
    /// Preformatted text.
    Code,
}

/// A block of the document, in reading order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its part of the canonical text.
    pub range: CharRange,
}

/// Where a run of characters (usually a word) stands on its page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextBox {
    /// The characters.
    pub range: CharRange,
    /// Their rectangle.
    pub rect: Rect,
}

/// Everything that was read from one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extraction {
    /// The kind it was read as.
    pub kind: DocumentKind,
    /// The document's own title, where it names one.
    pub title: Option<String>,
    /// The canonical text.
    pub text: String,
    /// Its pages; never empty, and together the whole text.
    pub pages: Vec<Page>,
    /// Its blocks in reading order; ranges do not overlap.
    pub blocks: Vec<Block>,
    /// Places of words on pages, by start; empty for kinds without pages.
    pub boxes: Vec<TextBox>,
    /// What could not be read, in words a person understands.
    pub warnings: Vec<String>,
}
