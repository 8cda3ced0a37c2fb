import { describe, expect, it } from 'vitest';
import { colour } from '../../src/lib/code';
import { languageOf } from '../../src/lib/text/colour';

describe('source code', () => {
  it.each([
    ['/a/main.rs', 'rust'],
    ['/a/Table.SQL', 'sql'],
    ['/a/x.tar.gz', null],
    ['/a/Makefile', null],
  ])('%s is in %s', (path, language) => {
    expect(languageOf(path)).toBe(language);
  });

  it.each([
    ['rust', 'let a = "x"; // 1', 'keyword:let string:"x" comment:// 1'],
    ['python', 'def f():\n    return 2', 'keyword:def name:f keyword:return number:2'],
    ['json', '{"a": true}', 'name:"a" number:true'],
    ['nothing known', 'let a', ''],
  ])('has colours in %s', (language, text, expected) => {
    const parts = colour(text, language).map((part) => {
      return `${part.colour}:${text.slice(part.from, part.to)}`;
    });
    expect(parts.join(' ')).toBe(expected);
  });

  it('is coloured whole, however long', () => {
    const text = 'fn a() { 1 }\n'.repeat(300);
    const parts = colour(text, 'rust');
    expect(parts).toHaveLength(900);
    expect(
      parts.every(({ from, to }, index) => from < to && from >= (parts[index - 1]?.to ?? 0)),
    ).toBe(true);
  });
});
