import { describe, expect, it } from 'vitest';
import {
  headerLines,
  locateQuote,
  markedSpans,
  overlap,
  tableRows,
  toSections,
} from '../../src/lib/text/document';
import { codePointLength } from '../../src/lib/text/offsets';
import type { SourceBlock } from '../../src/lib/types';

function blocks(...texts: string[]): SourceBlock[] {
  let start = 0;
  return texts.map((text) => {
    const block: SourceBlock = { kind: 'paragraph', page: null, start, text };
    start += codePointLength(text) + 2;
    return block;
  });
}

/** The text that a range of code points covers, piece by piece. */
function covered(source: SourceBlock[], start: number, end: number): string[] {
  return toSections(source)
    .flatMap(({ pieces }) => pieces)
    .flatMap((piece) => {
      const part = overlap(piece, { start, end });
      return part ? [piece.text.slice(part.from, part.to)] : [];
    });
}

describe('the part of a document that a range covers', () => {
  it('counts characters outside the basic plane once', () => {
    expect(covered(blocks('🍅🍅 Tomatoes: sown in March', '𠮷田物流负责运输'), 3, 11)).toEqual([
      'Tomatoes',
    ]);
    expect(covered(blocks('🍅', '𠮷田物流负责运输'), 4, 7)).toEqual(['田物流']);
  });

  it('goes across blocks', () => {
    expect(covered(blocks('one two', 'three'), 4, 12)).toEqual(['two', 'thr']);
  });

  it('is nothing outside the text', () => {
    expect(covered(blocks('one'), 3, 9)).toEqual([]);
    expect(covered(blocks('one'), 1, 1)).toEqual([]);
  });

  it('is found in long blocks, which are cut without losing or splitting a character', () => {
    const text = '🍅'.repeat(9_001) + 'needle' + '🥕'.repeat(500);
    const sections = toSections(blocks(text));
    expect(sections.flatMap(({ pieces }) => pieces.map((piece) => piece.text)).join('')).toBe(text);
    expect(covered(blocks(text), 9_001, 9_007)).toEqual(['needle']);
    expect(covered(blocks(text), 0, 9_001).join('')).toBe('🍅'.repeat(9_001));
  });
});

describe('sections', () => {
  it('begin with their page', () => {
    const source = blocks('one', 'two', 'three').map((block, n) => ({
      ...block,
      page: n < 2 ? 1 : 2,
    }));
    expect(toSections(source).map(({ page, opensPage }) => [page, opensPage])).toEqual([
      [1, true],
      [2, true],
    ]);
  });

  it('stay small, so that a large document is drawn in parts', () => {
    const sections = toSections(blocks(...Array.from({ length: 100 }, () => 'x'.repeat(1_000))));
    expect(sections.length).toBeGreaterThan(10);
    expect(sections.filter(({ opensPage }) => opensPage)).toEqual([]);
  });
});

describe('a quote', () => {
  const source = blocks('🍅 The rent is due', 'on the third day.');

  it.each([
    ['stands where it was', { start: 6, end: 10 }, 'rent', { start: 6, end: 10 }],
    [
      'may cross the space between blocks',
      { start: 14, end: 25 },
      'due\n\non the',
      { start: 14, end: 25 },
    ],
    [
      'is looked for where the document has changed',
      { start: 0, end: 4 },
      'rent',
      { start: 6, end: 10 },
    ],
    ['may be gone', { start: 0, end: 4 }, 'deposit', null],
  ])('%s', (_, range, quote, expected) => {
    expect(locateQuote(source, range, quote)).toEqual(expected);
  });
});

it('keeps the places of table cells', () => {
  const text = 'Code | Meaning\nF.22 | Too low\n';
  const rows = tableRows(text);
  expect(rows.map((row) => row.map((cell) => cell.text))).toEqual([
    ['Code', 'Meaning'],
    ['F.22', 'Too low'],
  ]);
  for (const cell of rows.flat()) {
    expect(text.slice(cell.from, cell.from + cell.text.length)).toBe(cell.text);
  }
});

describe('the marks of a text', () => {
  it.each([
    ['nothing', [], [['one two', null]]],
    [
      'one',
      [{ from: 4, to: 7, kind: 'cited' }],
      [
        ['one ', null],
        ['two', 'cited'],
      ],
    ],
    [
      'one inside another',
      [
        { from: 0, to: 7, kind: 'cited' },
        { from: 2, to: 5, kind: 'current' },
      ],
      [
        ['on', 'cited'],
        ['e t', 'current'],
        ['wo', 'cited'],
      ],
    ],
  ] as const)('cut it where they begin and end: %s', (_, marks, expected) => {
    const spans = markedSpans('one two', marks);
    expect(spans.map(({ text, kind }) => [text, kind])).toEqual(expected);
  });

  it('count from where the text begins', () => {
    expect(markedSpans('two', [{ from: 0, to: 5, kind: 'found' }], 4)).toEqual([
      { text: 't', kind: 'found', colour: null },
      { text: 'wo', kind: null, colour: null },
    ]);
  });

  it('keep the colours of code', () => {
    const colours = [
      { from: 0, to: 2, colour: 'keyword' as const },
      { from: 3, to: 6, colour: 'name' as const },
    ];
    expect(markedSpans('fn two', [{ from: 1, to: 4, kind: 'cited' }], 0, colours)).toEqual([
      { text: 'f', kind: null, colour: 'keyword' },
      { text: 'n', kind: 'cited', colour: 'keyword' },
      { text: ' ', kind: 'cited', colour: null },
      { text: 't', kind: 'cited', colour: 'name' },
      { text: 'wo', kind: null, colour: 'name' },
    ]);
  });
});

describe('the headers of a letter', () => {
  it('are told from its words', () => {
    expect(headerLines('From: Ana\nSubject: Re: tea')).toEqual([
      { name: { text: 'From', from: 0 }, value: { text: 'Ana', from: 6 } },
      { name: { text: 'Subject', from: 10 }, value: { text: 'Re: tea', from: 19 } },
    ]);
    expect(headerLines('From: Ana\nwho wrote it')).toBe(null);
    expect(headerLines('Dear Ana')).toBe(null);
  });
});
