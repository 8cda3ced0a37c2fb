//! AsciiDoc and reStructuredText, read as what they look like when they are shown.

use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::{ReadError, text};

pub(crate) fn read_asciidoc(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::lines(text::decode(bytes, None)?);
    composer.blocks(&asciidoc(&source));
    composer.finish(DocumentKind::Adoc)
}

pub(crate) fn read_rst(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::lines(text::decode(bytes, None)?);
    composer.blocks(&rst(&source));
    composer.finish(DocumentKind::Rst)
}

/// Gathers the lines of a paragraph or list item.
#[derive(Default)]
struct Gatherer {
    blocks: Vec<DraftBlock>,
    open: Vec<String>,
    item: bool,
}

impl Gatherer {
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.open).join(" ");
        let kind = if self.item { BlockKind::ListItem } else { BlockKind::Paragraph };
        self.item = false;
        self.push(kind, text);
    }

    fn push(&mut self, kind: BlockKind, text: String) {
        if !text.trim().is_empty() {
            self.blocks.push(DraftBlock::new(kind, text));
        }
    }

    fn block(&mut self, kind: BlockKind, text: String) {
        self.flush();
        self.push(kind, text);
    }

    fn begin_item(&mut self, text: String) {
        self.flush();
        self.item = true;
        self.open.push(text);
    }
}

fn asciidoc(source: &str) -> Vec<DraftBlock> {
    let mut out = Gatherer::default();
    let mut numbers: Vec<u32> = Vec::new();
    let mut lines = source.lines().peekable();
    let mut opening = true;
    while let Some(line) = lines.next() {
        let text = line.trim();
        if text.is_empty() {
            out.flush();
            opening = false;
            continue;
        }
        let first = text.chars().next().unwrap_or(' ');
        let run = text.chars().take_while(|c| *c == first).count();
        let only = run == text.chars().count();
        let rest = text.get(run * first.len_utf8()..).unwrap_or_default();
        // Delimited blocks: of code, of comments, and of tables; the others enclose blocks.
        if only && run >= 4 && matches!(first, '-' | '.' | '+' | '/') {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != text).collect();
            if first != '/' {
                out.block(BlockKind::Code, inside.join("\n"));
            }
            continue;
        }
        if text.starts_with("|===") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != text).collect();
            out.block(BlockKind::Table, asciidoc_table(&inside));
            continue;
        }
        if (only && run >= 4 && matches!(first, '=' | '*' | '_'))
            || text == "--"
            || text == "+"
            || text == "'''"
        {
            out.flush();
            continue;
        }
        if matches!(first, '=' | '#') && run <= 6 && rest.starts_with(' ') {
            out.block(BlockKind::Heading(run as u8), asciidoc_inline(rest.trim()));
            numbers.clear();
            opening = run == 1;
            continue;
        }
        let attribute = text.len() > 2
            && first == ':'
            && text[1..].split_once(':').is_some_and(|(name, _)| {
                name.chars().all(|c| c.is_alphanumeric() || "-_!".contains(c))
            });
        let anchor = first == '[' && text.ends_with(']');
        if text.starts_with("//")
            || (attribute && (opening || out.open.is_empty()))
            || (anchor && out.open.is_empty())
        {
            continue;
        }
        if let Some((_, alternative)) = text.split_once("::").filter(|(name, rest)| {
            matches!(*name, "image" | "video" | "audio" | "include" | "toc") && rest.ends_with(']')
        }) {
            let alternative =
                alternative.split_once('[').map_or("", |(_, inside)| inside.trim_end_matches(']'));
            if text.starts_with("image") {
                let words = alternative.split(',').next().unwrap_or_default().trim_matches('"');
                out.block(BlockKind::Paragraph, words.to_owned());
            }
            continue;
        }
        if first == '.' && run == 1 && !rest.starts_with([' ', '.']) {
            out.block(BlockKind::Paragraph, asciidoc_inline(rest));
            continue;
        }
        if matches!(first, '*' | '-') && run <= 5 && rest.starts_with(' ') {
            out.begin_item(asciidoc_inline(rest.trim()));
            numbers.truncate(if first == '*' { run } else { 0 });
            continue;
        }
        if first == '.' && run <= 5 && rest.starts_with(' ') {
            numbers.resize(run, 0);
            numbers[run - 1] += 1;
            out.begin_item(format!("{}. {}", numbers[run - 1], asciidoc_inline(rest.trim())));
            continue;
        }
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        if digits > 0 && text[digits..].starts_with(". ") {
            out.begin_item(asciidoc_inline(text));
            continue;
        }
        if let Some((term, rest)) =
            text.split_once(":: ").or_else(|| Some((text.strip_suffix("::")?, "")))
        {
            out.begin_item(format!("{}: {}", asciidoc_inline(term), asciidoc_inline(rest)));
            continue;
        }
        if out.open.is_empty() && line.starts_with(' ') && !out.item {
            let mut code = vec![line];
            while let Some(next) = lines.next_if(|next| next.starts_with(' ')) {
                code.push(next);
            }
            out.block(BlockKind::Code, code.join("\n"));
            continue;
        }
        out.open.push(asciidoc_inline(text.trim_end_matches(" +")));
    }
    out.flush();
    out.blocks
}

/// The rows of a table. Either each line is a row, or cells have lines of their own and a blank
/// line or the first row's length ends a row.
fn asciidoc_table(lines: &[&str]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut columns = 0;
    let mut open: Vec<String> = Vec::new();
    for line in lines.iter().map(|line| line.trim()) {
        if line.is_empty() {
            if !open.is_empty() && columns == 0 {
                columns = open.len();
            }
            continue;
        }
        // What stands before a bar says how the cell spans or is aligned.
        let mut cells = line.split('|');
        let before = cells.next().unwrap_or_default();
        if !line.starts_with('|') && !before.chars().all(|c| "0123456789.+*<>^aehlms".contains(c)) {
            match open.last_mut().or_else(|| rows.last_mut().and_then(|row| row.last_mut())) {
                Some(cell) => *cell = format!("{cell} {}", asciidoc_inline(line)),
                None => open.push(asciidoc_inline(line)),
            }
            continue;
        }
        let cells: Vec<String> = cells.map(|cell| asciidoc_inline(cell.trim())).collect();
        if columns == 0 && cells.len() > 1 && open.is_empty() {
            columns = cells.len();
        }
        open.extend(cells);
        while columns > 0 && open.len() >= columns {
            let rest = open.split_off(columns);
            rows.push(std::mem::replace(&mut open, rest));
        }
    }
    rows.push(open);
    table_text(&rows)
}

fn asciidoc_inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Links and references: what is shown stands in brackets behind the address.
    while let Some(at) =
        ["<<", "link:", "xref:", "http://", "https://", "footnote:", "image:", "mailto:"]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()
    {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((inside, after)) =
            rest.strip_prefix("<<").and_then(|inside| inside.split_once(">>"))
        {
            out.push_str(inside.rsplit_once(',').map_or(inside, |(_, shown)| shown.trim()));
            rest = after;
            continue;
        }
        let end = rest.find([' ', '[']).unwrap_or(rest.len());
        let (address, behind) = rest.split_at(end);
        let bracket = behind.strip_prefix('[').and_then(|inside| inside.split_once(']'));
        match bracket {
            Some((shown, after)) => {
                if address == "footnote:" {
                    out.push_str(" [");
                    out.push_str(shown);
                    out.push(']');
                } else {
                    let shown = shown.trim_end_matches('^');
                    out.push_str(if shown.is_empty() { address } else { shown });
                }
                rest = after;
            }
            None => {
                let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    out.push_str(rest);
    without_marks(&out, &['*', '_', '`', '#'])
}

/// `text` without the signs that enclose words to set them off. A sign inside of a word or
/// between spaces is one that is meant.
fn without_marks(text: &str, marks: &[char]) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (index, c) in chars.iter().enumerate() {
        if marks.contains(c) {
            let before = chars[..index].iter().rev().find(|other| !marks.contains(other));
            let after = chars[index + 1..].iter().find(|other| !marks.contains(other));
            let inside = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
            let blank = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace());
            let meant = (inside(before) && inside(after)) || (blank(before) && blank(after));
            if !meant {
                continue;
            }
        }
        out.push(*c);
    }
    out
}

/// Lines from `at` on that are indented or blank, without the indentation that all have, and
/// where they end.
fn indented(lines: &[&str], at: usize) -> (Vec<String>, usize) {
    let mut end = at;
    let mut filled = at;
    while let Some(line) =
        lines.get(end).filter(|line| line.trim().is_empty() || line.starts_with([' ', '\t']))
    {
        end += 1;
        if !line.trim().is_empty() {
            filled = end;
        }
    }
    let inside = &lines[at..filled];
    let margin = inside
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    (inside.iter().map(|line| line.get(margin..).unwrap_or("").to_owned()).collect(), filled)
}

/// The sign that a line consists of, if it can underline a title.
fn adornment(line: &str) -> Option<char> {
    let line = line.trim_end();
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 2 && line.chars().all(|c| c == first)).then_some(first)
}

fn rst(source: &str) -> Vec<DraftBlock> {
    let mut ranks: Vec<(char, bool)> = Vec::new();
    rst_blocks(&source.lines().collect::<Vec<_>>(), &mut ranks, 0)
}

fn rst_blocks(lines: &[&str], ranks: &mut Vec<(char, bool)>, depth: usize) -> Vec<DraftBlock> {
    let mut out = Gatherer::default();
    let mut at = 0;
    let mut rank = |mark: char, over: bool| {
        let found = ranks.iter().position(|known| *known == (mark, over));
        let index = found.unwrap_or_else(|| {
            ranks.push((mark, over));
            ranks.len() - 1
        });
        BlockKind::Heading(u8::try_from(index + 1).unwrap_or(6).min(6))
    };
    let mut inner: Vec<Vec<String>> = Vec::new();
    while let Some(line) = lines.get(at) {
        let text = line.trim();
        at += 1;
        if text.is_empty() {
            out.flush();
            continue;
        }
        let next = lines.get(at).copied().unwrap_or_default();
        // Titles: underlined, or between two lines of the same sign.
        if let Some(mark) = adornment(line) {
            if !next.trim().is_empty()
                && lines.get(at + 1).and_then(|line| adornment(line)) == Some(mark)
            {
                out.block(rank(mark, true), rst_inline(next.trim()));
                at += 2;
                continue;
            }
            if mark == '=' && next.trim().len() > 1 && out.open.is_empty() {
                // A simple table of one column.
                out.flush();
            }
            if out.open.is_empty() {
                continue;
            }
        }
        if out.open.is_empty()
            && !line.starts_with(' ')
            && adornment(next).is_some()
            && next.trim_end().chars().count() + 2 >= text.chars().count().min(6)
            && let Some(mark) = adornment(next)
        {
            out.block(rank(mark, false), rst_inline(text));
            at += 1;
            continue;
        }
        if let Some(directive) = text.strip_prefix(".. ").or((text == "..").then_some("")) {
            out.flush();
            let (inside, end) = indented(lines, at);
            at = end;
            if depth < 20 {
                rst_directive(directive, inside, &mut out, &mut inner);
                for lines in inner.drain(..) {
                    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                    let mut own = Vec::new();
                    out.blocks.extend(rst_blocks(&lines, &mut own, depth + 1));
                }
            }
            continue;
        }
        if text.starts_with("+-") && out.open.is_empty() {
            let end = at
                + lines[at..].iter().take_while(|line| line.trim().starts_with(['+', '|'])).count();
            out.block(BlockKind::Table, grid_table(&lines[at..end]));
            at = end;
            continue;
        }
        if is_rule(text) && out.open.is_empty() {
            // A simple table goes on to the rule that a blank line or the end follows.
            let mut end = at;
            while let Some(line) = lines.get(end) {
                end += 1;
                let closed = lines.get(end).is_none_or(|next| next.trim().is_empty());
                if is_rule(line.trim()) && closed {
                    break;
                }
            }
            out.block(BlockKind::Table, simple_table(text, &lines[at..end]));
            at = end;
            continue;
        }
        if let Some(field) = text.strip_prefix(':').filter(|_| out.open.is_empty())
            && let Some((name, value)) = field.split_once(':')
            && !name.contains('`')
            && (value.is_empty() || value.starts_with(' '))
        {
            out.block(BlockKind::Paragraph, format!("{name}: {}", rst_inline(value.trim())));
            continue;
        }
        let marker = text.split_whitespace().next().unwrap_or_default();
        let bullet = matches!(marker, "-" | "*" | "+" | "•") && text.len() > marker.len();
        let label = marker.trim_end_matches(['.', ')']);
        let numbered = label.len() < marker.len()
            && text.len() > marker.len()
            && (label == "#"
                || label.trim_start_matches('(').chars().all(|c| c.is_ascii_digit())
                    && !label.is_empty());
        if (bullet || numbered) && (out.open.is_empty() || out.item) {
            let body = rst_inline(text[marker.len()..].trim());
            let label = if numbered && label != "#" { format!("{marker} ") } else { String::new() };
            out.begin_item(label + &body);
            continue;
        }
        if let Some(verse) = text.strip_prefix("| ") {
            out.open.push(rst_inline(verse) + "\n");
            continue;
        }
        let literal = text.ends_with("::");
        let shown = match text.strip_suffix("::") {
            Some("") => "",
            Some(before) if before.ends_with(' ') => before.trim_end(),
            Some(_) => &text[..text.len() - 1],
            None => text,
        };
        if !shown.is_empty() {
            out.open.push(rst_inline(shown));
        }
        if literal && next.trim().is_empty() {
            let (inside, end) = indented(lines, at);
            if !inside.is_empty() {
                out.block(BlockKind::Code, inside.join("\n"));
                at = end;
            }
        }
    }
    out.flush();
    out.blocks
}

/// What a directive shows: code as code, and the text inside of others. A comment shows nothing.
fn rst_directive(
    directive: &str,
    inside: Vec<String>,
    out: &mut Gatherer,
    inner: &mut Vec<Vec<String>>,
) {
    if let Some(note) = directive.strip_prefix('[') {
        let (label, text) = note.split_once(']').unwrap_or((note, ""));
        let text = format!("[{label}] {} {}", text.trim(), inside.join(" "));
        out.push(BlockKind::Paragraph, rst_inline(&collapse(&text)));
        return;
    }
    if directive.starts_with('_') {
        return;
    }
    let Some((name, argument)) = directive.split_once("::") else { return };
    let name = name.rsplit('|').next().unwrap_or(name).trim();
    let options = inside.iter().take_while(|line| line.starts_with(':')).count();
    let option = |key: &str| {
        let lines = inside[..options].iter();
        lines.filter_map(|line| line.strip_prefix(key)).next().map(|value| value.trim().to_owned())
    };
    let body: Vec<String> = inside[options..].to_vec();
    match name {
        "code" | "code-block" | "sourcecode" | "literalinclude" | "parsed-literal"
        | "highlight" | "math" | "doctest" | "testcode" => {
            let own = if name == "math" { argument.trim() } else { "" };
            let code = std::iter::once(own.to_owned()).chain(body).collect::<Vec<_>>().join("\n");
            out.push(BlockKind::Code, code);
        }
        "image" | "figure" => {
            out.push(BlockKind::Paragraph, option(":alt:").unwrap_or_default());
            inner.push(body);
        }
        "toctree" | "include" | "contents" | "index" | "raw" | "meta" | "currentmodule"
        | "module" | "role" | "default-role" => {}
        "csv-table" => {
            out.push(BlockKind::Paragraph, rst_inline(argument.trim()));
            let source = body.join("\n");
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .trim(csv::Trim::All)
                .from_reader(source.trim_start().as_bytes());
            let mut rows: Vec<Vec<String>> = option(":header:")
                .into_iter()
                .map(|header| {
                    header.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect()
                })
                .collect();
            rows.extend(
                reader
                    .records()
                    .filter_map(Result::ok)
                    .map(|record| record.iter().map(rst_inline).collect()),
            );
            out.push(BlockKind::Table, table_text(&rows));
        }
        "list-table" => {
            out.push(BlockKind::Paragraph, rst_inline(argument.trim()));
            let mut rows: Vec<Vec<String>> = Vec::new();
            for line in &body {
                let text = line.trim();
                let (row, cell) = match text.strip_prefix("* ") {
                    Some(rest) => (true, rest.trim().strip_prefix('-')),
                    None => (false, text.strip_prefix('-')),
                };
                if row {
                    rows.push(Vec::new());
                }
                match (rows.last_mut(), cell) {
                    (Some(row), Some(cell)) => row.push(rst_inline(cell.trim())),
                    (Some(row), None) => {
                        if let Some(cell) = row.last_mut() {
                            *cell = format!("{cell} {}", rst_inline(text));
                        }
                    }
                    (None, _) => {}
                }
            }
            out.push(BlockKind::Table, table_text(&rows));
        }
        _ => {
            out.push(BlockKind::Paragraph, rst_inline(argument.trim()));
            inner.push(body);
        }
    }
}

fn is_rule(text: &str) -> bool {
    text.starts_with("==") && text.contains(' ') && text.chars().all(|c| c == '=' || c == ' ')
}

/// A table drawn with `+`, `-` and `|`.
fn grid_table(lines: &[&str]) -> String {
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    for line in lines.iter().map(|line| line.trim()) {
        if line.starts_with('+') {
            rows.push(Vec::new());
            continue;
        }
        let cells = line.trim_matches('|').split('|').map(str::trim);
        let Some(row) = rows.last_mut() else { continue };
        for (index, cell) in cells.enumerate() {
            match row.get_mut(index) {
                Some(open) => *open = format!("{open} {}", rst_inline(cell)),
                None => row.push(rst_inline(cell)),
            }
        }
    }
    table_text(&rows)
}

/// A table whose columns stand below the signs of a rule.
fn simple_table(rule: &str, lines: &[&str]) -> String {
    let mut columns: Vec<usize> = Vec::new();
    let mut blank = true;
    for (index, c) in rule.chars().enumerate() {
        if c == '=' && blank {
            columns.push(index);
        }
        blank = c == ' ';
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines.iter().filter(|line| !is_rule(line.trim()) && !line.trim().is_empty()) {
        let chars: Vec<char> = line.trim_end().chars().collect();
        let ends = columns.iter().skip(1).copied().chain([usize::MAX]);
        let cells: Vec<String> = columns
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                let cell =
                    chars.get(*start.min(&chars.len())..end.min(chars.len())).unwrap_or_default();
                rst_inline(cell.iter().collect::<String>().trim())
            })
            .collect();
        // A row whose first cell is empty goes on with the one above.
        match rows.last_mut().filter(|_| cells.first().is_some_and(String::is_empty)) {
            Some(row) => {
                for (open, cell) in row.iter_mut().zip(cells) {
                    *open = format!("{open} {cell}");
                }
            }
            None => rows.push(cells),
        }
    }
    table_text(&rows)
}

fn rst_inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        // `:role:` and `text <address>`_ show the text only.
        let role =
            before.strip_suffix(':').and_then(|before| before.rfind(':').map(|at| (at, before)));
        match role.filter(|(at, before)| {
            before[at + 1..].chars().all(|c| c.is_alphanumeric() || "-_.:+".contains(c))
        }) {
            Some((at, _)) => out.push_str(&before[..at]),
            None => out.push_str(before),
        }
        let code = after.starts_with('`');
        let (inside, behind) = match after.strip_prefix('`').map(|code| code.split_once("``")) {
            Some(Some(split)) => split,
            Some(None) => ("", &after[1..]),
            None => after.split_once('`').unwrap_or((after, "")),
        };
        let shown = match inside.rsplit_once('<').filter(|_| !code && inside.ends_with('>')) {
            Some((shown, address)) if shown.trim().is_empty() => address.trim_end_matches('>'),
            Some((shown, _)) => shown.trim(),
            None => inside,
        };
        out.push_str(shown);
        rest = if code { behind } else { behind.trim_start_matches('_') };
    }
    out.push_str(rest);
    without_marks(&out, &['*']).replace("]_", "]").replace("\\ ", "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn asciidoc_is_read_as_it_is_shown() {
        let cases = [
            (
                "= Title\n:author: X\n\nSome *bold* and `code`\nwords.\n\n== Part\ntext",
                "# Title\n\n¶ Some bold and code words.\n\n## Part\n\n¶ text",
            ),
            (
                "* one\n** two\n. first\n. second\n\nTerm:: meaning",
                "- one\n\n- two\n\n- 1. first\n\n- 2. second\n\n- Term: meaning",
            ),
            (
                "[source,rust]\n----\nfn x() {\n----\n\n////\ngone\n////\n// gone\nstays",
                "⌘ fn x() {\n\n¶ stays",
            ),
            (
                ".Prices\n[%header,cols=2*]\n|===\n|a |b\n\n|1\n|2 *x*\n|===",
                "¶ Prices\n\n▦ a | b\n1 | 2 x",
            ),
            (
                "See https://x.y[the page^] and <<part,Part>>. image:a.png[A duck]\n\nimage::b.png[Two ducks,300]",
                "¶ See the page and Part. A duck\n\n¶ Two ducks",
            ),
            ("2 * 3 snake_case_name", "¶ 2 * 3 snake_case_name"),
        ];
        for (source, expected) in cases {
            let extraction = read_asciidoc(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
        }
    }

    #[test]
    fn restructured_text_is_read_as_it_is_shown() {
        let cases = [
            (
                "=====\nTitle\n=====\n\nPart\n----\n\nSome *x* and **y** ``z``.\n\nDeep\n~~~~\n\nOther\n-----",
                "# Title\n\n## Part\n\n¶ Some x and y z.\n\n### Deep\n\n## Other",
            ),
            (
                "- one\n  more\n- two\n\n1. first\n#. next",
                "- one more\n\n- two\n\n- 1. first\n\n- next",
            ),
            (
                "See `the page <https://x.y>`_ and :ref:`this <label>` [1]_.\n\n.. [1] The note.",
                "¶ See the page and this [1].\n\n¶ [1] The note.",
            ),
            (
                "Like so::\n\n    x = 1\n\n      y\n\nafter",
                "¶ Like so:\n\n⌘ x = 1\n\n  y\n\n¶ after",
            ),
            (
                ".. note:: Take care.\n\n   More of it.\n\n.. code-block:: python\n   :linenos:\n\n   def f():\n       pass\n\n.. a comment\n   goes on\n\nend",
                "¶ Take care.\n\n¶ More of it.\n\n⌘ def f():\n    pass\n\n¶ end",
            ),
            (
                "+---+-----+\n| a | b   |\n+===+=====+\n| 1 | two |\n|   | go  |\n+---+-----+",
                "▦ a | b\n1 | two go",
            ),
            (
                "===  ====\na    b\n===  ====\n1    two\n===  ====\n\nend",
                "▦ a | b\n1 | two\n\n¶ end",
            ),
            (
                ".. list-table:: Prices\n   :header-rows: 1\n\n   * - a\n     - b\n   * - 1\n     - 2",
                "¶ Prices\n\n▦ a | b\n1 | 2",
            ),
        ];
        for (source, expected) in cases {
            let extraction = read_rst(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
        }
    }
}
