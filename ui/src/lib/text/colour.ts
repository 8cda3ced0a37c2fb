import { baseName } from './path';

/** What a part of source code is, as far as it is seen. */
export type Colour = 'comment' | 'string' | 'number' | 'keyword' | 'name';

/** A part of a text with its colour, in UTF-16 units. */
export interface ColouredPart {
  from: number;
  to: number;
  colour: Colour;
}

/** Prism's names of languages, with the extensions of their files. */
const LANGUAGES: Readonly<Record<string, string>> = {
  bash: 'sh bash zsh fish ksh',
  c: 'c h',
  cpp: 'cc cpp cxx hpp hh hxx cu',
  csharp: 'cs',
  css: 'css scss less',
  go: 'go',
  ini: 'ini cfg conf properties',
  java: 'java groovy gradle',
  javascript: 'js mjs cjs jsx',
  json: 'json jsonl ipynb',
  kotlin: 'kt kts',
  latex: 'tex sty cls bib',
  lua: 'lua',
  markup: 'xml html htm xhtml svg vue svelte',
  perl: 'pl pm',
  python: 'py pyi',
  r: 'r',
  ruby: 'rb',
  rust: 'rs',
  scala: 'scala sc',
  sql: 'sql',
  swift: 'swift',
  toml: 'toml',
  typescript: 'ts mts cts tsx',
  yaml: 'yml yaml',
};

const BY_EXTENSION = new Map(
  Object.entries(LANGUAGES).flatMap(([language, extensions]) =>
    extensions.split(' ').map((extension) => [extension, language] as const),
  ),
);

/** The language of a file of source code, by its extension; `null` where it is not known. */
export function languageOf(path: string): string | null {
  const name = baseName(path).toLowerCase();
  return BY_EXTENSION.get(name.split('.').at(-1) ?? '') ?? null;
}
