use serde::{Deserialize, Serialize};

use crate::CharRange;

/// The kinds with the names that filters and JSON use, the extensions that stand for them, and
/// what their documents are divided into. The first extension is the usual one.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal [$($extension:literal)*] $unit:expr;)*) => {
        /// What a file is, by its content's format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum DocumentKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl DocumentKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name used in filters and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The extensions (without the dot, in lower case) that stand for the kind.
            pub fn extensions(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[$($extension),*],)*
                }
            }

            /// What the pages of its documents are; `None` for kinds that have none.
            pub fn unit(self) -> Option<PageUnit> {
                match self {
                    $(Self::$kind => $unit,)*
                }
            }
        }
    };
}

/// What a numbered page of a document is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageUnit {
    /// A page of paper.
    Page,
    /// A slide of a presentation.
    Slide,
    /// A sheet of a workbook.
    Sheet,
    /// A chapter of a book, in reading order.
    Chapter,
    /// A message of a mailbox.
    Message,
    /// A member of an archive, in the archive's order.
    Member,
    /// A cell of a notebook.
    Cell,
}

/// What the line of an [`Anchor`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineUnit {
    /// A line of the file.
    Line,
    /// A row of a sheet, or a record of a table as text.
    Row,
    /// A second of what the subtitles belong to.
    Second,
}

kinds! {
    /// Plain text.
    Txt "txt" ["txt" "text" "log" "nfo"] None;
    /// Markdown (CommonMark with tables).
    Md "md" ["md" "markdown" "mdown" "mkd" "mdx" "qmd" "rmd"] None;
    /// HTML.
    Html "html" ["html" "htm" "xhtml" "xht"] None;
    /// Office Open XML text document.
    Docx "docx" ["docx" "docm" "dotx" "dotm"] None;
    /// Portable Document Format.
    Pdf "pdf" ["pdf"] Some(PageUnit::Page);
    /// Office Open XML presentation.
    Pptx "pptx" ["pptx" "pptm" "ppsx" "ppsm" "potx" "potm"] Some(PageUnit::Slide);
    /// Office Open XML workbook, the binary form included.
    Xlsx "xlsx" ["xlsx" "xlsm" "xltx" "xltm" "xlsb"] Some(PageUnit::Sheet);
    /// Word document of before 2007.
    Doc "doc" ["doc" "dot" "wps"] None;
    /// PowerPoint presentation of before 2007.
    Ppt "ppt" ["ppt" "pps" "pot"] Some(PageUnit::Slide);
    /// Excel workbook of before 2007.
    Xls "xls" ["xls" "xlt" "et"] Some(PageUnit::Sheet);
    /// OpenDocument text.
    Odt "odt" ["odt" "ott" "fodt"] None;
    /// OpenDocument spreadsheet.
    Ods "ods" ["ods" "ots" "fods"] Some(PageUnit::Sheet);
    /// OpenDocument presentation or drawing.
    Odp "odp" ["odp" "otp" "fodp" "odg"] Some(PageUnit::Slide);
    /// Electronic book.
    Epub "epub" ["epub"] Some(PageUnit::Chapter);
    /// Rich Text Format.
    Rtf "rtf" ["rtf"] None;
    /// Values separated by commas, semicolons, tabs or bars.
    Csv "csv" ["csv" "tsv" "tab"] None;
    /// JSON, also one value a line.
    Json "json" ["json" "jsonl" "ndjson" "geojson" "boxnote"] None;
    /// Jupyter notebook.
    Ipynb "ipynb" ["ipynb"] Some(PageUnit::Cell);
    /// XML of any vocabulary.
    Xml "xml" ["xml" "nxml" "dbk" "docbook" "opml" "rss" "atom" "kml" "gpx" "tei" "dita" "plist"] None;
    /// One message of electronic mail.
    Eml "eml" ["eml" "mht" "mhtml"] None;
    /// A mailbox of messages.
    Mbox "mbox" ["mbox" "mbx"] Some(PageUnit::Message);
    /// One message as Outlook keeps it.
    Msg "msg" ["msg"] None;
    /// LaTeX.
    Tex "tex" ["tex" "latex" "ltx"] None;
    /// AsciiDoc.
    Adoc "adoc" ["adoc" "asciidoc" "asc"] None;
    /// reStructuredText.
    Rst "rst" ["rst" "rest"] None;
    /// SubRip subtitles.
    Srt "srt" ["srt"] None;
    /// WebVTT subtitles.
    Vtt "vtt" ["vtt"] None;
    /// The source code of a program, or a file of settings.
    Code "code" [
        "rs" "py" "pyi" "js" "mjs" "cjs" "jsx" "ts" "tsx" "java" "kt" "kts" "scala" "c" "h" "cc" "cpp" "cxx" "hh" "hpp" "hxx"
        "cs" "go" "rb" "php" "swift" "m" "mm" "lua" "pl" "pm" "r" "jl" "sh" "bash" "zsh" "fish" "ps1" "bat" "cmd" "sql" "dart"
        "ex" "exs" "erl" "hs" "ml" "mli" "fs" "clj" "lisp" "el" "scm" "vb" "vbs" "pas" "f" "f90" "f95" "for" "groovy" "gradle"
        "cmake" "mk" "nim" "zig" "v" "vhd" "vhdl" "sv" "proto" "graphql" "tf" "toml" "yaml" "yml" "ini" "cfg" "conf"
        "properties" "css" "scss" "sass" "less" "vue" "svelte" "asm" "s" "cbl" "cob" "d"
    ] None;
    /// Picture, such as a scan or a photograph.
    Image "image" ["png" "jpg" "jpeg" "jpe" "jfif" "tif" "tiff" "webp" "bmp" "gif"] Some(PageUnit::Page);
    /// Zip archive.
    Zip "zip" ["zip"] Some(PageUnit::Member);
    /// Tape archive, compressed or not; also a single compressed file.
    Tar "tar" ["tar" "tgz" "gz" "tbz" "tbz2" "bz2" "txz" "xz"] Some(PageUnit::Member);
    /// 7-Zip archive.
    SevenZ "7z" ["7z"] Some(PageUnit::Member);
}

impl DocumentKind {
    /// The kind that a file name's extension (without the dot, any case) stands for.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        Self::ALL.iter().copied().find(|kind| kind.extensions().contains(&extension.as_str()))
    }

    /// What the lines of its [`Anchor`]s count.
    pub fn line_unit(self) -> LineUnit {
        match self {
            Self::Xlsx | Self::Xls | Self::Ods | Self::Csv => LineUnit::Row,
            Self::Srt | Self::Vtt => LineUnit::Second,
            _ => LineUnit::Line,
        }
    }

    /// The kind with this name, as [`Self::as_str`] prints it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// A rectangle on a page, in PDF points (1/72 inch) from the page's top left corner; of a picture, in
/// its pixels.
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

/// A part of the text that has a name and no heading, such as a class of source code or a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its part of the canonical text.
    pub range: CharRange,
    /// What it is called.
    pub title: String,
}

/// Where a block begins in its file, for kinds whose places people know by line or cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The first character of the block in the canonical text.
    pub start: u32,
    /// Its line in the file, row in the sheet, or second in the recording. Lines, rows and
    /// records count from 1, seconds from 0. Each line break inside of the block leads to the
    /// next line or row.
    pub line: u32,
}

/// The column of a table's first cell, in a sheet. Only tables have one in which each `|` leads to
/// the next column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnAnchor {
    /// The first character of the table in the canonical text.
    pub start: u32,
    /// The column that each of its rows begins at, from 1.
    pub column: u32,
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
    /// Its sections besides those that headings open, outer ones before those in them. The chunks
    /// know them as headings.
    pub sections: Vec<Section>,
    /// Where blocks begin in the file, by start; empty for kinds without lines or rows.
    pub anchors: Vec<Anchor>,
    /// The columns of tables in sheets, by start.
    pub columns: Vec<ColumnAnchor>,
    /// Places of words on pages, by start; empty for kinds without pages.
    pub boxes: Vec<TextBox>,
    /// What could not be read, in words a person understands.
    pub warnings: Vec<String>,
    /// The numbers of the pages that are pictures and whose text was not recognised. Where no page
    /// has any other text, the text is empty.
    pub scans: Vec<u32>,
}
