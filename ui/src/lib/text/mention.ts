import { baseName } from './path';

/** An `@…` that is being typed, in UTF-16 units of the text. */
export interface Mention {
  from: number;
  to: number;
  query: string;
}

/** The `@…` that ends at the caret, if one does; an address of e-mail is none. */
export function mentionAt(text: string, caret: number): Mention | null {
  const match = /(?:^|[\s(（，。])@([^\s@]*)$/u.exec(text.slice(0, caret));
  if (match === null) return null;
  const query = match[1] ?? '';
  return { from: caret - query.length - 1, to: caret, query };
}

/** The paths whose names fit best: those that begin with the words first, then shorter ones. */
export function fitting(paths: readonly string[], query: string, most: number): string[] {
  const wanted = query.toLowerCase();
  return paths
    .map((path) => ({ path, at: baseName(path).toLowerCase().indexOf(wanted) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => Math.min(a.at, 1) - Math.min(b.at, 1) || a.path.length - b.path.length)
    .slice(0, most)
    .map(({ path }) => path);
}
