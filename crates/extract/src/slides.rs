//! Office Open XML presentations (PowerPoint).

use std::collections::HashMap;

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use roxmltree::Node;

use crate::ReadError;
use crate::chart::chart_table;
use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::docx::diagram_text;
use crate::numbering::NumberFormat;
use crate::package::{Package, Relationship};
use crate::sheets::day;
use crate::xml::{MAX_DEPTH, attribute, child, damaged, name, parse, texts};

/// Slides are the pages. A slide's title is a heading; its speaker's notes and comments follow it.
pub(crate) fn read(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let mut package = Package::open(bytes)?;
    let main = package.main_part("ppt/presentation.xml")?;
    let source = package.part(&main)?.ok_or_else(|| damaged("the main part is missing"))?;
    let presentation = parse(&source)?;
    let targets: HashMap<String, String> =
        package.relationships(&main)?.into_iter().map(|r| (r.id, r.target)).collect();
    let authors = authors(&mut package)?;
    let mut composer = Composer::default();
    composer.title = package.title("docProps/core.xml");
    let list = presentation.descendants().filter(|node| name(*node) == "sldId");
    for (number, entry) in (1..).zip(list) {
        // The slide's own id is an attribute of the same local name without a name space.
        let id = entry.attributes().find(|a| a.name() == "id" && a.namespace().is_some());
        let target = id.and_then(|id| targets.get(id.value()));
        composer.begin_page(number, None);
        let read = target.map_or(Err(damaged("it is missing")), |target| {
            slide(&mut package, target, &authors, &mut composer)
        });
        if let Err(error) = read {
            composer.warnings.push(format!("slide {number}: {error}"));
        }
        if composer.is_full() {
            break;
        }
    }
    composer.finish(DocumentKind::Pptx)
}

fn slide(
    package: &mut Package,
    part: &str,
    authors: &HashMap<String, String>,
    composer: &mut Composer,
) -> Result<(), ReadError> {
    let relationships = package.relationships(part)?;
    let mut graphics = HashMap::new();
    for Relationship { id, kind, target } in &relationships {
        if !matches!(kind.as_str(), "chart" | "diagramData") {
            continue;
        }
        let source = package.part(target)?.unwrap_or_default();
        // A broken chart is no reason to leave out the slide.
        let Ok(graphic) = parse(&source) else { continue };
        let block = match kind.as_str() {
            "chart" => DraftBlock::new(BlockKind::Table, chart_table(&graphic)),
            _ => DraftBlock::new(BlockKind::Paragraph, diagram_text(&graphic)),
        };
        graphics.insert(id.clone(), block);
    }
    let source = package.part(part)?.ok_or_else(|| damaged("it is missing"))?;
    let document = parse(&source)?;
    let mut walker = Walker { graphics, ..Walker::default() };
    walker.shapes(document.root_element(), 0);
    // The title may come last in the file; it is what the slide begins with.
    walker.blocks.sort_by_key(|block| block.kind != BlockKind::Heading(1));
    composer.blocks(&walker.blocks);
    for Relationship { kind, target, .. } in &relationships {
        if !matches!(kind.as_str(), "notesSlide" | "comments") {
            continue;
        }
        let source = package.part(target)?.unwrap_or_default();
        let Ok(part) = parse(&source) else { continue };
        if kind == "notesSlide" {
            let mut notes = Walker { notes: true, ..Walker::default() };
            notes.shapes(part.root_element(), 0);
            composer.blocks(&notes.blocks);
        } else {
            comments(part.root_element(), authors, composer);
        }
    }
    Ok(())
}

/// Comments, in the old form (`text`) and in the one with threads (`txBody`), with who wrote
/// them and when.
fn comments(root: Node<'_, '_>, authors: &HashMap<String, String>, composer: &mut Composer) {
    for body in root.descendants() {
        let text = match name(body) {
            "text" => body.text().unwrap_or_default().to_owned(),
            "txBody" => texts(body, "t"),
            _ => continue,
        };
        let Some(comment) = body.parent() else { continue };
        let author = attribute(comment, "authorId").and_then(|id| authors.get(id));
        let date = attribute(comment, "dt").or_else(|| attribute(comment, "created"));
        let head = [author.map(String::as_str), date.map(day)];
        let head = head.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let head = if head.is_empty() { head } else { head + ": " };
        composer.block(&DraftBlock::new(BlockKind::Paragraph, format!("[{head}{}]", text.trim())));
    }
}

/// The names of those who comment, by their ids, in the old form and in the new.
fn authors(package: &mut Package) -> Result<HashMap<String, String>, ReadError> {
    let mut authors = HashMap::new();
    for part in ["ppt/commentAuthors.xml", "ppt/authors.xml"] {
        let source = package.part(part)?.unwrap_or_default();
        let Ok(list) = parse(&source) else { continue };
        authors.extend(list.descendants().filter_map(|node| {
            Some((attribute(node, "id")?.to_owned(), attribute(node, "name")?.to_owned()))
        }));
    }
    Ok(authors)
}

#[derive(Default)]
struct Walker {
    blocks: Vec<DraftBlock>,
    /// The charts and diagrams of the slide, by relationship.
    graphics: HashMap<String, DraftBlock>,
    /// Whether this is the page of notes, which repeats the slide.
    notes: bool,
}

impl Walker {
    fn shapes(&mut self, node: Node<'_, '_>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children().filter(Node::is_element) {
            match name(node) {
                "sp" => self.shape(node),
                "tbl" => self.table(node),
                "chart" => self.graphic(attribute(node, "id")),
                "relIds" => self.graphic(attribute(node, "dm")),
                "pic" => self.picture(node),
                "AlternateContent" => {
                    let either = child(node, "Choice").or_else(|| child(node, "Fallback"));
                    if let Some(choice) = either {
                        self.shapes(choice, depth + 1);
                    }
                }
                _ => self.shapes(node, depth + 1),
            }
        }
    }

    fn graphic(&mut self, id: Option<&str>) {
        self.blocks.extend(id.and_then(|id| self.graphics.get(id)).cloned());
    }

    /// What a person wrote to describe a picture. Programs put the file's name there too.
    fn picture(&mut self, picture: Node<'_, '_>) {
        let properties = picture.descendants().find(|node| name(*node) == "cNvPr");
        let text = properties.and_then(|node| attribute(node, "descr")).unwrap_or_default();
        if text.contains(' ') {
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, text));
        }
    }

    fn shape(&mut self, shape: Node<'_, '_>) {
        let placeholder = shape.descendants().find(|node| name(*node) == "ph");
        let placeholder = placeholder.map(|node| attribute(node, "type").unwrap_or("body"));
        // Dates, footers and numbers say the same on every slide; pages of notes repeat more.
        let repeated = matches!(placeholder, Some("sldNum" | "dt" | "ftr" | "hdr"));
        if repeated || (self.notes && placeholder != Some("body")) {
            return;
        }
        let Some(body) = child(shape, "txBody") else { return };
        if matches!(placeholder, Some("title" | "ctrTitle")) {
            let lines: Vec<_> = paragraphs(body).map(paragraph_text).collect();
            let title = collapse(&lines.join(" "));
            if !title.is_empty() {
                self.blocks.push(DraftBlock::new(BlockKind::Heading(1), title));
            }
            return;
        }
        let listed = placeholder.is_some_and(|kind| matches!(kind, "body" | "obj")) && !self.notes;
        let mut counts: HashMap<usize, u32> = HashMap::new();
        for paragraph in paragraphs(body) {
            let text = paragraph_text(paragraph);
            if text.trim().is_empty() {
                continue;
            }
            let properties = child(paragraph, "pPr");
            let level = properties.and_then(|node| attribute(node, "lvl")?.parse().ok());
            let level: usize = level.unwrap_or(0);
            let bullet = |key| properties.and_then(|node| child(node, key));
            let numbered = bullet("buAutoNum").map(|node| {
                let first = attribute(node, "startAt").and_then(|n| n.parse().ok()).unwrap_or(1);
                let next = counts.entry(level).and_modify(|n| *n += 1).or_insert(first);
                label(attribute(node, "type").unwrap_or("arabicPeriod"), *next)
            });
            if numbered.is_none() {
                counts.remove(&level);
            }
            counts.retain(|other, _| *other <= level);
            let item = numbered.is_some()
                || bullet("buChar").is_some()
                || (listed && bullet("buNone").is_none());
            let kind = if item { BlockKind::ListItem } else { BlockKind::Paragraph };
            self.blocks.push(DraftBlock::new(kind, numbered.unwrap_or_default() + text.trim()));
        }
    }

    fn table(&mut self, table: Node<'_, '_>) {
        let rows = table.children().filter(|node| name(*node) == "tr").map(|row| {
            let cells = row.children().filter(|node| name(*node) == "tc");
            cells.map(|cell| {
                let lines = child(cell, "txBody").into_iter().flat_map(paragraphs);
                let text = lines.map(paragraph_text).collect::<Vec<_>>().join(" ");
                let is = |key| matches!(attribute(cell, key), Some("1" | "true"));
                (text, is("hMerge"), is("vMerge"))
            })
        });
        // The value of merged cells is written into each of them, so that every row and column
        // says by itself what it is about. A title across a whole row stays one.
        let mut filled: Vec<Vec<String>> = Vec::new();
        for row in rows {
            let mut cells: Vec<String> = Vec::new();
            let row: Vec<_> = row.collect();
            let title = row.iter().skip(1).all(|(_, left, _)| *left);
            for (text, left, above) in row {
                let above = filled.last().filter(|_| above).and_then(|row| row.get(cells.len()));
                let left = cells.last().filter(|_| left && !title);
                let text =
                    above.or(left).filter(|_| text.trim().is_empty()).cloned().unwrap_or(text);
                cells.push(text);
            }
            filled.push(cells);
        }
        let rows = filled;
        self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
    }
}

fn paragraphs<'a, 'i>(body: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    body.children().filter(|node| name(*node) == "p")
}

fn paragraph_text(paragraph: Node<'_, '_>) -> String {
    let mut out = String::new();
    for node in paragraph.descendants() {
        match name(node) {
            "t" => out.push_str(node.text().unwrap_or_default()),
            "br" => out.push('\n'),
            "tab" => out.push('\t'),
            _ => {}
        }
    }
    out
}

/// The label of a numbered paragraph (ECMA-376, `ST_TextAutonumberScheme`), a space behind it.
fn label(scheme: &str, number: u32) -> String {
    let format = if scheme.starts_with("alphaLc") {
        NumberFormat::LowerLetter
    } else if scheme.starts_with("alphaUc") {
        NumberFormat::UpperLetter
    } else if scheme.starts_with("romanLc") {
        NumberFormat::LowerRoman
    } else if scheme.starts_with("romanUc") {
        NumberFormat::UpperRoman
    } else if scheme.starts_with("ea1") {
        NumberFormat::Chinese
    } else {
        NumberFormat::Decimal
    };
    let number = format.write(number);
    if scheme.ends_with("ParenBoth") {
        format!("({number}) ")
    } else if scheme.ends_with("ParenR") {
        format!("{number}) ")
    } else if scheme.ends_with("Plain") {
        format!("{number} ")
    } else {
        format!("{number}. ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;

    const NAMESPACES: &str = "xmlns:p='p' xmlns:a='a' xmlns:r='r' xmlns:c='c'";

    fn shape(placeholder: &str, paragraphs: &[&str]) -> String {
        let paragraphs: String = paragraphs.iter().map(|p| format!("<a:p>{p}</a:p>")).collect();
        format!("<p:sp><p:nvPr>{placeholder}</p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>")
    }

    fn slide(shapes: &str) -> String {
        format!("<p:sld {NAMESPACES}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>")
    }

    fn relationships(all: &[(&str, &str, &str)]) -> String {
        let all: String = all
            .iter()
            .map(|(id, kind, target)| {
                format!("<Relationship Id='{id}' Type='x/{kind}' Target='{target}'/>")
            })
            .collect();
        format!("<Relationships>{all}</Relationships>")
    }

    #[test]
    fn slides_are_read_in_the_order_they_are_shown() {
        let text = |text: &str| format!("<a:r><a:t>{text}</a:t></a:r>");
        let numbered = |item: &str| {
            format!("<a:pPr><a:buAutoNum type='alphaLcParenR'/></a:pPr>{}", text(item))
        };
        let first = slide(&format!(
            "{}{}{}{}",
            shape("<p:ph idx='1'/>", &[&text("Point"), &text("Second")]),
            shape("<p:ph type='title'/>", &[&text("The title")]),
            shape("<p:ph type='sldNum'/>", &[&text("1")]),
            "<p:graphicFrame><a:tbl><a:tr><a:tc><p:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></p:txBody></a:tc>\
             <a:tc><p:txBody><a:p><a:r><a:t>b</a:t></a:r></a:p></p:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>"
        ));
        let second = slide(&shape("", &[&numbered("x"), &numbered("y"), &text("plain")]));
        let notes = slide(&format!(
            "{}{}",
            shape("<p:ph type='sldImg'/>", &[&text("not")]),
            shape("<p:ph type='body' idx='1'/>", &[&text("Say this.")])
        ));
        let comments = format!(
            "<p:cmLst {NAMESPACES}><p:cm authorId='0' dt='2026-06-18T17:35:35'><p:text>Why?</p:text></p:cm></p:cmLst>"
        );
        let presentation = format!(
            "<p:presentation {NAMESPACES}><p:sldIdLst><p:sldId id='256' r:id='r2'/><p:sldId id='257' r:id='r1'/>\
             <p:sldId id='258' r:id='r9'/></p:sldIdLst></p:presentation>"
        );
        let main = relationships(&[
            ("r1", "slide", "slides/slide1.xml"),
            ("r2", "slide", "slides/slide2.xml"),
        ]);
        let own = relationships(&[
            ("r1", "notesSlide", "../notesSlides/notesSlide1.xml"),
            ("r2", "comments", "../comments/comment1.xml"),
        ]);
        let extraction = read(package(&[
            ("ppt/presentation.xml", presentation.as_str()),
            ("ppt/_rels/presentation.xml.rels", &main),
            ("ppt/slides/slide1.xml", &second),
            ("ppt/slides/slide2.xml", &first),
            ("ppt/slides/_rels/slide2.xml.rels", &own),
            ("ppt/notesSlides/notesSlide1.xml", &notes),
            ("ppt/comments/comment1.xml", &comments),
            ("ppt/commentAuthors.xml", "<l><a id='0' name='Ana'/></l>"),
        ]))
        .unwrap();
        assert_eq!(
            sketch(&extraction),
            "# The title\n\n- Point\n\n- Second\n\n▦ a | b\n\n¶ Say this.\n\n¶ [Ana, 2026-06-18: Why?]\n\n- a) x\n\n- b) y\n\n¶ plain"
        );
        let pages: Vec<_> = extraction.pages.iter().map(|page| page.number).collect();
        assert_eq!(pages, [Some(1), Some(2), Some(3)]);
        assert_eq!(extraction.warnings.len(), 1);
    }
}
