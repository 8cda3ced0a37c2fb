import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import en from '../../src/lib/messages/en.json';
import { setLocale } from '../../src/lib/messages/index.svelte';
import { ERROR_CODES, errorText } from '../../src/lib/text/error';
import { reasonText } from '../../src/lib/text/reason';
import type { ReasonCode } from '../../src/lib/types';

afterEach(() => setLocale('en'));

/** The names of an enumeration in Rust, as JSON has them. */
function namesOf(file: string, name: string): string[] {
  const source = readFileSync(join(import.meta.dirname, '../../../crates', file), 'utf8');
  const body = source.split(`pub enum ${name} {`)[1]?.split('\n}')[0] ?? '';
  return [...body.matchAll(/^ {4}([A-Z]\w*),/gm)].map(([, variant = '']) =>
    variant.replace(/\B[A-Z]/g, (letter) => `_${letter}`).toLowerCase(),
  );
}

describe('errors', () => {
  it('have words for every code of the application', () => {
    expect(namesOf('domain/src/error.rs', 'ErrorCode')).toEqual([...ERROR_CODES]);
  });

  it('are said in the language of the window', () => {
    const error = { code: 'library', message: 'the disk is full.', hint: 'Free some space.' };
    expect(errorText(error)).toEqual({ message: 'The disk is full.', hint: 'Free some space.' });
    setLocale('zh');
    const { message, hint } = errorText(error);
    expect(message).toBe('无法读写资料库（the disk is full）');
    expect(hint).toMatch(/^\p{Script=Han}/u);
  });

  it('are said as they are where the code is not known', () => {
    setLocale('zh');
    expect(errorText({ code: 'new', message: 'm', hint: 'h' })).toEqual({
      message: 'm.',
      hint: 'h',
    });
  });

  it.each([
    ['the query is empty', 'The query is empty.'],
    ['"g" cannot be a tag', '"g" cannot be a tag.'],
    ['bge-m3 is used by another library', 'bge-m3 is used by another library.'],
    ['/a is not in the library', '/a is not in the library.'],
    ['The disk is full.', 'The disk is full.'],
  ])('%j are a sentence', (message, said) => {
    expect(errorText({ code: 'library', message, hint: '' }).message).toBe(said);
  });
});

describe('reasons', () => {
  const codes = namesOf('app/src/dto.rs', 'ReasonCode') as ReasonCode[];

  it('have words for every code of the application, and no others', () => {
    const keys = Object.keys(en).filter((key) => /^reason\.\w+$/.test(key));
    expect(keys).toEqual(codes.map((code) => `reason.${code}`));
  });

  it.each(codes)('are Chinese in a Chinese window: %s', (code) => {
    setLocale('zh');
    const text = reasonText({ reason: 'english words', reason_code: code, reason_detail: '3' });
    expect(text).toMatch(/\p{Script=Han}.*。$/u);
    expect(text).not.toContain('english');
  });
});
