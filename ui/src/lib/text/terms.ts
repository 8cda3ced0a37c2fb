const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/** What narrows a query down instead of being searched for, as `type:pdf`. */
const FILTER = /(?<=^|\s)(in|type|lang|language|tag|after|since|before|until):("[^"]*"|\S+)/g;

/** The words of a query that are worth marking in what it found. */
export function queryTerms(query: string): string[] {
  const runs =
    query
      .replace(FILTER, ' ')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  const terms = runs.flatMap((run) => (CJK.test(run) ? cjkWords(run) : [run]));
  const long = terms.filter((term) => term.length > (CJK.test(term) ? 1 : 2));
  return [...new Set(long.length > 0 ? long : terms)].sort((a, b) => b.length - a.length);
}

function cjkWords(run: string): string[] {
  const segmenter = new Intl.Segmenter('zh', { granularity: 'word' });
  return [...segmenter.segment(run)].map(({ segment }) => segment);
}

/** A part of a text that is shown, marked or not. */
export interface TermSpan {
  text: string;
  marked: boolean;
}

/** A passage's text with its lines flowing together, except for a table's rows. */
export function flowing(text: string): string {
  const isTable = (line: string): boolean => line.includes(' | ');
  return text
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
    .reduce((all, line) => {
      if (all === '') return line;
      const row = isTable(line) || isTable(all.slice(all.lastIndexOf('\n') + 1));
      return `${all}${row ? '\n' : ' '}${line}`;
    }, '');
}

/** The text around the first term, at most `length` units of it, with the terms marked. */
export function excerpt(text: string, terms: readonly string[], length: number): TermSpan[] {
  const flat = flowing(text);
  if (terms.length === 0) return markTerms(cropped(flat, 0, length), terms);
  const first = flat.search(pattern(terms));
  return markTerms(cropped(flat, Math.max(0, first - length / 4), length), terms);
}

function cropped(text: string, from: number, length: number): string {
  if (text.length <= length) return text;
  const start = Math.floor(Math.min(from, text.length - length));
  const before = start > 0 ? '… ' : '';
  const after = start + length < text.length ? ' …' : '';
  // A half character or half a word at the edge would read as a mistake.
  const part = text.slice(start, start + length).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
  const words = start > 0 && !CJK.test(part.slice(0, 12)) ? part.replace(/^\S*\s/, '') : part;
  return before + words + after;
}

function markTerms(text: string, terms: readonly string[]): TermSpan[] {
  if (terms.length === 0) return [{ text, marked: false }];
  return text
    .split(pattern(terms))
    .map((part, index) => ({ text: part, marked: index % 2 === 1 }))
    .filter((part) => part.text !== '');
}

function pattern(terms: readonly string[]): RegExp {
  return new RegExp(`(${terms.join('|')})`, 'iu');
}
