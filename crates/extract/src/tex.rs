//! LaTeX, read as what it looks like when it is set. Formulas stay as they are written.

use std::collections::HashMap;

use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::{ReadError, text};

/// Arguments nested deeper than this are left out.
const MAX_DEPTH: usize = 100;

pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = without_comments(&text::lines(text::decode(bytes, None)?));
    let source = expanded(&source);
    let mut reader = Reader::default();
    let (preamble, body) = match source.split_once("\\begin{document}") {
        Some((preamble, body)) => (preamble, body.split("\\end{document}").next().unwrap_or(body)),
        None => ("", source.as_str()),
    };
    for (command, kind) in [("\\title", BlockKind::Heading(1)), ("\\author", BlockKind::Paragraph)]
    {
        if let Some((_, rest)) = preamble.split_once(command) {
            let (argument, _) = argument(skip_bracket(rest));
            let text = collapse(&reader.inline(argument, 0));
            if kind == BlockKind::Heading(1) {
                composer.title = Some(text.clone());
                reader.titled = true;
            }
            reader.blocks.push(DraftBlock::new(kind, text));
        }
    }
    reader.body(body);
    composer.blocks(&reader.blocks);
    composer.finish(DocumentKind::Tex)
}

fn without_comments(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for line in source.lines() {
        let mut escaped = false;
        let end = line.char_indices().find(|(_, c)| {
            let found = *c == '%' && !escaped;
            escaped = *c == '\\' && !escaped;
            found
        });
        match end {
            // A comment also takes the line break.
            Some((0, _)) => {}
            Some((end, _)) => {
                out.push_str(&line[..end]);
                out.push('\n');
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// How many times longer a source may become by the commands that it defines.
const MAX_EXPANSION: usize = 4;

/// A command that the document defines.
struct Macro {
    /// How many arguments it takes.
    arity: usize,
    /// What the first one is where it is not given in brackets.
    default: Option<String>,
    body: String,
}

impl Macro {
    /// What the command stands for with the arguments that `source` begins with, and what stands
    /// behind them.
    fn applied<'a>(&self, source: &'a str) -> (String, &'a str) {
        let mut rest = source;
        let mut arguments = Vec::new();
        if let Some(default) = &self.default {
            let after = skip_bracket(rest);
            let given = rest[..rest.len() - after.len()].strip_prefix('[');
            let given = given.and_then(|given| given.strip_suffix(']'));
            arguments.push(given.unwrap_or(default));
            rest = after;
        }
        while arguments.len() < self.arity {
            let (argument, after) = token(rest);
            arguments.push(argument);
            rest = after;
        }
        if self.arity == 0 {
            // A command ends at its blank.
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
        let mut parts = self.body.split('#');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = part.chars().next().and_then(|digit| digit.to_digit(10));
            match number.and_then(|number| arguments.get(number.checked_sub(1)? as usize)) {
                Some(argument) => {
                    text.push_str(argument);
                    text.push_str(&part[1..]);
                }
                None => text.push_str(part),
            }
        }
        (text, rest)
    }
}

/// The source with the commands that it defines replaced by what they stand for.
fn expanded(source: &str) -> String {
    let mut expansion = Expansion {
        macros: HashMap::new(),
        out: String::with_capacity(source.len()),
        limit: source.len().saturating_mul(MAX_EXPANSION) + (64 << 10),
    };
    expansion.run(source, 0);
    expansion.out
}

struct Expansion {
    macros: HashMap<String, Macro>,
    out: String,
    /// So many bytes are enough.
    limit: usize,
}

impl Expansion {
    fn run(&mut self, source: &str, depth: usize) {
        let mut rest = source;
        while let Some(at) = rest.find('\\') {
            self.out.push_str(&rest[..at]);
            rest = &rest[at..];
            if depth > MAX_DEPTH || self.out.len() > self.limit {
                return;
            }
            let Some((name, after)) = command(rest) else { break };
            if let Some(after) = self.define(name, after) {
                rest = after;
            } else if let Some(known) = self.macros.get(name) {
                let (text, after) = known.applied(after);
                self.run(&text, depth + 1);
                rest = after;
            } else {
                let after = skip_verbatim(name, after);
                self.out.push_str(&rest[..rest.len() - after.len()]);
                rest = after;
            }
        }
        self.out.push_str(rest);
    }

    /// Learns the command that `name` defines, and returns what stands behind the definition.
    fn define<'a>(&mut self, name: &str, source: &'a str) -> Option<&'a str> {
        let (arity, default, rest, defined) = match name {
            "newcommand" | "renewcommand" | "providecommand" | "DeclareRobustCommand" => {
                let (defined, rest) = token(source.strip_prefix('*').unwrap_or(source));
                let (arity, rest) = bracket(rest);
                let (default, rest) = bracket(rest);
                let arity = arity.map_or(Some(0), |arity| arity.trim().parse().ok())?;
                (arity, default.map(str::to_owned), rest, defined)
            }
            "def" => {
                let (defined, rest) = token(source);
                let parameters = &rest[..rest.find('{')?];
                // Others have words between their arguments, which are not understood here.
                let plain = ["", "#1", "#1#2", "#1#2#3", "#1#2#3#4"];
                let arity = plain.iter().position(|usual| *usual == parameters.trim())?;
                (arity, None, &rest[parameters.len()..], defined)
            }
            "DeclareMathOperator" => {
                let (defined, rest) = token(source.strip_prefix('*').unwrap_or(source));
                (0, None, rest, defined)
            }
            _ => return None,
        };
        let defined = command(defined.trim()).filter(|(_, rest)| rest.is_empty())?.0;
        let (start, end) = group_end(rest, '{', '}')?;
        if arity > 9 || (default.is_some() && arity == 0) {
            return None;
        }
        let mut body = rest[start..end].to_owned();
        if name == "DeclareMathOperator" {
            // It is set apart from what follows.
            body.push(' ');
        }
        self.macros.insert(defined.to_owned(), Macro { arity, default, body });
        Some(&rest[end + 1..])
    }
}

/// The argument that `source` begins with, a group or a single sign, and what stands behind it.
fn token(source: &str) -> (&str, &str) {
    let source = source.trim_start_matches([' ', '\n', '\t']);
    if let Some((start, end)) = group_end(source, '{', '}') {
        return (&source[start..end], &source[end + 1..]);
    }
    let length = match command(source) {
        Some((_, after)) => source.len() - after.len(),
        None => source.chars().next().map_or(0, char::len_utf8),
    };
    source.split_at(length)
}

/// The option in brackets that `source` begins with, if it does, and what stands behind it.
fn bracket(source: &str) -> (Option<&str>, &str) {
    let after = skip_bracket(source);
    let option = source[..source.len() - after.len()].strip_prefix('[');
    (option.and_then(|option| option.strip_suffix(']')), after)
}

/// What stands behind the command `name` and what is shown as it is written there.
fn skip_verbatim<'a>(name: &str, after: &'a str) -> &'a str {
    let end = match name {
        "begin" => {
            let environment = argument(after).0;
            let is_verbatim = VERBATIM.contains(&environment.trim_end_matches('*'));
            is_verbatim.then(|| after.find(&format!("\\end{{{environment}}}"))).flatten()
        }
        "verb" => {
            let mark = after.trim_start_matches('*').chars().next();
            mark.and_then(|mark| after.match_indices(mark).nth(1))
                .map(|(end, mark)| end + mark.len())
        }
        _ => None,
    };
    end.map_or(after, |end| &after[end..])
}

/// Environments whose content is shown as it is written.
const VERBATIM: [&str; 5] = ["verbatim", "lstlisting", "minted", "Verbatim", "alltt"];

#[derive(Default)]
struct Reader {
    blocks: Vec<DraftBlock>,
    text: String,
    /// Numbers of the open lists; `None` for bullets.
    lists: Vec<Option<u32>>,
    item: Option<String>,
    /// Whether a title stands above the sections, which are then one level deeper.
    titled: bool,
    footnotes: Vec<String>,
}

impl Reader {
    fn flush(&mut self) {
        let text = collapse(&std::mem::take(&mut self.text));
        if !text.is_empty() {
            let block = match self.item.take() {
                Some(label) => DraftBlock::new(BlockKind::ListItem, label + &text),
                None => DraftBlock::new(BlockKind::Paragraph, text),
            };
            self.blocks.push(block);
        }
        for note in std::mem::take(&mut self.footnotes) {
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, format!("[{note}]")));
        }
    }

    fn block(&mut self, kind: BlockKind, text: String) {
        self.flush();
        self.blocks.push(DraftBlock::new(kind, text));
    }

    fn body(&mut self, source: &str) {
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("\\begin{") {
                let (name, after) = after.split_once('}').unwrap_or((after, ""));
                rest = self.environment(name, after);
            } else if let Some(after) = rest.strip_prefix("\\end{") {
                self.flush();
                let (name, after) = after.split_once('}').unwrap_or((after, ""));
                if matches!(name, "itemize" | "enumerate" | "description" | "thebibliography") {
                    self.lists.pop();
                    self.item = None;
                }
                rest = after;
            } else if let Some((name, after)) = command(rest) {
                rest = self.command(name, after);
            } else if c == '\n' && rest[1..].trim_start_matches([' ', '\t']).starts_with('\n') {
                self.flush();
                rest = rest.trim_start();
            } else if c == '$' {
                let (formula, after) = formula(rest);
                self.text.push_str(formula);
                rest = after;
            } else {
                let end = rest[c.len_utf8()..]
                    .find(['\\', '\n', '$'])
                    .map_or(rest.len(), |end| end + c.len_utf8());
                let piece = self.inline(&rest[..end], 0);
                self.text.push_str(&piece);
                rest = &rest[end..];
            }
        }
        self.flush();
    }

    /// Reads the beginning of an environment, or the whole of one that is no running text.
    fn environment<'a>(&mut self, name: &str, after: &'a str) -> &'a str {
        let plain = name.trim_end_matches('*');
        let whole = || after.split_once(&format!("\\end{{{name}}}")).unwrap_or((after, ""));
        match plain {
            _ if VERBATIM.contains(&plain) => {
                let (inside, rest) = whole();
                let code = skip_bracket(inside);
                let code = if plain == "minted" { argument(code).1 } else { code };
                self.block(BlockKind::Code, code.to_owned());
                rest
            }
            "comment" => whole().1,
            "equation" | "align" | "gather" | "multline" | "eqnarray" | "displaymath" | "math"
            | "alignat" | "flalign" => {
                let (inside, rest) = whole();
                self.block(BlockKind::Paragraph, collapse(inside));
                rest
            }
            "tabular" | "tabularx" | "longtable" | "tabulary" | "array" => {
                let (inside, rest) = whole();
                let mut inside = skip_bracket(inside);
                let columns = usize::from(matches!(plain, "tabularx" | "tabulary")) + 1;
                for _ in 0..columns {
                    inside = argument(inside).1;
                }
                let text = self.table(inside);
                self.block(BlockKind::Table, text);
                rest
            }
            "itemize" | "description" | "thebibliography" => {
                self.flush();
                self.lists.push(None);
                if plain == "thebibliography" { skip_argument(after) } else { skip_bracket(after) }
            }
            "enumerate" => {
                self.flush();
                self.lists.push(Some(0));
                skip_bracket(after)
            }
            "figure" | "table" | "minipage" | "wrapfigure" | "multicols" | "tcolorbox" => {
                self.flush();
                let rest = skip_bracket(after);
                if matches!(plain, "minipage" | "multicols") { skip_argument(rest) } else { rest }
            }
            _ => {
                self.flush();
                let rest = skip_bracket(after);
                // A theorem's name stands in the brackets.
                let option = &after[..after.len() - rest.len()];
                if option.len() > 2 && plain.chars().all(char::is_alphabetic) {
                    let option = option.trim().trim_matches(['[', ']']).to_owned();
                    let text = self.inline(&option, 0);
                    self.text.push_str(&text);
                    self.text.push(' ');
                }
                rest
            }
        }
    }

    fn table(&mut self, source: &str) -> String {
        const RULES: [&str; 8] = [
            "hline",
            "toprule",
            "midrule",
            "bottomrule",
            "endhead",
            "endfirsthead",
            "endfoot",
            "endlastfoot",
        ];
        let source = source.replace("\\&", "\u{0}").replace("\\tabularnewline", "\\\\");
        let mut rows = Vec::new();
        for row in source.split("\\\\") {
            let mut row = row.trim().to_owned();
            if row.starts_with('[') {
                row = row.split_once(']').map_or(String::new(), |(_, rest)| rest.to_owned());
            }
            for rule in RULES {
                row = row.replace(&format!("\\{rule}"), "");
            }
            while let Some((before, after)) =
                row.split_once("\\cline").or_else(|| row.split_once("\\cmidrule"))
            {
                let after = if after.starts_with('(') {
                    after.split_once(')').map_or("", |(_, rest)| rest)
                } else {
                    after
                };
                row = format!("{before}{}", argument(after).1);
            }
            let cells = row.split('&').map(|cell| self.inline(&cell.replace('\u{0}', "\\&"), 0));
            rows.push(cells.collect::<Vec<_>>());
        }
        table_text(&rows)
    }

    /// Reads a command in running text, and returns what stands behind it.
    fn command<'a>(&mut self, name: &str, after: &'a str) -> &'a str {
        let level = match name {
            "part" | "chapter" => Some(1),
            "section" => Some(1),
            "subsection" => Some(2),
            "subsubsection" => Some(3),
            "paragraph" => Some(4),
            "subparagraph" => Some(5),
            _ => None,
        };
        if let Some(level) = level {
            let after = after.strip_prefix('*').unwrap_or(after);
            let after = skip_bracket(after);
            let (title, _) = argument(after);
            let title = self.inline(title, 0);
            let level = level + u8::from(self.titled);
            self.block(BlockKind::Heading(level), collapse(&title));
            return skip_argument(after);
        }
        match name {
            "item" | "bibitem" => {
                self.flush();
                let rest = skip_bracket(after);
                let option =
                    after[..after.len() - rest.len()].trim().trim_matches(['[', ']']).to_owned();
                let label = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{number}. ")
                    }
                    _ if !option.is_empty() => self.inline(&option, 0) + ": ",
                    _ => String::new(),
                };
                self.item = Some(label);
                if name == "bibitem" { skip_argument(rest) } else { rest }
            }
            "caption" => {
                let after = skip_bracket(after.strip_prefix('*').unwrap_or(after));
                let text = self.inline(argument(after).0, 0);
                self.block(BlockKind::Paragraph, collapse(&text));
                skip_argument(after)
            }
            "title" | "author" if self.blocks.is_empty() => {
                let text = self.inline(argument(skip_bracket(after)).0, 0);
                let kind =
                    if name == "title" { BlockKind::Heading(1) } else { BlockKind::Paragraph };
                self.block(kind, collapse(&text));
                skip_argument(skip_bracket(after))
            }
            "par" | "newpage" | "clearpage" | "maketitle" | "tableofcontents" | "bigskip"
            | "medskip" => {
                self.flush();
                after
            }
            "[" => {
                let (inside, rest) = after.split_once("\\]").unwrap_or((after, ""));
                self.block(BlockKind::Paragraph, collapse(inside));
                rest
            }
            "(" => {
                let (inside, rest) = after.split_once("\\)").unwrap_or((after, ""));
                self.text.push_str(inside);
                rest
            }
            "verb" | "lstinline" => {
                let after = after.strip_prefix('*').unwrap_or(after);
                let Some(mark) = after.chars().next() else { return after };
                let mark_end = if mark == '{' { '}' } else { mark };
                let (code, rest) =
                    after[mark.len_utf8()..].split_once(mark_end).unwrap_or((after, ""));
                self.text.push_str(code);
                rest
            }
            _ => {
                let mut out = String::new();
                let rest = self.inline_command(name, after, &mut out, 0);
                self.text.push_str(&out);
                rest
            }
        }
    }

    /// The text of `source` without commands and groups.
    fn inline(&mut self, source: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = source;
        if depth > MAX_DEPTH {
            return out;
        }
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) = command(rest) {
                rest = self.inline_command(name, after, &mut out, depth);
                continue;
            }
            if c == '$' {
                let (formula, after) = formula(rest);
                out.push_str(formula);
                rest = after;
                continue;
            }
            let (piece, length) = match c {
                '{' | '}' => ("", 1),
                '~' => (" ", 1),
                '`' if rest.starts_with("``") => ("“", 2),
                '\'' if rest.starts_with("''") => ("”", 2),
                '-' if rest.starts_with("---") => ("—", 3),
                '-' if rest.starts_with("--") => ("–", 2),
                c => (&rest[..c.len_utf8()], c.len_utf8()),
            };
            out.push_str(piece);
            rest = &rest[length..];
        }
        out
    }

    fn inline_command<'a>(
        &mut self,
        name: &str,
        after: &'a str,
        out: &mut String,
        depth: usize,
    ) -> &'a str {
        match name {
            "\\" | "newline" | "linebreak" => {
                out.push(' ');
                skip_bracket(after.strip_prefix('*').unwrap_or(after))
            }
            "%" | "&" | "$" | "#" | "_" | "{" | "}" => {
                out.push_str(name);
                after
            }
            " " | "," | ";" | ":" | "quad" | "qquad" | "enspace" | "hfill" | "hspace"
            | "vspace" => {
                out.push(' ');
                if matches!(name, "hspace" | "vspace") { skip_argument(after) } else { after }
            }
            "\"" | "'" | "`" | "^" | "~" | "=" | "." | "c" | "v" | "u" | "H" | "r" | "k" | "d"
            | "b" => {
                let rest = after.trim_start_matches(' ');
                let (letter, rest) = if rest.starts_with('{') {
                    argument(rest)
                } else {
                    rest.split_at(rest.chars().next().map_or(0, char::len_utf8))
                };
                let letter = letter.replace("\\i", "i").replace("\\j", "j");
                out.push_str(&accented(name, &letter));
                rest
            }
            "ss" => push(out, "ß", after),
            "ae" => push(out, "æ", after),
            "AE" => push(out, "Æ", after),
            "oe" => push(out, "œ", after),
            "OE" => push(out, "Œ", after),
            "aa" => push(out, "å", after),
            "AA" => push(out, "Å", after),
            "o" => push(out, "ø", after),
            "O" => push(out, "Ø", after),
            "l" => push(out, "ł", after),
            "L" => push(out, "Ł", after),
            "i" => push(out, "i", after),
            "dots" | "ldots" | "textellipsis" => push(out, "…", after),
            "textendash" => push(out, "–", after),
            "textemdash" => push(out, "—", after),
            "S" => push(out, "§", after),
            "copyright" => push(out, "©", after),
            "euro" => push(out, "€", after),
            "pounds" => push(out, "£", after),
            "LaTeX" | "TeX" => push(out, name, after),
            "textbackslash" => push(out, "\\", after),
            "textasciitilde" => push(out, "~", after),
            "today" => push(out, "", after),
            "footnote" | "thanks" | "footnotetext" => {
                let rest = skip_bracket(after);
                let note = self.inline(argument(rest).0, depth + 1);
                self.footnotes.push(collapse(&note));
                skip_argument(rest)
            }
            "cite" | "citep" | "citet" | "autocite" | "parencite" | "textcite" | "ref"
            | "eqref" | "autoref" | "cref" | "Cref" | "pageref" => {
                let rest = skip_bracket(skip_bracket(after.strip_prefix('*').unwrap_or(after)));
                out.push('[');
                out.push_str(argument(rest).0);
                out.push(']');
                skip_argument(rest)
            }
            // What has nothing to show.
            "label" | "bibliographystyle" | "bibliography" | "includegraphics" | "usepackage"
            | "input" | "include" | "pagestyle" | "thispagestyle" | "setlength" | "vskip"
            | "hskip" | "color" | "setcounter" | "addcontentsline" | "documentclass"
            | "newcommand" | "renewcommand" | "graphicspath" | "rule" | "pagenumbering"
            | "hypersetup" | "addtolength" | "definecolor" | "index" | "nocite" | "phantom"
            | "hphantom" | "vphantom" => {
                let mut rest = skip_bracket(after.strip_prefix('*').unwrap_or(after));
                let count = match name {
                    "setlength" | "setcounter" | "newcommand" | "renewcommand" | "rule"
                    | "addtolength" => 2,
                    "addcontentsline" | "definecolor" => 3,
                    "vskip" | "hskip" => 0,
                    _ => 1,
                };
                for _ in 0..count {
                    rest = skip_argument(skip_bracket(rest));
                }
                rest
            }
            "href" | "textcolor" | "colorbox" | "multicolumn" | "multirow" | "fcolorbox"
            | "parbox" | "raisebox" | "resizebox" | "scalebox" => {
                let count =
                    if matches!(name, "multicolumn" | "multirow" | "resizebox") { 2 } else { 1 };
                let mut rest = skip_bracket(after);
                for _ in 0..count {
                    rest = skip_argument(rest);
                }
                let shown = self.inline(argument(rest).0, depth + 1);
                out.push_str(&shown);
                skip_argument(rest)
            }
            // Any other command shows its arguments, each of which is a group that follows.
            _ => {
                let rest = skip_bracket(after.strip_prefix('*').unwrap_or(after));
                if rest.starts_with('{') {
                    let shown = self.inline(argument(rest).0, depth + 1);
                    out.push_str(&shown);
                    return skip_argument(rest);
                }
                // A command ends at its blank.
                after.strip_prefix(' ').unwrap_or(after)
            }
        }
    }
}

fn push<'a>(out: &mut String, text: &str, after: &'a str) -> &'a str {
    out.push_str(text);
    let after = after.strip_prefix("{}").unwrap_or(after);
    after.strip_prefix(' ').unwrap_or(after)
}

/// A letter with an accent, as one character where there is one.
fn accented(accent: &str, letter: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let mark = match accent {
        "\"" => '\u{308}',
        "'" => '\u{301}',
        "`" => '\u{300}',
        "^" => '\u{302}',
        "~" => '\u{303}',
        "=" => '\u{304}',
        "." => '\u{307}',
        "c" => '\u{327}',
        "v" => '\u{30C}',
        "u" => '\u{306}',
        "H" => '\u{30B}',
        "r" => '\u{30A}',
        "k" => '\u{328}',
        "d" => '\u{323}',
        _ => '\u{331}',
    };
    let mut chars = letter.chars();
    let first = chars.next().map(|c| [c, mark].iter().collect::<String>()).unwrap_or_default();
    (first + chars.as_str()).nfc().collect()
}

/// The name of the command that `source` begins with, and what stands behind it.
fn command(source: &str) -> Option<(&str, &str)> {
    let rest = source.strip_prefix('\\')?;
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let length = if letters > 0 { letters } else { rest.chars().next()?.len_utf8() };
    Some(rest.split_at(length))
}

/// A formula between dollars, without them, and what stands behind it.
fn formula(source: &str) -> (&str, &str) {
    let mark = if source.starts_with("$$") { "$$" } else { "$" };
    let inside = &source[mark.len()..];
    inside.split_once(mark).unwrap_or((inside, ""))
}

/// How long the group in braces is that `source` begins with, blanks before it included.
fn group_end(source: &str, open: char, close: char) -> Option<(usize, usize)> {
    let blanks = source.len() - source.trim_start_matches([' ', '\n', '\t']).len();
    source[blanks..].starts_with(open).then_some(())?;
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, c) in source[blanks..].char_indices() {
        if c == open && !escaped {
            depth += 1;
        } else if c == close && !escaped {
            depth -= 1;
            if depth == 0 {
                return Some((blanks + 1, blanks + at));
            }
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The group in braces that `source` begins with, without them, and what stands behind it.
fn argument(source: &str) -> (&str, &str) {
    match group_end(source, '{', '}') {
        Some((start, end)) => (&source[start..end], &source[end + 1..]),
        None => ("", source),
    }
}

fn skip_argument(source: &str) -> &str {
    group_end(source, '{', '}').map_or(source, |(_, end)| &source[end + 1..])
}

fn skip_bracket(source: &str) -> &str {
    // A bracket behind a line break is text.
    if source.starts_with('[') {
        group_end(source, '[', ']').map_or(source, |(_, end)| &source[end + 1..])
    } else {
        source
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn latex_is_read_as_it_is_set() {
        let cases = [
            (
                "\\documentclass{article}\n\\title{On \\emph{tea}}\\author{Ana}\n\\begin{document}\n\\maketitle\n\\section{Method}\\label{s}\n\
                 We \\textbf{brew}~it -- see \\cite{x}.\\footnote{Hot.} 5\\% off % not\n\nNew ``par''.\n\\subsection*{Deep}\nx\n\\end{document} gone",
                "# On tea\n\n¶ Ana\n\n## Method\n\n¶ We brew it – see [x]. 5% off\n\n¶ [Hot.]\n\n¶ New “par”.\n\n### Deep\n\n¶ x",
            ),
            (
                "\\begin{itemize}\\item one \\item two\\begin{enumerate}\\item a\\item b\\end{enumerate}\\end{itemize}after",
                "- one\n\n- two\n\n- 1. a\n\n- 2. b\n\n¶ after",
            ),
            (
                "\\begin{table}[h]\\caption{Prices}\\begin{tabular}{l|r}\\hline a & b \\\\ \\hline 1 \\& 2 & \\textit{x} \\\\\\end{tabular}\\end{table}",
                "¶ Prices\n\n▦ a | b\n1 & 2 | x",
            ),
            (
                "\\begin{verbatim}\n x_1 % y\n\\end{verbatim}Let $a^2$ be \\[ b = \\frac{1}{2} \\]",
                "⌘  x_1\n\n¶ Let a^2 be\n\n¶ b = \\frac{1}{2}",
            ),
            (
                "Erd\\H{o}s, M\\\"uller, \\'etat, Stra\\ss e, \\href{http://x.y}{link}",
                "¶ Erdős, Müller, état, Straße, link",
            ),
        ];
        for (source, expected) in cases {
            let extraction = read(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
        }
    }

    #[test]
    fn commands_of_the_document_are_what_they_stand_for() {
        let cases = [
            (
                "\\newcommand{\\firm}{Thorne \\& Co.}The \\firm{} pays \\firm.",
                "¶ The Thorne & Co. pays Thorne & Co..",
            ),
            ("\\newcommand\\x[1]{<#1>}\\x{a} \\x b \\x\\ae", "¶ <a> <b> <æ>"),
            (
                "\\newcommand{\\by}[2][nobody]{#2 by #1}\\by{tea}, \\by[Ana]{milk}",
                "¶ tea by nobody, milk by Ana",
            ),
            (
                "\\def\\R{\\mathbb{R}}\\def\\twice#1{#1#1}\\twice{ab} in $\\R^2$",
                "¶ abab in \\mathbb{R}^2",
            ),
            ("\\newcommand{\\inner}{deep}\\newcommand{\\outer}{so \\inner}\\outer", "¶ so deep"),
            ("\\newcommand{\\part}[1]{\\section{#1}}\\part{Tea}Hot.", "# Tea\n\n¶ Hot."),
            (
                "\\newcommand{\\x}{y}\\begin{verbatim}\\x\\end{verbatim}\\verb|\\x| \\x",
                "⌘ \\x\n\n¶ \\x y",
            ),
            ("\\DeclareMathOperator{\\rank}{rank}$\\rank A$", "¶ rank A"),
            ("\\def\\until#1.{#1}\\newcommand{\\open", "¶ #1.#1"),
        ];
        for (source, expected) in cases {
            let extraction = read(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
        }
    }

    #[test]
    fn commands_that_multiply_end() {
        let circle = "\\newcommand{\\a}{x\\a}\\a".to_owned();
        let names: Vec<char> = ('a'..='z').collect();
        let mut laughs = "\\newcommand{\\a}{ha}".to_owned();
        for pair in names.windows(2) {
            laughs += &format!(
                "\\newcommand{{\\{}}}{{{}}}",
                pair[1],
                format!("\\{} ", pair[0]).repeat(9)
            );
        }
        for source in [circle, laughs + "\\z"] {
            let extraction = read(source.as_bytes(), Composer::default());
            assert!(extraction.is_ok_and(|read| read.text.len() < 1 << 20), "{source:.40}");
        }
    }

    #[test]
    fn what_is_not_closed_does_no_harm() {
        for source in [
            "\\section{open",
            "a \\textbf{b {c",
            "$x",
            "\\begin{tabular}{l",
            "\\",
            "\\verb|x",
            "{{{{",
            "}}} x",
        ] {
            let _ = read(source.as_bytes(), Composer::default());
        }
        let deep = "\\textbf{".repeat(5_000) + "x";
        let _ = read(deep.as_bytes(), Composer::default());
    }
}
