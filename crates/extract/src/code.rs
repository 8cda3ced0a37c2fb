//! Source code and settings of any language, cut by its structure.

use std::ops::Range;

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use tree_sitter::{Language, Node, Parser};

use crate::chunk::{CHUNK_TOKENS, estimate_tokens};
use crate::compose::{Composer, DraftBlock, collapse};
use crate::{ReadError, text};

/// A syntax tree is many times as large as its source: larger sources are cut by their layout.
const MAX_PARSED_BYTES: usize = 4 << 20;

/// A definition inside of more than so many others is not looked for.
const MAX_NESTING: usize = 8;

/// So deep below its definition a member may be: in a body, in a condition of the preprocessor.
const MAX_DESCENT: usize = 5;

/// Up to so many lines before the first member of a definition belong to it.
const HEAD_LINES: usize = 3;

/// The name of a definition is cut after so many characters.
const TITLE_CHARS: usize = 120;

/// Blocks are definitions with the comments above them; one that is larger than a chunk is a section
/// (a module, a class, a function), and is cut between its members. Anchors are lines.
///
/// Where there is no grammar for a language its layout shows the structure: in every common language
/// a definition at the top level begins at the margin after a blank line, and its members begin at
/// the next indentation.
pub(crate) fn read(
    name: &str,
    bytes: &[u8],
    mut composer: Composer,
) -> Result<Extraction, ReadError> {
    let source = text::lines(text::decode(bytes, None)?);
    let lines: Vec<&str> = source.lines().collect();
    let tree = language(name, &source).filter(|_| source.len() <= MAX_PARSED_BYTES);
    let tree = tree.and_then(|language| {
        let mut parser = Parser::new();
        parser.set_language(&language).ok()?;
        parser.parse(&source, None)
    });
    let mut cutter = Cutter { composer: &mut composer, source: &source, lines: &lines };
    match tree {
        Some(tree) => cutter.members(tree.root_node(), 0..lines.len(), 0),
        // A class and its methods.
        None => cutter.layout(0..lines.len(), 0, 2),
    }
    composer.finish(DocumentKind::Code)
}

/// The grammar for a file with this name. C is read as C++, and JavaScript as TypeScript, which
/// contain them but for rarities.
fn language(name: &str, source: &str) -> Option<Language> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let shebang = source.lines().next().filter(|line| line.starts_with("#!")).unwrap_or_default();
    Some(
        match extension.to_ascii_lowercase().as_str() {
            "rs" => tree_sitter_rust::LANGUAGE,
            "py" | "pyi" => tree_sitter_python::LANGUAGE,
            "ts" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            "js" | "mjs" | "cjs" | "jsx" | "tsx" => tree_sitter_typescript::LANGUAGE_TSX,
            "java" => tree_sitter_java::LANGUAGE,
            "c" | "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => tree_sitter_cpp::LANGUAGE,
            "go" => tree_sitter_go::LANGUAGE,
            "cs" => tree_sitter_c_sharp::LANGUAGE,
            "rb" => tree_sitter_ruby::LANGUAGE,
            "php" => tree_sitter_php::LANGUAGE_PHP,
            "sh" | "bash" => tree_sitter_bash::LANGUAGE,
            _ if shebang.contains("python") => tree_sitter_python::LANGUAGE,
            _ if shebang.contains("ruby") => tree_sitter_ruby::LANGUAGE,
            _ if shebang.contains("sh") => tree_sitter_bash::LANGUAGE,
            _ => return None,
        }
        .into(),
    )
}

/// Whether a node of any grammar defines something that people call by its name.
fn is_definition(kind: &str) -> bool {
    matches!(
        kind,
        "abstract_class_declaration"
            | "class"
            | "class_declaration"
            | "class_definition"
            | "class_specifier"
            | "constructor_declaration"
            | "enum_declaration"
            | "enum_item"
            | "enum_specifier"
            | "file_scoped_namespace_declaration"
            | "function_declaration"
            | "function_definition"
            | "function_item"
            | "generator_function_declaration"
            | "impl_item"
            | "interface_declaration"
            | "internal_module"
            | "macro_definition"
            | "method"
            | "method_declaration"
            | "method_definition"
            | "mod_item"
            | "module"
            | "namespace_declaration"
            | "namespace_definition"
            | "property_declaration"
            | "record_declaration"
            | "singleton_method"
            | "struct_declaration"
            | "struct_item"
            | "struct_specifier"
            | "trait_declaration"
            | "trait_item"
            | "type_declaration"
            | "union_item"
            | "union_specifier"
    )
}

/// Whether a node belongs to the definition that follows it.
fn is_preface(kind: &str) -> bool {
    kind.contains("comment") || kind == "attribute_item"
}

/// A definition with the lines that it takes, its comments included.
struct Definition<'t> {
    node: Node<'t>,
    lines: Range<usize>,
}

/// The definitions below `node` that are in no other one, in order, on lines of their own.
fn definitions<'t>(node: Node<'t>, within: &Range<usize>) -> Vec<Definition<'t>> {
    let mut found: Vec<Definition<'t>> = Vec::new();
    collect(node, MAX_DESCENT, &mut found);
    let mut apart: Vec<Definition<'t>> = Vec::new();
    let mut free = within.start;
    for mut definition in found {
        let lines = definition.lines.start.max(free)..definition.lines.end.min(within.end);
        let begins = definition.node.start_position().row;
        match apart.last_mut() {
            // Two on one line cannot be cut.
            Some(last) if begins < free => last.lines.end = last.lines.end.max(lines.end),
            _ if lines.is_empty() || begins < lines.start => continue,
            _ => {
                definition.lines = lines;
                apart.push(definition);
            }
        }
        free = apart.last().map_or(free, |last| last.lines.end);
    }
    apart
}

fn collect<'t>(node: Node<'t>, descent: usize, found: &mut Vec<Definition<'t>>) {
    // The line that comments right above what comes next begin at, and the line after them.
    let mut preface: Option<Range<usize>> = None;
    for child in node.named_children(&mut node.walk()) {
        let lines = lines_of(child);
        if is_preface(child.kind()) {
            let open = preface.take().filter(|preface| preface.end >= lines.start);
            preface = Some(open.map_or(lines.start, |open| open.start)..lines.end);
            continue;
        }
        let above = preface.take().filter(|preface| preface.end >= lines.start);
        // What is exported, decorated or a template is defined by the node inside.
        let inner = is_wrapper(child.kind())
            .then(|| child.named_children(&mut child.walk()).find(|n| is_definition(n.kind())))
            .flatten();
        if is_definition(child.kind()) || inner.is_some() {
            let start = above.map_or(lines.start, |above| above.start);
            // What is on one line is a declaration among others, such as `mod name;`.
            if lines.end - start > 1 {
                found.push(Definition { node: inner.unwrap_or(child), lines: start..lines.end });
            }
        } else if descent > 0 {
            collect(child, descent - 1, found);
        }
    }
}

fn is_wrapper(kind: &str) -> bool {
    matches!(kind, "export_statement" | "decorated_definition" | "template_declaration")
}

fn lines_of(node: Node<'_>) -> Range<usize> {
    let (start, end) = (node.start_position(), node.end_position());
    // Some nodes hold the line break behind them.
    let last = if end.column == 0 && end.row > start.row { end.row - 1 } else { end.row };
    start.row..last + 1
}

/// Hands the lines of a source on as blocks.
struct Cutter<'a> {
    composer: &'a mut Composer,
    source: &'a str,
    lines: &'a [&'a str],
}

impl Cutter<'_> {
    fn block(&mut self, lines: Range<usize>) {
        let first = u32::try_from(lines.start + 1).unwrap_or(u32::MAX);
        let block = DraftBlock::new(BlockKind::Code, self.lines[lines].join("\n"));
        self.composer.block(&block.at(first));
    }

    fn fits(&self, lines: Range<usize>) -> bool {
        self.lines[lines].iter().map(|line| estimate_tokens(line)).sum::<usize>() <= CHUNK_TOKENS
    }

    /// Cuts the `lines` of a node at the definitions in it.
    fn members(&mut self, node: Node<'_>, lines: Range<usize>, nesting: usize) {
        let mut members = definitions(node, &lines);
        if members.is_empty() && nesting > 0 {
            return self.inside(lines, nesting, 0);
        }
        // The first and the last line of a definition are nothing by themselves.
        if let Some(first) = members.first_mut()
            && nesting > 0
            && first.lines.start - lines.start <= HEAD_LINES
            && (self.fits(lines.start..first.lines.end) || !self.fits(first.lines.clone()))
        {
            first.lines.start = lines.start;
        }
        if let Some(last) = members.last_mut()
            && self.lines[last.lines.end..lines.end].iter().all(|line| closes(line.trim()))
        {
            last.lines.end = lines.end;
        }
        let mut at = lines.start;
        for Definition { node, lines } in members {
            self.layout(at..lines.start, nesting, 1);
            at = lines.end;
            if self.fits(lines.clone()) || nesting >= MAX_NESTING {
                self.block(lines);
                continue;
            }
            self.composer.open_section(&self.title(node));
            self.members(node, lines, nesting + 1);
            self.composer.close_section();
        }
        self.layout(at..lines.end, nesting, 1);
    }

    /// What stands of a definition before its body, on one line.
    fn title(&self, definition: Node<'_>) -> String {
        let start = definition.start_byte();
        let body = definition.child_by_field_name("body").map(|body| body.start_byte());
        let head =
            self.source.get(start..body.unwrap_or(definition.end_byte())).unwrap_or_default();
        // Without a body that the grammar names, the first line says what it is.
        let head = if body.is_some() { head } else { head.lines().next().unwrap_or_default() };
        title(head)
    }

    /// Cuts lines by their layout. At most `titles` levels of it are sections.
    fn layout(&mut self, lines: Range<usize>, nesting: usize, titles: usize) {
        let margin = smallest_margin(&self.lines[lines.clone()], 0).unwrap_or(0);
        self.units(lines, margin, nesting, titles);
    }

    /// Cuts lines into units that begin after blank lines at the margin, and those that are larger
    /// than a chunk into their members.
    fn units(&mut self, lines: Range<usize>, margin: usize, nesting: usize, titles: usize) {
        for unit in parts(self.lines, lines, margin) {
            if self.fits(unit.clone()) || nesting >= MAX_NESTING {
                self.block(unit);
                continue;
            }
            let title = signature(&self.lines[unit.clone()]).filter(|_| titles > 0).map(title);
            self.composer.open_section(&title.unwrap_or_default());
            self.inside(unit, nesting, titles.saturating_sub(1));
            self.composer.close_section();
        }
    }

    /// Cuts one unit at the next indentation after its own.
    fn inside(&mut self, unit: Range<usize>, nesting: usize, titles: usize) {
        let lines = &self.lines[unit.clone()];
        let outer = smallest_margin(lines, 0);
        let inner = outer.and_then(|outer| smallest_margin(lines, outer + 1));
        match inner {
            Some(inner) if parts(self.lines, unit.clone(), inner).len() > 1 => {
                self.units(unit, inner, nesting + 1, titles);
            }
            _ => self.block(unit),
        }
    }
}

fn title(head: &str) -> String {
    let head = collapse(head);
    let head = head.trim_end_matches(['{', ':', ' ', '(']);
    head.chars().take(TITLE_CHARS).collect()
}

/// The line of a definition that says what it is: the first that is no comment or annotation.
fn signature<'a>(lines: &[&'a str]) -> Option<&'a str> {
    const ASIDE: [&str; 9] = ["//", "/*", "*", "#", "@", "--", ";", "\"\"\"", "<!--"];
    let mut lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    lines.find(|line| !ASIDE.iter().any(|mark| line.starts_with(mark)))
}

/// Whether a line does nothing but end a definition, to which it belongs.
fn closes(text: &str) -> bool {
    text.is_empty()
        || text.starts_with(['}', ')', ']'])
        || matches!(text, "end" | "end;" | "fi" | "done")
}

/// The smallest indentation of at least `from` that a line has.
fn smallest_margin(lines: &[&str], from: usize) -> Option<usize> {
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    filled.map(|line| indentation(line)).filter(|indentation| *indentation >= from).min()
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count()
}

/// The parts of `lines` that begin after blank lines with at most `margin` of indentation.
fn parts(source: &[&str], lines: Range<usize>, margin: usize) -> Vec<Range<usize>> {
    let mut starts = Vec::new();
    let mut after_blank = true;
    for index in lines.clone() {
        let text = source[index].trim();
        if text.is_empty() {
            after_blank = true;
            continue;
        }
        if after_blank && !closes(text) && indentation(source[index]) <= margin {
            starts.push(index);
        }
        after_blank = false;
    }
    // A file may begin with an indented line.
    if starts.first() != Some(&lines.start) && !lines.is_empty() {
        starts.insert(0, lines.start);
    }
    let ends = starts.iter().skip(1).copied().chain([lines.end]);
    let parts = starts.iter().copied().zip(ends).map(|(start, end)| {
        // Blank lines between parts are no lines of either; they would move the anchors.
        let blank = source[start..end].iter().take_while(|line| line.trim().is_empty()).count();
        start + blank..end
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use lectern_domain::char_slice;

    #[test]
    fn definitions_are_blocks_that_know_their_line() {
        let source = "import os\nimport sys\n\n\n# Adds.\ndef add(a, b):\n    c = a + b\n\n    return c\n\n\nclass Two:\n    x = 1\n";
        for name in ["by_grammar.py", "by_layout.lua"] {
            let extraction = read(name, source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(
                sketch(&extraction),
                "⌘ import os\nimport sys\n\n⌘ # Adds.\ndef add(a, b):\n    c = a + b\n\n    return c\n\n⌘ class Two:\n    x = 1",
                "{name}"
            );
            let lines: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
            assert_eq!(lines, [1, 5, 12], "{name}");
        }
    }

    /// Two members of this form, larger than a chunk together, in a definition that `{}` stands in.
    fn source(outer: &str, member: &str) -> String {
        let line = "        total = compute;\n";
        let members: String = ["one", "two"]
            .map(|name| member.replace("NAME", name).replace("BODY", &line.repeat(25)))
            .concat();
        outer.replace("{}", &members)
    }

    #[test]
    fn what_is_too_large_for_a_chunk_is_cut_between_its_members_in_every_language() {
        // Name, source without blank lines that would show the structure, the sections.
        let cases = [
            (
                "a.rs",
                "/// Counts.\nimpl<T> Counter<T> {\n{}}\n",
                "    /// It is NAME.\n    fn NAME(&self) -> u32 {\nBODY    }\n",
                "impl<T> Counter<T>",
            ),
            (
                "a.py",
                "@final\nclass Counter(Base):\n{}",
                "    @cached\n    def NAME(self):\nBODY",
                "class Counter(Base)",
            ),
            (
                "a.ts",
                "export class Counter {\n{}}\n",
                "    NAME(): number {\nBODY    }\n",
                "class Counter",
            ),
            ("a.js", "class Counter {\n{}}\n", "    NAME() {\nBODY    }\n", "class Counter"),
            (
                "a.java",
                "public class Counter {\n{}}\n",
                "    int NAME() {\nBODY    }\n",
                "public class Counter",
            ),
            (
                "a.hpp",
                "namespace lib {\n{}}\n",
                "    template <class T>\n    int NAME(T t) {\nBODY    }\n",
                "namespace lib",
            ),
            ("a.c", "#ifdef X\n{}#endif\n", "int NAME(void) {\nBODY}\n", ""),
            (
                "a.go",
                "package lib\n{}",
                "// It is NAME.\nfunc (c *Counter) NAME() int {\nBODY}\n",
                "",
            ),
            (
                "a.cs",
                "class Counter\n{\n{}}\n",
                "    int NAME()\n    {\nBODY    }\n",
                "class Counter",
            ),
            ("a.rb", "class Counter\n{}end\n", "    def NAME\nBODY    end\n", "class Counter"),
            (
                "a.php",
                "<?php\nclass Counter {\n{}}\n",
                "    function NAME() {\nBODY    }\n",
                "class Counter",
            ),
            ("run", "#!/bin/sh\n{}", "NAME() {\nBODY}\n", ""),
        ];
        for (name, outer, member, section) in cases {
            let source = source(outer, member);
            let extraction = read(name, source.as_bytes(), Composer::default()).unwrap();
            let titles: Vec<&str> = extraction.sections.iter().map(|s| s.title.as_str()).collect();
            assert_eq!(
                titles,
                [section].iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>(),
                "{name}"
            );
            let chunks = crate::chunk(&extraction);
            for member in ["one", "two"] {
                let whole = chunks.iter().any(|chunk| {
                    chunk.text.contains(member)
                        && chunk.text.matches("compute").count() == 25
                        && chunk.heading == titles
                });
                assert!(whole, "{name}: {member} is cut: {chunks:?}");
            }
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(solid(&extraction.text), solid(&source), "{name}");
        }
    }

    #[test]
    fn a_function_that_is_too_large_names_all_its_chunks() {
        let body = "    let x = compute(1, 2, 3);\n    if x { return; }\n\n".repeat(40);
        let source = format!(
            "use a::b;\n\nmod inner {{\n    fn long(\n        a: u32,\n    ) {{\n{body}    }}\n}}\n"
        );
        let extraction = read("a.rs", source.as_bytes(), Composer::default()).unwrap();
        let chunks = crate::chunk(&extraction);
        assert!(chunks.len() > 3);
        assert_eq!(chunks[0].text, "use a::b;");
        assert!(chunks[0].heading.is_empty());
        for chunk in &chunks[1..] {
            assert_eq!(chunk.heading, ["mod inner", "fn long( a: u32, )"], "{}", chunk.text);
        }
    }

    #[test]
    fn without_a_grammar_the_layout_shows_the_members() {
        let line = "        self.count(1, 2, 3)\n".repeat(12);
        let members =
            ["one", "two", "three"].map(|name| format!("    function {name}()\n{line}    end\n\n"));
        let source = format!("-- Counts.\ncounter = class\n{}end\n", members.concat());
        let extraction = read("a.lua", source.as_bytes(), Composer::default()).unwrap();
        let starts: Vec<&str> = extraction
            .blocks
            .iter()
            .filter_map(|block| char_slice(&extraction.text, block.range).lines().next())
            .collect();
        assert_eq!(starts, ["-- Counts.", "    function two()", "    function three()"]);
        for chunk in crate::chunk(&extraction) {
            assert_eq!(chunk.heading, ["counter = class"], "{}", chunk.text);
        }
    }

    #[test]
    fn sources_that_no_grammar_takes_lose_nothing() {
        let deep = format!("fn f() {}{}\n", "{".repeat(50_000), "}".repeat(50_000));
        let minified = "function a(){return 1}function b(){return 2}".repeat(300);
        let cases = [
            ("a.rs", "}}} fn ((( \n\n impl\n".to_owned()),
            ("a.rs", deep),
            ("a.js", minified),
            ("a.py", "\tdef f():\n  x\n y\n".to_owned()),
        ];
        for (name, source) in cases {
            let extraction = read(name, source.as_bytes(), Composer::default()).unwrap();
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(solid(&extraction.text), solid(&source), "{name}");
        }
    }
}
