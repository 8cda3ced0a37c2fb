import { describe, expect, it } from 'vitest';
import { codePointLength, utf16Index } from '../../src/lib/text/offsets';

describe('code points and UTF-16 units', () => {
  it.each([
    ['', 0],
    ['plain', 5],
    ['搬迁定于', 4],
    ['𠮷田', 2],
    ['🍅🍅 tomatoes', 11],
    ['👩‍🌾', 3],
    // Halves of pairs on their own count as one each.
    ['a\ud83cb', 3],
    ['\udf45\ud83c', 2],
  ])('%j has %i code points', (text, length) => {
    expect(codePointLength(text)).toBe(length);
    expect(codePointLength(text)).toBe([...text].length);
  });

  it.each([
    ['plain', 2, 2],
    ['𠮷田物流', 1, 2],
    ['𠮷田物流', 3, 4],
    ['🍅🍅 tomatoes', 3, 5],
    ['a🍅', 9, 3],
    ['a🍅', -1, 0],
  ])('in %j, code point %i is at unit %i', (text, position, index) => {
    expect(utf16Index(text, position)).toBe(index);
  });
});
