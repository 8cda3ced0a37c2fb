//! Markdown, read as what it looks like when it is shown.

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::compose::{Composer, DraftBlock, table_text};
use crate::{ReadError, html, text};

pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::decode(bytes, None)?;
    let rendered = render(&source);
    composer.title = rendered.title;
    composer.blocks(&rendered.blocks);
    composer.finish(DocumentKind::Md)
}

/// The blocks of a text that is part of another document.
pub(crate) fn blocks(source: &str) -> Vec<DraftBlock> {
    render(source).blocks
}

#[derive(Default)]
struct Renderer {
    title: Option<String>,
    blocks: Vec<DraftBlock>,
    /// The text of the block that is being read.
    inline: String,
    heading: Option<u8>,
    /// The number of the next item, per open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Whether the next paragraph is the first of a list item, and the item's number.
    item: Option<String>,
    /// The label of the footnote whose first paragraph is still to come.
    footnote: Option<String>,
    table: Option<Vec<Vec<String>>>,
    /// Raw text (code, HTML, front matter) is collected here while it lasts.
    raw: Option<String>,
}

fn render(source: &str) -> Renderer {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut renderer = Renderer::default();
    for event in Parser::new_ext(source, options) {
        renderer.event(event);
    }
    renderer.flush();
    renderer
}

impl Renderer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) if self.raw.is_some() => {
                if let Some(raw) = &mut self.raw {
                    raw.push_str(&text);
                }
            }
            Event::Text(text) | Event::Code(text) => self.inline.push_str(&text),
            Event::InlineMath(math) | Event::DisplayMath(math) => self.inline.push_str(&math),
            Event::SoftBreak => self.soft_break(),
            Event::HardBreak => self.inline.push('\n'),
            Event::InlineHtml(tag) if tag.to_ascii_lowercase().starts_with("<br") => {
                self.inline.push('\n');
            }
            Event::FootnoteReference(label) => {
                self.inline.push_str(&format!("[{label}]"));
            }
            Event::TaskListMarker(done) => self.inline.push_str(if done { "[x] " } else { "[ ] " }),
            Event::Html(_) | Event::InlineHtml(_) | Event::Rule => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::BlockQuote(_) => self.flush(),
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(rank(level));
            }
            Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_) => {
                self.flush();
                self.raw = Some(String::new());
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let number = self.lists.last_mut().and_then(Option::as_mut);
                self.item = Some(number.map_or_else(String::new, |number| {
                    let prefix = format!("{number}. ");
                    *number += 1;
                    prefix
                }));
            }
            Tag::FootnoteDefinition(label) => {
                self.flush();
                self.footnote = Some(format!("[{label}] "));
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::FootnoteDefinition => {
                self.flush();
                self.heading = None;
            }
            TagEnd::Item => {
                self.flush();
                self.item = None;
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::CodeBlock => {
                let code = self.raw.take().unwrap_or_default();
                self.blocks.push(DraftBlock::new(BlockKind::Code, code));
            }
            TagEnd::HtmlBlock => {
                let source = self.raw.take().unwrap_or_default();
                self.blocks.extend(html::fragment(&source));
            }
            TagEnd::MetadataBlock(_) => {
                let front_matter = self.raw.take().unwrap_or_default();
                self.title = front_matter.lines().find_map(title_of);
                self.blocks.push(DraftBlock::new(BlockKind::Code, front_matter));
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(row) = self.table.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                let rows = self.table.take().unwrap_or_default();
                self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
            }
            _ => {}
        }
    }

    /// A line break in the source is a space, but not between Chinese or Japanese characters.
    fn soft_break(&mut self) {
        if !self.inline.ends_with(lectern_domain::is_cjk) {
            self.inline.push(' ');
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        let block = if let Some(level) = self.heading {
            DraftBlock::new(BlockKind::Heading(level), text)
        } else if let Some(prefix) = self.item.take() {
            DraftBlock::new(BlockKind::ListItem, prefix + &text)
        } else {
            let label = self.footnote.take().unwrap_or_default();
            DraftBlock::new(BlockKind::Paragraph, label + &text)
        };
        self.blocks.push(block);
    }
}

fn rank(level: HeadingLevel) -> u8 {
    level as u8
}

/// The value of a line `title: …` (YAML) or `title = …` (TOML).
fn title_of(line: &str) -> Option<String> {
    let value = line.strip_prefix("title")?.trim_start();
    let value = value.strip_prefix(':').or_else(|| value.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_a_person_sees() {
        let cases: &[(&str, &str)] = &[
            ("# A *b* `c`\n\npara\nline two  \nthree", "# A b c\n\n¶ para line two\nthree"),
            ("一行\n二行", "¶ 一行二行"),
            ("[link](http://x.y) ![alt](z.png) <b>bold</b> &amp; \\*", "¶ link alt bold & *"),
            (
                "- a\n- b\n  1. c\n  2. d\n\n     more\n- e",
                "- a\n\n- b\n\n- 1. c\n\n- 2. d\n\n¶ more\n\n- e",
            ),
            ("- [x] done\n- [ ] open", "- [x] done\n\n- [ ] open"),
            ("| a | b |\n|---|---|\n| 1 | **2** |\n| 3 | |", "▦ a | b\n1 | 2\n3 |"),
            ("```rust\nfn f() {\n    1\n}\n```", "⌘ fn f() {\n    1\n}"),
            ("Text[^n].\n\n[^n]: The note.", "¶ Text[n].\n\n¶ [n] The note."),
            ("<div>\n<p>one</p><p>two</p>\n</div>\n\nthree", "¶ one\n\n¶ two\n\n¶ three"),
            ("<!-- gone -->\n\nstays", "¶ stays"),
            ("> quoted", "¶ quoted"),
            ("Title\n=====\ntext", "# Title\n\n¶ text"),
        ];
        for (source, expected) in cases {
            let extraction = read(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(crate::compose::sketch(&extraction), *expected, "{source}");
        }
    }

    #[test]
    fn the_title_is_in_the_front_matter_or_the_first_heading() {
        let cases = [
            ("---\ntitle: \"Annual report\"\ntags: x\n---\n\n# Other", Some("Annual report")),
            ("# First\n\ntext", Some("First")),
            ("text\n\n# Later", None),
        ];
        for (source, expected) in cases {
            assert_eq!(
                read(source.as_bytes(), Composer::default()).unwrap().title.as_deref(),
                expected,
                "{source}"
            );
        }
    }
}
