import { describe, expect, it } from 'vitest';
import { excerpt, flowing, queryTerms } from '../../src/lib/text/terms';

describe('the words of a query', () => {
  it.each([
    ['Water, boiler!', ['boiler', 'water']],
    ['is it in § 3', ['is', 'it', 'in', '3']],
    ['how to end a lease', ['lease', 'how', 'end']],
    ['lease lease', ['lease']],
    ['.*', []],
    ['lamp type:pdf in:"old letters" after:2024', ['lamp']],
    ['lamp lang:de language:fr tag:"tax 2023" tag:税务', ['lamp']],
    ['at 10:30', ['at', '10', '30']],
  ])('%j → %j', (query, terms) => {
    expect(queryTerms(query)).toEqual(terms);
  });

  it('are words in Chinese as well', () => {
    expect(queryTerms('搬迁的预算')).toEqual(['搬迁', '预算']);
  });
});

it.each([
  ['lines of\na paragraph\n\nand another', 'lines of a paragraph and another'],
  ['Prices\nRoom | Rent\n  1 | 300\n\nAll in euros', 'Prices\nRoom | Rent\n1 | 300\nAll in euros'],
  ['  ', ''],
])('%j flows as %j', (text, expected) => {
  expect(flowing(text)).toBe(expected);
});

describe('an excerpt', () => {
  const marked = (text: string, query: string, length = 80): string =>
    excerpt(text, queryTerms(query), length)
      .map((span) => (span.marked ? `[${span.text}]` : span.text))
      .join('');

  it('marks the words, whatever their case', () => {
    expect(marked('Water in the WATER tap', 'water')).toBe('[Water] in the [WATER] tap');
  });

  it('shows what is around the first of them', () => {
    const text = `${'before '.repeat(40)}needle ${'after '.repeat(40)}`;
    const result = marked(text, 'needle', 60);
    expect(result).toMatch(/^… before .*\[needle\] after .* …$/);
  });

  it('is the beginning where none of them is', () => {
    expect(marked('x'.repeat(200), 'needle', 20)).toBe(`${'x'.repeat(20)} …`);
  });

  it('does not split a character', () => {
    expect(marked('🍅'.repeat(50), 'needle', 21)).toBe(`${'🍅'.repeat(10)} …`);
  });
});
