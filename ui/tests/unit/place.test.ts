import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import en from '../../src/lib/messages/en.json';
import { setLocale, type Locale } from '../../src/lib/messages/index.svelte';
import { kindMessage, KINDS, unitOfKind, unitOfPath } from '../../src/lib/text/kind';
import { lengthText, pageText, placeText } from '../../src/lib/text/place';
import { reasonText } from '../../src/lib/text/reason';
import type { FileStatus, Place } from '../../src/lib/types';

afterEach(() => setLocale('en'));

describe('a place', () => {
  const lines = (unit: Place['unit'], line: number | null): Place => ({
    unit,
    line,
    line_unit: 'line',
  });
  const row = (unit: Place['unit'], line: number): Place => ({ unit, line, line_unit: 'row' });
  const second = (line: number): Place => ({ unit: null, line, line_unit: 'second' });

  it.each<[string, number | null, Place | undefined, string, string]>([
    ['a.pdf', 3, lines('page', null), 'page 3', '第 3 页'],
    ['a.pptx', 3, lines('slide', null), 'slide 3', '第 3 张幻灯片'],
    ['a.xlsx', 2, row('sheet', 14), 'sheet 2, row 14', '第 2 个工作表，第 14 行'],
    ['a.ods', 2, { ...row('sheet', 14), cell: 'B14' }, 'sheet 2, B14', '第 2 个工作表，B14'],
    ['a.epub', 4, lines('chapter', null), 'chapter 4', '第 4 章'],
    ['a.mbox', 5, lines('message', null), 'message 5', '第 5 封邮件'],
    ['a.zip', 7, lines('member', null), 'file 7', '第 7 个文件'],
    ['a.ipynb', 12, lines('cell', null), 'cell 12', '第 12 个单元格'],
    ['a.csv', null, row(null, 14), 'row 14', '第 14 行'],
    ['a.rs', null, lines(null, 12_000), 'line 12000', '第 12000 行'],
    ['a.srt', null, second(0), '0:00:00', '0:00:00'],
    ['a.srt', null, second(95), '0:01:35', '0:01:35'],
    ['a.vtt', null, second(37_815), '10:30:15', '10:30:15'],
    ['a.md', null, lines(null, null), '', ''],
    // A passage brings its path and its page only.
    ['/b.d/A.PPSX', 3, undefined, 'slide 3', '第 3 张幻灯片'],
    ['a.tar.gz', 3, undefined, 'file 3', '第 3 个文件'],
    ['a.bin', 3, undefined, 'part 3', '第 3 部分'],
    ['pdf/a', 3, undefined, 'part 3', '第 3 部分'],
    ['a.md', null, undefined, '', ''],
    // What the application found in the file is worth more than its name.
    ['really a workbook.doc', 2, row('sheet', 3), 'sheet 2, row 3', '第 2 个工作表，第 3 行'],
  ])('in %s, at %j with %j, reads %j', (document, page, place, inEnglish, inChinese) => {
    for (const [locale, text] of [
      ['en', inEnglish],
      ['zh', inChinese],
    ] as [Locale, string][]) {
      setLocale(locale);
      expect(placeText({ document, page, place })).toBe(text);
    }
  });

  it.each<[Locale, string, string]>([
    ['en', 'p. iv', 'sheet 2 of 3, row 14'],
    ['zh', '第 iv 页', '第 2 个工作表（共 3 个），第 14 行'],
  ])('has the page’s own name, and how many there are, in %s', (locale, named, counted) => {
    setLocale(locale);
    expect(placeText({ document: 'a.pdf', page: 6, label: 'iv' })).toBe(named);
    expect(placeText({ document: 'a.xlsx', page: 2, place: row('sheet', 14) }, 3)).toBe(counted);
  });

  it('marks where a page begins', () => {
    expect(pageText(unitOfKind('odp'), 1_200)).toBe('slide 1200');
    expect(pageText(unitOfKind('unheard of'), 2)).toBe('part 2');
  });

  it.each<[string, number, string, string]>([
    ['a.pdf', 1_000, '1,000 pages', '1,000 页'],
    ['a.key.pptx', 1, '1 slide', '1 张幻灯片'],
    ['a.ods', 3, '3 sheets', '3 个工作表'],
    ['a.7z', 40, '40 files', '40 个文件'],
  ])('is one of many: %s of %d has %s', (path, count, inEnglish, inChinese) => {
    expect(lengthText(unitOfPath(path), count)).toBe(inEnglish);
    setLocale('zh');
    expect(lengthText(unitOfPath(path), count)).toBe(inChinese);
  });
});

describe('the kinds', () => {
  // Lines such as `Pdf "pdf" ["pdf"] Some(PageUnit::Page);`.
  const source = readFileSync(
    join(import.meta.dirname, '../../../crates/domain/src/document.rs'),
    'utf8',
  );
  const declared = [
    ...source.matchAll(/^ {4}\w+ "(\w+)" \[([^\]]+)\] (?:None|Some\(PageUnit::(\w+)\));$/gm),
  ].map(([, name = '', extensions = '', unit]) => ({
    name,
    unit: unit?.toLowerCase() ?? 'part',
    extensions: [...extensions.matchAll(/"([^"]+)"/g)].map(([, extension = '']) => extension),
  }));

  it('are those that the application reads', () => {
    expect(Object.keys(KINDS).sort()).toEqual(declared.map(({ name }) => name).sort());
  });

  it.each(declared)('have the parts that the application divides $name into', (kind) => {
    expect(unitOfKind(kind.name)).toBe(kind.unit);
    for (const extension of kind.extensions) {
      expect(unitOfPath(`/a/b.${extension}`), extension).toBe(kind.unit);
    }
  });

  it('have a word each, and no word is left over', () => {
    const words = new Set(declared.map(({ name }) => kindMessage(name)));
    expect([...words].sort()).toEqual(Object.keys(en).filter((key) => key.startsWith('kind.')));
    expect(kindMessage('unheard of')).toBeNull();
  });
});

describe('the reason of a file', () => {
  const file: FileStatus = {
    path: '/a.pdf',
    state: 'failed',
    reason: null,
    away: false,
    pages: null,
    chunks: 0,
    embedded_chunks: 0,
    modified: '2026-03-14T09:26:53Z',
    kind: 'pdf',
  };

  it.each<[Partial<FileStatus>, RegExp]>([
    [{}, /^$/],
    [{ reason: 'the file is damaged' }, /^the file is damaged$/],
    [
      { reason: 'locked', reason_code: 'password_needed' },
      /^This file is protected by a password\. Enter it/,
    ],
    [{ reason: 'big', reason_code: 'too_big', reason_detail: '200' }, /larger than 200 MB/],
    [{ reason: 'big', reason_code: 'too_big' }, /too big/],
  ])('for %j says what is known', (known, words) => {
    expect(reasonText({ ...file, ...known })).toMatch(words);
  });
});
