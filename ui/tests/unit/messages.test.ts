import { afterEach, describe, expect, it } from 'vitest';
import en from '../../src/lib/messages/en.json';
import { preferredLocale, setLocale, t, tn } from '../../src/lib/messages/index.svelte';
import zh from '../../src/lib/messages/zh.json';

const placeholders = (text: string): string[] => [...(text.match(/\{\w+\}/g) ?? [])].sort();

describe('the messages', () => {
  it('are the same in both languages', () => {
    expect(Object.keys(zh)).toEqual(Object.keys(en));
  });

  it('have the same placeholders in both', () => {
    const all = (texts: Record<string, string>): [string, string[]][] =>
      Object.entries(texts).map(([key, text]) => [key, placeholders(text)]);
    expect(all(zh)).toEqual(all(en));
  });

  it('have a form for one wherever they have one for more', () => {
    for (const key of Object.keys(en).filter((key) => key.endsWith('.other'))) {
      expect(en).toHaveProperty([key.replace(/other$/, 'one')]);
    }
  });
});

describe('speaking', () => {
  afterEach(() => setLocale('en'));

  it('takes the form of the number', () => {
    expect(tn('folders.ready', 1)).toBe('1 document');
    expect(tn('folders.ready', 3_000)).toBe('3,000 documents');
  });

  it('follows the language', () => {
    setLocale('zh');
    expect(tn('folders.ready', 3)).toBe('3 个文档');
    expect(t('nav.search')).toBe('搜索');
  });

  it('does not read placeholders in what it fills in', () => {
    expect(t('conversations.delete', { title: '{title} {count}' })).toBe(
      'Delete “{title} {count}”',
    );
  });

  it.each([
    [['de-DE', 'zh-CN', 'en'], 'zh'],
    [['fr', 'en-GB', 'zh'], 'en'],
    [['zh-Hant-TW'], 'zh'],
    [['ja'], 'en'],
    [[], 'en'],
  ])('%j is spoken to in %s', (languages, locale) => {
    expect(preferredLocale(languages)).toBe(locale);
  });
});
