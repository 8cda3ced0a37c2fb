//! JSON, and the Jupyter notebooks that are kept in it.

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use serde_json::Value;

use crate::compose::{Composer, DraftBlock, table_text};
use crate::xml::damaged;
use crate::{ReadError, html, markdown, text};

/// A value whose text is shorter than this is written on one line.
const LINE: usize = 120;

/// Objects deeper than this are written as they stand.
const MAX_DEPTH: u8 = 4;

/// Values of objects are read as `key: value` lines; deeper objects below a heading with their
/// key; lists of like objects as tables. Several values, one a line, are read one after another.
pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::decode(bytes, None)?;
    let source = source.trim_start_matches('\u{FEFF}');
    let mut values = serde_json::Deserializer::from_str(source).into_iter::<Value>();
    let mut all = Vec::new();
    for value in &mut values {
        match value {
            Ok(value) => all.push(value),
            // A file of settings may have comments; its text is what there is to read.
            Err(_) if all.is_empty() => {
                return text::read(source.as_bytes(), composer)
                    .map(|extraction| Extraction { kind: DocumentKind::Json, ..extraction });
            }
            Err(error) => {
                composer.warnings.push(format!("the rest is damaged: {error}"));
                break;
            }
        }
    }
    let whole = match <[Value; 1]>::try_from(all) {
        Ok([one]) => one,
        Err(many) => Value::Array(many),
    };
    add(&mut composer, &whole, 1);
    composer.finish(DocumentKind::Json)
}

fn add(composer: &mut Composer, value: &Value, level: u8) {
    match value {
        Value::Object(map) if level <= MAX_DEPTH => {
            let (deep, flat): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| is_deep(value));
            let lines: Vec<String> =
                flat.iter().map(|(key, value)| format!("{key}: {}", line(value))).collect();
            composer.block(&DraftBlock::new(BlockKind::Paragraph, lines.join("\n")));
            for (key, value) in deep {
                composer.heading(level.min(6), key);
                add(composer, value, level + 1);
            }
        }
        Value::Array(items) => {
            if let Some(rows) = table(items) {
                for rows in rows.chunks(1000) {
                    composer.block(&DraftBlock::new(BlockKind::Table, table_text(rows)));
                }
                return;
            }
            for item in items {
                if composer.is_full() {
                    composer.truncate();
                    return;
                }
                if is_deep(item) {
                    add(composer, item, level);
                } else {
                    composer.block(&DraftBlock::new(BlockKind::ListItem, line(item)));
                }
            }
        }
        Value::String(text) => {
            composer.block(&DraftBlock::new(BlockKind::Paragraph, text.as_str()))
        }
        value => composer.block(&DraftBlock::new(BlockKind::Paragraph, line(value))),
    }
}

/// Whether a value needs more than a line.
fn is_deep(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => {
            items.iter().any(|item| item.is_object() || item.is_array())
                || items.iter().map(|item| line(item).len() + 2).sum::<usize>() > LINE
        }
        _ => false,
    }
}

fn line(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// The rows of a list of objects that have the same flat keys.
fn table(items: &[Value]) -> Option<Vec<Vec<String>>> {
    let first = items.first()?.as_object()?;
    if items.len() < 2 || first.len() < 2 {
        return None;
    }
    let mut rows = vec![first.keys().cloned().collect::<Vec<_>>()];
    for item in items {
        let item = item.as_object()?;
        if item.values().any(is_deep) || !item.keys().all(|key| first.contains_key(key)) {
            return None;
        }
        rows.push(first.keys().map(|key| item.get(key).map(line).unwrap_or_default()).collect());
    }
    Some(rows)
}

/// Cells are the pages: text as Markdown, code as code, and what the code printed behind it.
pub(crate) fn read_notebook(bytes: &[u8]) -> Result<Extraction, ReadError> {
    let source = text::decode(bytes, None)?;
    let notebook: Value = serde_json::from_str(&source).map_err(damaged)?;
    let old = notebook["worksheets"][0]["cells"].as_array();
    let cells = notebook["cells"].as_array().or(old).ok_or_else(|| damaged("it has no cells"))?;
    let mut composer = Composer::default();
    composer.title = notebook["metadata"]["title"].as_str().map(str::to_owned);
    for (number, cell) in (1..).zip(cells) {
        composer.begin_page(number, None);
        let source = if cell["source"].is_null() { &cell["input"] } else { &cell["source"] };
        let source = joined(source);
        match cell["cell_type"].as_str() {
            Some("markdown") => composer.blocks(&markdown::blocks(&source)),
            Some("heading") => {
                let level = cell["level"].as_u64().unwrap_or(1).clamp(1, 6);
                composer.heading(level as u8, &source);
            }
            Some("code") => {
                composer.block(&DraftBlock::new(BlockKind::Code, source));
                for output in cell["outputs"].as_array().into_iter().flatten() {
                    add_output(&mut composer, output);
                }
            }
            _ => composer.block(&DraftBlock::new(BlockKind::Code, source)),
        }
    }
    composer.finish(DocumentKind::Ipynb)
}

fn add_output(composer: &mut Composer, output: &Value) {
    let page = joined(&output["data"]["text/html"]);
    if page.contains("<table") {
        composer.blocks(&html::fragment(&page));
        return;
    }
    let plain = [&output["text"], &output["data"]["text/plain"]];
    for text in plain.map(joined) {
        // A picture's or an object's plain form is its address in memory.
        if !(text.starts_with('<') && text.ends_with('>')) {
            composer.block(&DraftBlock::new(BlockKind::Code, text));
        }
    }
    if let (Some(name), Some(value)) = (output["ename"].as_str(), output["evalue"].as_str()) {
        composer.block(&DraftBlock::new(BlockKind::Code, format!("{name}: {value}")));
    }
}

/// A text, which notebooks keep whole or as a list of lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn objects_are_read_by_their_shape() {
        let cases = [
            (
                r#"{"name": "Tea", "price": 3.5, "in": ["a", "b"], "none": null}"#,
                "¶ name: Tea\nprice: 3.5\nin: a, b\nnone:",
            ),
            (
                r#"{"shop": {"name": "X", "at": {"city": "Rom"}}, "open": true}"#,
                "¶ open: true\n\n# shop\n\n¶ name: X\n\n## at\n\n¶ city: Rom",
            ),
            (r#"[{"a": 1, "b": "x"}, {"b": "y", "a": 2}]"#, "▦ a | b\n1 | x\n2 | y"),
            ("{\"a\": 1}\n{\"a\": 2}\n", "¶ a: 1\n\n¶ a: 2"),
            (r#"["one", "two", ["three"]]"#, "- one\n\n- two\n\n- three"),
            ("// a comment\n{\"a\": 1}", "¶ // a comment\n{\"a\": 1}"),
        ];
        for (source, expected) in cases {
            let extraction = read(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
            assert_eq!(extraction.kind, DocumentKind::Json);
        }
    }

    #[test]
    fn deep_values_are_no_danger() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes(), Composer::default()).is_ok());
    }

    #[test]
    fn cells_of_a_notebook_are_pages() {
        let source = r##"{"cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "\n", "text"]},
            {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]},
             {"data": {"text/plain": "<Figure>", "image/png": "AAAA"}}, {"data": {"text/html": "<table><tr><td>a<td>b</table>", "text/plain": "a b"}},
             {"ename": "E", "evalue": "broken", "traceback": []}]}]}"##;
        let extraction = read_notebook(source.as_bytes()).unwrap();
        assert_eq!(
            sketch(&extraction),
            "# Title\n\n¶ text\n\n⌘ print(1)\n\n⌘ 1\n\n▦ a | b\n\n⌘ E: broken"
        );
        assert_eq!(extraction.pages.len(), 2);
        assert!(matches!(read_notebook(b"{}"), Err(ReadError::Damaged(_))));
    }
}
