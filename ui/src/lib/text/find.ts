import type { SourceBlock } from '../types';
import type { Range } from './document';
import { codePointLength } from './offsets';

/** More places than this are not looked for: nobody steps through them. */
export const MOST_FOUND = 2_000;

/**
 * Where words stand in a document, in order: whatever their case, and whatever white space is
 * between them.
 */
export function findWords(blocks: readonly SourceBlock[], words: string): Range[] {
  const parts = words
    .trim()
    .split(/\s+/)
    .filter((part) => part !== '');
  if (parts.length === 0) return [];
  const escaped = parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  const pattern = new RegExp(escaped.join('\\s+'), 'giu');
  const found: Range[] = [];
  for (const block of blocks) {
    let counted = 0;
    let start = block.start;
    for (const match of block.text.matchAll(pattern)) {
      start += codePointLength(block.text.slice(counted, match.index));
      counted = match.index;
      found.push({ start, end: start + codePointLength(match[0]) });
      if (found.length === MOST_FOUND) return found;
    }
  }
  return found;
}
