import { describe, expect, it } from 'vitest';
import { Find } from '../../src/lib/stores/find.svelte';
import { findWords, MOST_FOUND } from '../../src/lib/text/find';
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

/** What is found, as the document's own words. */
function found(texts: string[], words: string): string[] {
  const all = [...texts.join('\n\n')];
  return findWords(blocks(...texts), words).map(({ start, end }) => all.slice(start, end).join(''));
}

describe('words in a document', () => {
  it.each([
    ['whatever their case', ['The rent. THE RENT.'], 'the rent', ['The rent', 'THE RENT']],
    ['across lines and spaces', ['the\nmonthly  rent'], 'the monthly rent', ['the\nmonthly  rent']],
    ['after characters of two units', ['🍅🍅 Tomatoes 🍅', '𠮷田物流'], '田物', ['田物']],
    ['to the letter, as they are typed', ['1.5 bar (cold)', '125 bar'], '1.5 bar (', ['1.5 bar (']],
    ['in every block', ['one', 'two one'], 'one', ['one', 'one']],
    ['not at all where nothing is typed', ['one two'], '  ', []],
  ])('are found %s', (_, texts, words, expected) => {
    expect(found(texts, words)).toEqual(expected);
  });

  it('are no more than one would step through', () => {
    expect(found(['a '.repeat(MOST_FOUND + 5)], 'a')).toHaveLength(MOST_FOUND);
  });
});

describe('stepping through them', () => {
  it('goes round, and begins anew with other words', () => {
    const find = new Find(() => blocks('a b a b a'));
    find.isOpen = true;
    find.words = 'a';
    expect(find.current).toEqual({ start: 0, end: 1 });
    find.step(-1);
    expect(find.current).toEqual({ start: 8, end: 9 });
    find.step(1);
    expect(find.index).toBe(0);
    find.step(1);
    find.words = 'b';
    expect(find.current).toEqual({ start: 2, end: 3 });
    find.close();
    expect(find.found).toEqual([]);
  });
});
