//! HTML, read as what a browser shows.

use std::collections::HashSet;

use encoding_rs::Encoding;
use lectern_domain::{BlockKind, DocumentKind, Extraction};
use scraper::{ElementRef, Html, Node, Selector, node::Element};

use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::{ReadError, text};

/// Elements nested deeper than this are read as plain text, so that the stack suffices.
const MAX_DEPTH: usize = 400;

pub(crate) fn read(bytes: &[u8]) -> Result<Extraction, ReadError> {
    let source = decode(bytes)?;
    let document = Html::parse_document(&source);
    let mut composer = Composer::default();
    composer.title = title(&document);
    composer.blocks(&blocks(&document));
    composer.finish(DocumentKind::Html)
}

/// The blocks of a whole page that is part of another document.
pub(crate) fn document(bytes: &[u8]) -> Result<Vec<DraftBlock>, ReadError> {
    Ok(blocks(&Html::parse_document(&decode(bytes)?)))
}

/// The text of a page, in the encoding that it declares.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, ReadError> {
    text::decode(bytes, declared_encoding(bytes))
}

/// The blocks of a piece of HTML, as it stands in Markdown.
pub(crate) fn fragment(source: &str) -> Vec<DraftBlock> {
    blocks(&Html::parse_fragment(source))
}

/// The encoding that a `meta` element or an XML declaration names in the first bytes.
pub(crate) fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    let name_after = |key: &str| {
        let (_, rest) = head.split_once(key)?;
        let rest = rest.trim_start().strip_prefix('=')?;
        let rest = rest.trim_start().trim_start_matches(['"', '\'']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c))?;
        Encoding::for_label(&rest.as_bytes()[..end])
    };
    name_after("charset").or_else(|| name_after("encoding"))
}

fn title(document: &Html) -> Option<String> {
    let selector = Selector::parse("head > title").ok()?;
    let title = document.select(&selector).next()?;
    Some(collapse(&title.text().collect::<String>()))
}

fn blocks(document: &Html) -> Vec<DraftBlock> {
    let mut walker = Walker { skip_navigation: has_main_part(document), ..Walker::default() };
    walker.children(document.root_element(), 0);
    walker.flush();
    walker.blocks
}

/// Where a page marks its main part, its menus can be left out without losing content.
fn has_main_part(document: &Html) -> bool {
    const ENOUGH: usize = 200;
    Selector::parse("main, article, [role=main]").is_ok_and(|selector| {
        document
            .select(&selector)
            .any(|part| part.text().map(|text| text.trim().len()).sum::<usize>() >= ENOUGH)
    })
}

#[derive(Default)]
struct Walker {
    blocks: Vec<DraftBlock>,
    inline: String,
    skip_navigation: bool,
    heading: Option<u8>,
    /// The number of the next item, per open list; `None` for bullets.
    lists: Vec<Option<i64>>,
    /// The number of the list item whose first text is still to come.
    item: Option<String>,
}

impl Walker {
    fn children(&mut self, element: ElementRef<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            self.inline.extend(element.text());
            return;
        }
        for child in element.children() {
            match child.value() {
                Node::Text(text) => self.text(text),
                Node::Element(_) => {
                    if let Some(child) = ElementRef::wrap(child) {
                        self.element(child, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds inline text; white space runs are one space, wherever elements begin and end.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            // A no-break space is content, but nothing that a reader should stumble over.
            if c.is_ascii_whitespace() || c == '\u{A0}' {
                if !self.inline.is_empty() && !self.inline.ends_with([' ', '\n']) {
                    self.inline.push(' ');
                }
            } else {
                self.inline.push(c);
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>, depth: usize) {
        let value = element.value();
        if is_hidden(value) || (self.skip_navigation && is_navigation(value)) {
            return;
        }
        match value.name() {
            "script" | "style" | "noscript" | "template" | "head" | "svg" | "iframe" | "object"
            | "audio" | "video" | "canvas" | "datalist" | "rp" => {}
            "br" => self.inline.push('\n'),
            "hr" => self.flush(),
            "img" => self.text(&format!(" {} ", value.attr("alt").unwrap_or_default())),
            "input" => self.input(value),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush();
                self.heading = value.name()[1..].parse().ok();
                self.children(element, depth);
                self.flush();
                self.heading = None;
            }
            "pre" => {
                self.flush();
                let code: String = element.text().collect();
                let code = code.strip_prefix('\n').unwrap_or(&code);
                self.blocks.push(DraftBlock::new(BlockKind::Code, code));
            }
            "ul" | "ol" | "menu" => {
                self.flush();
                let start = value.attr("start").and_then(|start| start.trim().parse().ok());
                self.lists.push((value.name() == "ol").then(|| start.unwrap_or(1)));
                self.children(element, depth);
                self.flush();
                self.lists.pop();
            }
            "li" => self.list_item(element, depth),
            "table" => self.table(element, depth),
            name if is_block(name) => {
                self.flush();
                self.children(element, depth);
                self.flush();
            }
            _ => self.children(element, depth),
        }
    }

    fn list_item(&mut self, element: ElementRef<'_>, depth: usize) {
        self.flush();
        let mut prefix = String::new();
        if let Some(Some(number)) = self.lists.last_mut() {
            if let Some(value) = element.value().attr("value").and_then(|v| v.trim().parse().ok()) {
                *number = value;
            }
            prefix = format!("{number}. ");
            *number = number.saturating_add(1);
        }
        self.item = Some(prefix);
        self.children(element, depth);
        self.flush();
        self.item = None;
    }

    /// What a form field shows.
    fn input(&mut self, input: &Element) {
        match input.attr("type").unwrap_or("text") {
            "checkbox" | "radio" => {
                self.text(if input.attr("checked").is_some() { "[x] " } else { "[ ] " });
            }
            "hidden" | "password" | "image" => {}
            _ => self.text(&format!(" {} ", input.attr("value").unwrap_or_default())),
        }
    }

    /// A table of data is one block. A table that holds headings, lists with structure, code or
    /// other tables is there for the layout, and its cells are read one after another.
    fn table(&mut self, table: ElementRef<'_>, depth: usize) {
        self.flush();
        let for_layout = table.descendent_elements().skip(1).any(|inner| {
            matches!(inner.value().name(), "table" | "h1" | "h2" | "h3" | "h4" | "pre")
        });
        let mut rows: Vec<Vec<String>> = Vec::new();
        for inner in table.descendent_elements() {
            match inner.value().name() {
                "caption" if !for_layout => {
                    self.children(inner, depth + 1);
                    self.flush();
                }
                "tr" => rows.push(Vec::new()),
                "td" | "th" if !for_layout => {
                    let mut cell =
                        Walker { skip_navigation: self.skip_navigation, ..Self::default() };
                    cell.children(inner, depth + 1);
                    cell.flush();
                    let texts: Vec<_> = cell.blocks.into_iter().map(|block| block.text).collect();
                    if let Some(row) = rows.last_mut() {
                        row.push(texts.join(" "));
                    }
                }
                _ => {}
            }
        }
        let one_cell_rows = rows.len() == 1 && rows[0].len() < 2;
        if for_layout || one_cell_rows || rows.is_empty() {
            self.children(table, depth);
            self.flush();
        } else {
            self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        let block = if let Some(level) = self.heading {
            DraftBlock::new(BlockKind::Heading(level), collapse(&text))
        } else if let Some(prefix) = self.item.take() {
            DraftBlock::new(BlockKind::ListItem, prefix + text.trim_start())
        } else {
            DraftBlock::new(BlockKind::Paragraph, text)
        };
        self.blocks.push(block);
    }
}

fn is_block(name: &str) -> bool {
    const BLOCKS: &[&str] = &[
        "html",
        "body",
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "legend",
        "main",
        "nav",
        "option",
        "p",
        "search",
        "section",
        "summary",
        "caption",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "td",
        "th",
        "textarea",
    ];
    BLOCKS.contains(&name)
}

fn is_hidden(element: &Element) -> bool {
    let style: HashSet<String> = element
        .attr("style")
        .unwrap_or_default()
        .split(';')
        .map(|rule| {
            rule.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
        })
        .collect();
    element.attr("hidden").is_some()
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}

fn is_navigation(element: &Element) -> bool {
    element.name() == "nav" || element.attr("role") == Some("navigation")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn reads_what_a_browser_shows() {
        let long = "words ".repeat(60);
        let menu = format!("<nav>Menu</nav><main><p>{long}</main>");
        let cases: &[(&str, &str)] = &[
            ("<h1>A <em>b</em></h1><p>One<br>two &amp; three", "# A b\n\n¶ One\ntwo & three"),
            ("<p>a\n   <b> b</b>c</p>", "¶ a bc"),
            ("<script>x()</script><style>p{}</style><p>shown</p>", "¶ shown"),
            ("<p>shown<span style='display: none'>not</span></p><div hidden>not</div>", "¶ shown"),
            (
                "<ul><li>a<ol start=3><li>b<li>c</ol><li><p>d</p><p>e</p></ul>",
                "- a\n\n- 3. b\n\n- 4. c\n\n- d\n\n¶ e",
            ),
            ("<pre>\n  x\n    y\n</pre>", "⌘   x\n    y"),
            (
                "<table><caption>C</caption><tr><th>a<th>b<tr><td><p>1</p><p>2</p><td>3</table>",
                "¶ C\n\n▦ a | b\n1 2 | 3",
            ),
            ("<table><tr><td><h2>x</h2><p>y</table>", "## x\n\n¶ y"),
            ("<div>loose<div>inner</div>tail</div>", "¶ loose\n\n¶ inner\n\n¶ tail"),
            ("<nav>Menu</nav><p>short page</p>", "¶ Menu\n\n¶ short page"),
            (&menu, &format!("¶ {}", long.trim())),
            ("<img alt='A duck'><p>x</p>", "¶ A duck\n\n¶ x"),
        ];
        for (source, expected) in cases {
            assert_eq!(sketch(&read(source.as_bytes()).unwrap()), *expected, "{source}");
        }
    }

    #[test]
    fn the_charset_of_the_page_is_honoured() {
        let page =
            "<html><head><meta charset=\"gb2312\"><title>合同 标题</title></head><body>金额三万元";
        let bytes = encoding_rs::GBK.encode(page).0;
        let extraction = read(&bytes).unwrap();
        assert_eq!(
            (extraction.title.as_deref(), extraction.text.as_str()),
            (Some("合同 标题"), "金额三万元")
        );
        let meta = "<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-1'><p>für";
        let bytes = encoding_rs::WINDOWS_1252.encode(meta).0;
        assert_eq!(read(&bytes).unwrap().text, "für");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let source = format!("{}deep{}", "<div>".repeat(1_500), "</div>".repeat(1_500));
        assert_eq!(read(source.as_bytes()).unwrap().text, "deep");
    }
}
