import type { AnswerSentence } from '../types';

/** A run of an answer's text, or one `[n]`. */
export interface Span {
  text: string;
  bold: boolean;
  italic: boolean;
  code: boolean;
  /** The source's number, where this is a marker. */
  citation: number | null;
  /** It is a formula in the notation of TeX. */
  formula: boolean;
  /** Index of the sentence it belongs to, where the sentence is marked. */
  sentence: number | null;
}

/** What an answer is made of: the only markup that a model's text can become. */
export type AnswerBlock =
  | { type: 'paragraph'; spans: Span[] }
  | { type: 'list'; ordered: boolean; start: number; items: Span[][] }
  | { type: 'table'; header: Span[][]; rows: Span[][][] }
  | { type: 'code'; text: string }
  | { type: 'formula'; text: string };

/** A part of the answer's text, in UTF-16 units. */
interface Stretch {
  from: number;
  to: number;
}

interface Marked extends Stretch {
  sentence: number;
}

const ITEM = /^\s*(?:[-*•]|(\d{1,3})[.)])\s+/;
const RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
/** `$` begins a formula only where what follows looks like one, since it is a currency's sign too. */
const INLINE =
  /\\\((.+?)\\\)|\$\$(.+?)\$\$|\$(?=\S)([A-Za-z]|[^$\n]*?[\\^_=][^$\n]*?)(?<=\S)\$(?!\d)|\*\*(?=\S)(.+?)(?:\*\*|$)|`([^`]+)`|\[(\d+(?:\s*,\s*\d+)*)\]|(?<![*\w])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![*\w])/g;

/** A line of the answer with its place. */
interface Line extends Stretch {
  text: string;
}

/** Reads paragraphs, lists, tables, bold, italic, code and `[n]`; everything else stays text. */
export function parseAnswer(
  text: string,
  sentences: readonly AnswerSentence[] = [],
): AnswerBlock[] {
  const marks = locateDoubtful(text, sentences);
  const lines = linesOf(text);
  const blocks: AnswerBlock[] = [];
  let paragraph: Span[] | null = null;
  let fence: string[] | null = null;
  let table: Span[][][] | null = null;
  let formula: { lines: string[]; end: string } | null = null;
  const cells = (line: Line): Span[][] =>
    cellsOf(line).map((cell) => inline(text, cell, marks, PLAIN));
  for (const [index, line] of lines.entries()) {
    const isRow = line.text.includes('|');
    if (!isRow || fence !== null) table = null;
    const trimmed = line.text.trim();
    if (formula !== null) {
      const isLast = trimmed.endsWith(formula.end);
      formula.lines.push(isLast ? trimmed.slice(0, -2) : trimmed);
      if (!isLast) continue;
      blocks.push({ type: 'formula', text: formula.lines.join('\n').trim() });
      formula = null;
    } else if (fence === null && /^(\\\[|\$\$)/.test(trimmed)) {
      const end = trimmed.startsWith('$') ? '$$' : '\\]';
      const text = trimmed.slice(2);
      paragraph = null;
      if (text.endsWith(end)) blocks.push({ type: 'formula', text: text.slice(0, -2).trim() });
      else formula = { lines: [text], end };
    } else if (line.text.trimStart().startsWith('```')) {
      if (fence !== null) blocks.push({ type: 'code', text: fence.join('\n') });
      fence = fence === null ? [] : null;
      paragraph = null;
    } else if (fence !== null) {
      fence.push(line.text);
    } else if (table !== null) {
      if (!RULE.test(line.text)) table.push(cells(line));
    } else if (isRow && RULE.test(lines[index + 1]?.text ?? '')) {
      table = [];
      blocks.push({ type: 'table', header: cells(line), rows: table });
      paragraph = null;
    } else if (line.text.trim() === '') {
      paragraph = null;
    } else {
      const item = ITEM.exec(line.text);
      const heading = /^#{1,6}\s+/.exec(line.text);
      const skip = (item ?? heading)?.[0].length ?? 0;
      const style = { ...PLAIN, bold: heading !== null };
      const spans = inline(text, { from: line.from + skip, to: line.to }, marks, style);
      if (item !== null) {
        listFor(blocks, item[1]).push(spans);
        paragraph = null;
      } else if (heading === null && paragraph !== null) {
        // Lines of one paragraph flow together.
        paragraph.push(plain(' '), ...spans);
      } else {
        blocks.push({ type: 'paragraph', spans });
        paragraph = heading === null ? spans : null;
      }
    }
  }
  if (fence !== null) blocks.push({ type: 'code', text: fence.join('\n') });
  if (formula !== null) blocks.push({ type: 'formula', text: formula.lines.join('\n').trim() });
  return blocks;
}

function linesOf(text: string): Line[] {
  let from = 0;
  return text.split('\n').map((line) => {
    const place = { text: line, from, to: from + line.length };
    from += line.length + 1;
    return place;
  });
}

/** The cells of a table's row, without the white space around them. */
function cellsOf({ text, from }: Line): Stretch[] {
  const outer = /^\s*\|?/.exec(text)?.[0].length ?? 0;
  const inner = text.slice(outer).replace(/\|?\s*$/, '');
  let at = from + outer;
  return inner.split('|').map((cell) => {
    const start = at + cell.length - cell.trimStart().length;
    at += cell.length + 1;
    return { from: start, to: start + cell.trim().length };
  });
}

/** The items of the list that a new item continues, or of a new one. */
function listFor(blocks: AnswerBlock[], number: string | undefined): Span[][] {
  const ordered = number !== undefined;
  const last = blocks.at(-1);
  if (last?.type === 'list' && last.ordered === ordered) return last.items;
  const list = { type: 'list' as const, ordered, start: Number(number ?? 1), items: [] };
  blocks.push(list);
  return list.items;
}

function plain(text: string): Span {
  return {
    text,
    bold: false,
    italic: false,
    code: false,
    citation: null,
    formula: false,
    sentence: null,
  };
}

type Style = Pick<Span, 'bold' | 'italic' | 'code'>;

const PLAIN: Style = { bold: false, italic: false, code: false };

function inline(text: string, range: Stretch, marks: readonly Marked[], style: Style): Span[] {
  const spans: Span[] = [];
  let done = range.from;
  const flush = (to: number): void => {
    spans.push(...splitAtMarks(text, { from: done, to }, marks, style));
  };
  for (const match of text.slice(range.from, range.to).matchAll(INLINE)) {
    const at = range.from + match.index;
    const [whole, round, double, single, strong, code, numbers, emphasis] = match;
    const formula = round ?? double ?? single;
    flush(at);
    done = at + whole.length;
    if (formula !== undefined) {
      spans.push({ ...plain(formula), formula: true });
    } else if (strong !== undefined) {
      const inner = { from: at + 2, to: at + 2 + strong.length };
      spans.push(...inline(text, inner, marks, { ...style, bold: true }));
    } else if (emphasis !== undefined) {
      const inner = { from: at + 1, to: at + 1 + emphasis.length };
      spans.push(...inline(text, inner, marks, { ...style, italic: true }));
    } else if (code !== undefined) {
      const inner = { from: at + 1, to: at + 1 + code.length };
      spans.push(...splitAtMarks(text, inner, marks, { ...style, code: true }));
    } else {
      for (const number of numbers?.split(',') ?? []) {
        spans.push({ ...plain(`[${number.trim()}]`), citation: Number(number) });
      }
    }
  }
  flush(range.to);
  return spans;
}

function splitAtMarks(
  text: string,
  { from, to }: Stretch,
  marks: readonly Marked[],
  style: Style,
): Span[] {
  const spans: Span[] = [];
  const push = (start: number, end: number, sentence: number | null): void => {
    if (start < end) spans.push({ ...plain(text.slice(start, end)), ...style, sentence });
  };
  let at = from;
  for (const mark of marks) {
    if (mark.to <= at || mark.from >= to) continue;
    push(at, Math.max(at, mark.from), null);
    push(Math.max(at, mark.from), Math.min(to, mark.to), mark.sentence);
    at = Math.min(to, mark.to);
  }
  push(at, to, null);
  return spans;
}

/**
 * Finds the sentences that their sources support in part or not at all. Their
 * text has lost its markers and perhaps its markup, so letters and digits
 * outside markers are compared, in order.
 */
export function locateDoubtful(text: string, sentences: readonly AnswerSentence[]): Marked[] {
  const places: number[] = [];
  let letters = '';
  for (const match of text.matchAll(/\[\d+(?:\s*,\s*\d+)*\]|[\p{L}\p{N}]/gu)) {
    if (match[0].startsWith('[')) continue;
    for (let i = 0; i < match[0].length; i++) places.push(match.index + i);
    letters += match[0];
  }
  const marks: Marked[] = [];
  let searched = 0;
  sentences.forEach(({ text: sentence, support }, index) => {
    const wanted = sentence.replace(/[^\p{L}\p{N}]/gu, '');
    const found = wanted === '' ? -1 : letters.indexOf(wanted, searched);
    if (found < 0) return;
    searched = found + wanted.length;
    if (support !== 'partial' && support !== 'unsupported') return;
    const from = places[found] ?? 0;
    const last = (places[searched - 1] ?? 0) + 1;
    const punctuation = /^[.!?…。！？”’"')）」]*/.exec(text.slice(last))?.[0].length ?? 0;
    marks.push({ from, to: last + punctuation, sentence: index });
  });
  return marks;
}

/** Neighbouring spans that are drawn as one: a marked sentence, markers, or plain text. */
export interface Run {
  kind: 'text' | 'sentence' | 'markers';
  spans: Span[];
}

/** Groups spans; markers take the punctuation after them along, which must not begin a line. */
export function toRuns(spans: readonly Span[]): Run[] {
  const runs: Run[] = [];
  spans.forEach((span, index) => {
    const last = runs.at(-1);
    if (span.citation !== null) {
      if (last?.kind === 'markers') last.spans.push(span);
      else runs.push({ kind: 'markers', spans: [span] });
      return;
    }
    let { text } = span;
    const punctuation = last?.kind === 'markers' ? /^\p{P}+/u.exec(text)?.[0] : undefined;
    if (punctuation !== undefined) {
      last?.spans.push({ ...span, text: punctuation });
      text = text.slice(punctuation.length);
    }
    // A narrow space before a marker, whatever the model wrote there.
    if (spans[index + 1]?.citation != null) text = text.replace(/\s*$/, '\u202f');
    if (text === '') return;
    const kind = span.sentence === null ? 'text' : 'sentence';
    const continues = last?.kind === kind && last.spans.at(-1)?.sentence === span.sentence;
    if (continues) last.spans.push({ ...span, text });
    else runs.push({ kind, spans: [{ ...span, text }] });
  });
  return runs;
}
