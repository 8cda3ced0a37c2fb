import type { Rect, Source, TextRange } from '../../types';

/** A document as PDF, with the place of every character. */
export interface DrawnPages {
  bytes: Uint8Array;
  rects(range: TextRange): Rect[];
}

interface Line {
  page: number;
  /** Its baseline, in points from the page's bottom. */
  y: number;
  size: number;
  text: string;
  /** Its first character in the document's text. */
  start: number;
}

const WIDTH = 420;
const HEIGHT = 595;
const LEFT = 40;
const TOP = 48;
/** Every character of Courier is this wide, in parts of the size. */
const ADVANCE = 0.6;
/** What stands elsewhere in Windows-1252 than in Unicode. */
const WINDOWS: Record<string, number> = { '€': 0x80, '‘': 0x91, '’': 0x92, '“': 0x93, '”': 0x94 };

/** Sets a document in Courier, whose letters are where one can count them to be. */
export function drawPages(document: Source): DrawnPages {
  const lines = breakLines(document);
  return {
    bytes: write(lines, document.page_count ?? 1),
    rects: ({ start, end }) =>
      lines.flatMap((line) => {
        const from = Math.max(start, line.start) - line.start;
        const to = Math.min(end - line.start, [...line.text].length);
        if (from >= to) return [];
        const top = HEIGHT - line.y;
        return {
          page: line.page,
          x0: LEFT + from * line.size * ADVANCE,
          y0: top - line.size * 0.85,
          x1: LEFT + to * line.size * ADVANCE,
          y1: top + line.size * 0.25,
        };
      }),
  };
}

function breakLines(document: Source): Line[] {
  const lines: Line[] = [];
  let page = 0;
  let y = 0;
  for (const block of document.blocks) {
    if (block.page !== null && block.page !== page) {
      page = block.page;
      y = HEIGHT - TOP;
    }
    const size = typeof block.kind === 'object' ? 12 : 9;
    const columns = Math.floor((WIDTH - 2 * LEFT) / (size * ADVANCE));
    let start = block.start;
    for (const part of block.text.split('\n')) {
      let rest = [...part];
      do {
        let end = rest.length;
        if (end > columns) {
          const space = rest.lastIndexOf(' ', columns);
          end = space > 0 ? space + 1 : columns;
        }
        y -= size * 1.5;
        lines.push({ page, y, size, start, text: rest.slice(0, end).join('') });
        start += end;
        rest = rest.slice(end);
      } while (rest.length > 0);
      start++;
    }
    y -= 8;
  }
  return lines;
}

function write(lines: readonly Line[], pageCount: number): Uint8Array {
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', ''];
  const font = '<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>';
  const pages: number[] = [];
  objects.push(font);
  for (let page = 1; page <= pageCount; page++) {
    const content = lines
      .filter((line) => line.page === page)
      .map(({ y, size, text }) => `BT /F1 ${size} Tf ${LEFT} ${y} Td (${escape(text)}) Tj ET`)
      .join('\n');
    objects.push(`<</Length ${content.length}>>stream\n${content}\nendstream`);
    pages.push(objects.length + 1);
    objects.push(
      `<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${WIDTH} ${HEIGHT}]/Contents ${objects.length} 0 R` +
        '/Resources<</Font<</F1 3 0 R>>>>>>',
    );
  }
  const kids = pages.map((number) => `${number} 0 R`).join(' ');
  objects[1] = `<</Type/Pages/Count ${pageCount}/Kids[${kids}]>>`;
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const offset = file.length;
    file += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  file +=
    `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}` +
    `trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${file.length}\n%%EOF\n`;
  return Uint8Array.from(file, (character) => character.charCodeAt(0));
}

/** A string of PDF in Windows-1252, one unit for each byte. */
function escape(text: string): string {
  return [...text]
    .map((character) => {
      const code = WINDOWS[character] ?? character.codePointAt(0) ?? 0;
      if (code > 0xff) return '?';
      return `\\${code.toString(8).padStart(3, '0')}`;
    })
    .join('');
}
