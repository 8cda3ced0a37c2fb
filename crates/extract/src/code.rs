//! Source code and settings of any language, cut by the structure that its layout shows.

use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::chunk::{CHUNK_TOKENS, estimate_tokens};
use crate::compose::{Composer, DraftBlock};
use crate::{ReadError, text};

/// Blocks are top-level definitions with the comments above them; one that is larger than a
/// chunk is cut between its members. Anchors are lines.
///
/// In every common language a definition at the top level begins at the margin after a blank
/// line, and its members begin at the next indentation; no grammar is needed to see that.
pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::lines(text::decode(bytes, None)?);
    let lines: Vec<&str> = source.lines().collect();
    for unit in parts(&lines, 0, 0) {
        for (first, part) in divided(unit.0, unit.1, 1) {
            let number = u32::try_from(first + 1).unwrap_or(u32::MAX);
            composer.block(&DraftBlock::new(BlockKind::Code, part.join("\n")).at(number));
        }
    }
    composer.finish(DocumentKind::Code)
}

/// A unit whole, or its members where it is larger than a chunk.
fn divided<'a>(first: usize, lines: &'a [&'a str], rank: usize) -> Vec<(usize, &'a [&'a str])> {
    let tokens: usize = lines.iter().map(|line| estimate_tokens(line)).sum();
    if tokens <= CHUNK_TOKENS || rank > 4 {
        return vec![(first, lines)];
    }
    let outer = margin(lines, 0);
    let Some(inner) = outer.and_then(|outer| margin(lines, outer + 1)) else {
        return vec![(first, lines)];
    };
    let members = parts(lines, first, inner).into_iter();
    members
        .flat_map(|(at, member)| {
            let whole = member.len() == lines.len();
            if whole { vec![(at, member)] } else { divided(at, member, rank + 1) }
        })
        .collect()
}

/// The smallest indentation of at least `from` that a line has.
fn margin(lines: &[&str], from: usize) -> Option<usize> {
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    filled.map(|line| indentation(line)).filter(|indentation| *indentation >= from).min()
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count()
}

/// The parts that begin after blank lines with at most `margin` of indentation, each with the
/// index of its first line counted on from `first`.
fn parts<'a>(lines: &'a [&'a str], first: usize, margin: usize) -> Vec<(usize, &'a [&'a str])> {
    let mut starts = Vec::new();
    let mut after_blank = true;
    for (index, line) in lines.iter().enumerate() {
        let text = line.trim();
        if text.is_empty() {
            after_blank = true;
            continue;
        }
        // What closes a definition belongs to it.
        let closes =
            text.starts_with(['}', ')', ']']) || matches!(text, "end" | "end;" | "fi" | "done");
        if after_blank && !closes && indentation(line) <= margin {
            starts.push(index);
        }
        after_blank = false;
    }
    // A file may begin with an indented line.
    if starts.first() != Some(&0) && !lines.is_empty() {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let parts = starts.iter().copied().zip(ends).map(|(start, end)| {
        // Blank lines between parts are no lines of either; they would move the anchors.
        let blank = lines[start..end].iter().take_while(|line| line.trim().is_empty()).count();
        (first + start + blank, &lines[start + blank..end])
    });
    parts.filter(|(_, part)| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn definitions_are_blocks_that_know_their_line() {
        let source = "import os\nimport sys\n\n\n# Adds.\ndef add(a, b):\n    c = a + b\n\n    return c\n\n\nclass Two:\n    x = 1\n";
        let extraction = read(source.as_bytes(), Composer::default()).unwrap();
        assert_eq!(
            sketch(&extraction),
            "⌘ import os\nimport sys\n\n⌘ # Adds.\ndef add(a, b):\n    c = a + b\n\n    return c\n\n⌘ class Two:\n    x = 1"
        );
        let lines: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
        assert_eq!(lines, [1, 5, 12]);
    }

    #[test]
    fn a_large_definition_is_cut_between_its_members_and_chunks_name_it() {
        let method = |name: &str| {
            format!(
                "    fn {name}(&self) -> u32 {{\n{}    }}\n\n",
                "        self.count(1, 2, 3);\n".repeat(12)
            )
        };
        let methods: String = ["one", "two", "three", "four"].map(method).concat();
        let source = format!("/// Counts.\nimpl Counter {{\n{methods}}}\n");
        let extraction = read(source.as_bytes(), Composer::default()).unwrap();
        let blocks = extraction.blocks.iter();
        let blocks = blocks.map(|block| lectern_domain::char_slice(&extraction.text, block.range));
        let starts: Vec<&str> = blocks.filter_map(|block| block.lines().next()).collect();
        assert_eq!(
            starts,
            [
                "/// Counts.",
                "    fn two(&self) -> u32 {",
                "    fn three(&self) -> u32 {",
                "    fn four(&self) -> u32 {"
            ]
        );
        let chunks = crate::chunk(&extraction);
        assert!(chunks.len() >= 3);
        assert!(chunks[0].heading.is_empty());
        for chunk in &chunks[1..] {
            assert_eq!(chunk.heading, ["impl Counter {"], "{}", chunk.text);
        }
    }
}
