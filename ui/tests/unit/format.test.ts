import { expect, it } from 'vitest';
import { duration, fileSize, percent } from '../../src/lib/text/format';
import { baseName, isWithin, parentPath } from '../../src/lib/text/path';

it.each([
  [13.6, '14 ms'],
  [4_120, '4.1 s'],
  [150_000, '3 min'],
])('%d milliseconds read %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

it.each([
  [2_500, '3 kB'],
  [12_000_000, '12 MB'],
  [1_440_000_000, '1.4 GB'],
])('%d bytes read %s', (bytes, text) => {
  expect(fileSize(bytes)).toBe(text);
});

it.each([
  [0, 0, 0],
  [999, 1_000, 99],
  [1_000, 1_000, 100],
])('%d of %d are %d per cent', (part, whole, expected) => {
  expect(percent(part, whole)).toBe(expected);
});

it.each([
  ['/home/ada/Notes/a.md', 'a.md', '/home/ada/Notes'],
  ['C:\\Notes\\a.md', 'a.md', 'C:\\Notes'],
  ['/home/ada/', 'ada', '/home'],
])('%s is %s in %s', (path, name, parent) => {
  expect(baseName(path)).toBe(name);
  expect(parentPath(path)).toBe(parent);
});

it('knows what lies within a folder', () => {
  expect(isWithin('/a/b/c', '/a/b')).toBe(true);
  expect(isWithin('/a/bc', '/a/b')).toBe(false);
});
