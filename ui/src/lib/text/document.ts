import type { SourceBlock } from '../types';
import type { Colour, ColouredPart } from './colour';
import { codePointLength, utf16Index } from './offsets';

/** A run of characters, code points from `start` up to `end`. */
export interface Range {
  start: number;
  end: number;
}

/** A run of characters that is marked: what is cited, what is looked for, and of that what is shown. */
export interface Mark extends Range {
  kind: 'cited' | 'found' | 'current';
}

/** A block of a document, or a part of one that is too long to be drawn at once. */
export interface Piece extends Range {
  kind: SourceBlock['kind'];
  text: string;
  /** It goes on where the piece before it ended. */
  continues: boolean;
}

/** Neighbouring pieces that the browser draws, or skips, together. */
export interface Section {
  page: number | null;
  /** The page begins here. */
  opensPage: boolean;
  pieces: Piece[];
}

const LONGEST_PIECE = 4_000;
const LONGEST_SECTION = 6_000;

/** Cuts a document so that its drawing can be skipped where it is out of sight. */
export function toSections(blocks: readonly SourceBlock[]): Section[] {
  const sections: Section[] = [];
  let size = 0;
  for (const block of blocks) {
    for (const piece of cut(block)) {
      const last = sections.at(-1);
      const opensPage = last === undefined || last.page !== block.page;
      if (opensPage || size > LONGEST_SECTION) {
        sections.push({
          page: block.page,
          opensPage: opensPage && block.page !== null,
          pieces: [],
        });
        size = 0;
      }
      sections.at(-1)?.pieces.push(piece);
      size += piece.text.length;
    }
  }
  return sections;
}

function cut(block: SourceBlock): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  let start = block.start;
  do {
    const to = cutIndex(block.text, from);
    const text = block.text.slice(from, to);
    const end = start + codePointLength(text);
    pieces.push({ kind: block.kind, text, start, end, continues: from > 0 });
    from = to;
    start = end;
  } while (from < block.text.length);
  return pieces;
}

/** Just after a line break or a space where there is one, and never within a character. */
function cutIndex(text: string, from: number): number {
  const limit = from + LONGEST_PIECE;
  if (limit >= text.length) return text.length;
  for (const separator of ['\n', ' ']) {
    const found = text.lastIndexOf(separator, limit);
    if (found > from) return found + 1;
  }
  const unit = text.charCodeAt(limit);
  return unit >= 0xdc00 && unit <= 0xdfff ? limit + 1 : limit;
}

/** The part of a piece that a range covers, in UTF-16 units of its text. */
export function overlap(piece: Piece, range: Range | null): { from: number; to: number } | null {
  if (range === null || range.end <= piece.start || range.start >= piece.end) return null;
  const from = utf16Index(piece.text, range.start - piece.start);
  const to = utf16Index(piece.text, range.end - piece.start);
  return from < to ? { from, to } : null;
}

/** A part of a text, marked or not. */
export interface MarkedSpan {
  text: string;
  kind: Mark['kind'] | null;
  colour: Colour | null;
}

/** A part of a piece's text that is marked, in UTF-16 units. */
export interface MarkedPart {
  from: number;
  to: number;
  kind: Mark['kind'];
}

/** The marked parts of a piece. */
export function marksIn(piece: Piece, marks: readonly Mark[]): MarkedPart[] {
  return marks.flatMap((mark) => {
    const part = overlap(piece, mark);
    return part === null ? [] : [{ ...part, kind: mark.kind }];
  });
}

const STRENGTH = { cited: 0, found: 1, current: 2 } as const;

/**
 * Cuts `text`, which begins at `from` of the text that the parts count in, where marks begin and
 * end. Where they overlap, what is looked for is seen.
 */
export function markedSpans(
  text: string,
  parts: readonly MarkedPart[],
  from = 0,
  colours: readonly ColouredPart[] = [],
): MarkedSpan[] {
  const cuts = new Set([0, text.length]);
  for (const part of parts) {
    for (const cut of [part.from - from, part.to - from]) {
      if (cut > 0 && cut < text.length) cuts.add(cut);
    }
  }
  for (const part of colours) {
    cuts.add(part.from);
    cuts.add(part.to);
  }
  let nextColour = 0;
  const places = [...cuts].sort((a, b) => a - b);
  const spans: MarkedSpan[] = [];
  for (const [index, start] of places.slice(0, -1).entries()) {
    const end = places[index + 1] ?? text.length;
    const kind = parts
      .filter((part) => part.from - from <= start && part.to - from >= end)
      .map(({ kind }) => kind)
      .reduce<Mark['kind'] | null>(
        (best, kind) => (best === null || STRENGTH[kind] > STRENGTH[best] ? kind : best),
        null,
      );
    // Both are in order.
    while ((colours[nextColour]?.to ?? Infinity) <= start) nextColour++;
    const coloured = colours[nextColour];
    const colour = coloured !== undefined && coloured.from <= start ? coloured.colour : null;
    spans.push({ text: text.slice(start, end), kind, colour });
  }
  return spans;
}

/**
 * Where a quote stands: at the place that was kept, or, where the document has
 * changed since, at the first place that has the same words, or nowhere.
 */
export function locateQuote(
  blocks: readonly SourceBlock[],
  range: Range,
  quote: string,
): Range | null {
  const kept = blocks
    .map((block) => {
      const from = utf16Index(block.text, range.start - block.start);
      const to = utf16Index(block.text, range.end - block.start);
      return block.text.slice(from, to);
    })
    .join('');
  if (squeeze(kept) === squeeze(quote)) return range;
  for (const block of blocks) {
    const found = block.text.indexOf(quote);
    if (found >= 0) {
      const start = block.start + codePointLength(block.text.slice(0, found));
      return { start, end: start + codePointLength(quote) };
    }
  }
  return null;
}

/** Blocks leave out the white space between them. */
function squeeze(text: string): string {
  return text.replace(/\s+/g, '');
}

/** A table's cells, each with its place in the table's text in UTF-16 units. */
export function tableRows(text: string): { text: string; from: number }[][] {
  let from = 0;
  return text.split('\n').flatMap((line) => {
    let at = from;
    from += line.length + 1;
    if (line === '') return [];
    const cells = line.split(' | ').map((cell) => {
      const place = { text: cell, from: at };
      at += cell.length + 3;
      return place;
    });
    return [cells];
  });
}

/** A part of a text with its place in it, in UTF-16 units. */
export interface Placed {
  text: string;
  from: number;
}

/** The headers of a letter, where every line of a text is one; `null` for other texts. */
export function headerLines(text: string): { name: Placed; value: Placed }[] | null {
  const headers: { name: Placed; value: Placed }[] = [];
  let from = 0;
  for (const line of text.split('\n')) {
    const name = /^(From|To|Cc|Bcc|Date|Subject): /.exec(line)?.[1];
    if (name === undefined) return null;
    const skipped = name.length + 2;
    headers.push({
      name: { text: name, from },
      value: { text: line.slice(skipped), from: from + skipped },
    });
    from += line.length + 1;
  }
  return headers;
}
