import type { MessageKey } from '../messages/index.svelte';
import type { Place } from '../types';
import { baseName } from './path';

/** What the numbered parts of a document are; `part` where only their number is known. */
export type Unit = NonNullable<Place['unit']> | 'part';

/** The word for a kind, as the messages `kind.…` name it. */
export type KindWord = MessageKey extends infer Key
  ? Key extends `kind.${infer Word}`
    ? Word
    : never
  : never;

interface Kind {
  word: KindWord;
  unit?: Unit;
  /** Only for kinds with units: a passage on its way may bring no more than its path. */
  extensions?: string;
}

/** The kinds that the application reads. A test holds them to `crates/domain/src/document.rs`. */
export const KINDS: Readonly<Record<string, Kind>> = {
  txt: { word: 'text' },
  md: { word: 'text' },
  html: { word: 'web' },
  docx: { word: 'document' },
  pdf: { word: 'pdf', unit: 'page', extensions: 'pdf' },
  pptx: { word: 'slides', unit: 'slide', extensions: 'pptx pptm ppsx ppsm potx potm' },
  xlsx: { word: 'sheets', unit: 'sheet', extensions: 'xlsx xlsm xltx xltm xlsb' },
  doc: { word: 'document' },
  ppt: { word: 'slides', unit: 'slide', extensions: 'ppt pps pot' },
  xls: { word: 'sheets', unit: 'sheet', extensions: 'xls xlt et' },
  odt: { word: 'document' },
  ods: { word: 'sheets', unit: 'sheet', extensions: 'ods ots fods' },
  odp: { word: 'slides', unit: 'slide', extensions: 'odp otp fodp odg' },
  epub: { word: 'book', unit: 'chapter', extensions: 'epub' },
  rtf: { word: 'document' },
  csv: { word: 'table' },
  json: { word: 'data' },
  ipynb: { word: 'notebook', unit: 'cell', extensions: 'ipynb' },
  xml: { word: 'data' },
  eml: { word: 'mail' },
  mbox: { word: 'mailbox', unit: 'message', extensions: 'mbox mbx' },
  msg: { word: 'mail' },
  tex: { word: 'text' },
  adoc: { word: 'text' },
  rst: { word: 'text' },
  srt: { word: 'subtitles' },
  vtt: { word: 'subtitles' },
  code: { word: 'code' },
  image: {
    word: 'picture',
    unit: 'page',
    extensions: 'png jpg jpeg jpe jfif tif tiff webp bmp gif',
  },
  zip: { word: 'archive', unit: 'member', extensions: 'zip' },
  tar: { word: 'archive', unit: 'member', extensions: 'tar tgz gz tbz tbz2 bz2 txz xz' },
  '7z': { word: 'archive', unit: 'member', extensions: '7z' },
};

const UNITS = new Map(
  Object.values(KINDS).flatMap(({ unit, extensions }) =>
    unit && extensions ? extensions.split(' ').map((extension) => [extension, unit] as const) : [],
  ),
);

/** What a document of this kind is divided into. */
export function unitOfKind(kind: string): Unit {
  return KINDS[kind]?.unit ?? 'part';
}

/** What the document at a path is likely divided into, by its extension alone. */
export function unitOfPath(path: string): Unit {
  return UNITS.get(baseName(path).split('.').at(-1)?.toLowerCase() ?? '') ?? 'part';
}

/** The message with a short word for a kind; none for a kind that is not known. */
export function kindMessage(kind: string): MessageKey | null {
  const word = KINDS[kind]?.word;
  return word === undefined ? null : `kind.${word}`;
}
