// Colours for source code, by Prism. Loaded when the first code is shown.
import { Prism } from './core';
import 'prismjs/components/prism-clike';
import 'prismjs/components/prism-markup';
import 'prismjs/components/prism-javascript';
import 'prismjs/components/prism-typescript';
import 'prismjs/components/prism-css';
import 'prismjs/components/prism-c';
import 'prismjs/components/prism-cpp';
import 'prismjs/components/prism-csharp';
import 'prismjs/components/prism-java';
import 'prismjs/components/prism-kotlin';
import 'prismjs/components/prism-swift';
import 'prismjs/components/prism-go';
import 'prismjs/components/prism-rust';
import 'prismjs/components/prism-python';
import 'prismjs/components/prism-ruby';
import 'prismjs/components/prism-lua';
import 'prismjs/components/prism-perl';
import 'prismjs/components/prism-r';
import 'prismjs/components/prism-scala';
import 'prismjs/components/prism-bash';
import 'prismjs/components/prism-sql';
import 'prismjs/components/prism-json';
import 'prismjs/components/prism-yaml';
import 'prismjs/components/prism-toml';
import 'prismjs/components/prism-ini';
import 'prismjs/components/prism-latex';
import type { Token, TokenStream } from 'prismjs';
import type { Colour, ColouredPart } from '../text/colour';

/** What Prism calls the parts of a language, as the few colours that there are. */
const COLOURS: Readonly<Record<string, Colour>> = {
  comment: 'comment',
  prolog: 'comment',
  string: 'string',
  'template-string': 'string',
  'attr-value': 'string',
  char: 'string',
  regex: 'string',
  number: 'number',
  boolean: 'number',
  constant: 'number',
  keyword: 'keyword',
  tag: 'keyword',
  selector: 'keyword',
  atrule: 'keyword',
  directive: 'keyword',
  function: 'name',
  'class-name': 'name',
  'attr-name': 'name',
  property: 'name',
  key: 'name',
  builtin: 'name',
};

/** The parts of a text in this language that have a colour, in order. */
export function colour(text: string, language: string): ColouredPart[] {
  const grammar = Prism.languages[language];
  if (grammar === undefined) return [];
  const parts: ColouredPart[] = [];
  let at = 0;
  const walk = (stream: TokenStream, outer: Colour | null): void => {
    for (const token of Array.isArray(stream) ? stream : [stream]) {
      if (typeof token === 'string') {
        if (outer !== null) parts.push({ from: at, to: at + token.length, colour: outer });
        at += token.length;
      } else {
        walk(token.content, colourOf(token) ?? outer);
      }
    }
  };
  walk(Prism.tokenize(text, grammar), null);
  return parts;
}

function colourOf({ type, alias }: Token): Colour | null {
  for (const name of [type, ...(Array.isArray(alias) ? alias : [alias])]) {
    const found = COLOURS[name];
    if (found !== undefined) return found;
  }
  return null;
}
