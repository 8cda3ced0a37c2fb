import type { Source } from '../../types';
import type { DrawnPages } from './pages';

const WIDTH = 480;
const HEIGHT = 640;
const LEFT = 40;
const LINE = 48;
/** Letters are black boxes, so that it can be seen what is marked. */
const LETTER = { width: 12, height: 18, gap: 3 };

/** Sets a document as a picture, a line for each block, every character a box. */
export function drawPicture({ blocks }: Source): DrawnPages {
  const lines = blocks.map((block, index) => ({ ...block, top: 60 + index * LINE }));
  const white = new Uint8Array(3 * WIDTH * HEIGHT).fill(255);
  for (const { text, top } of lines) {
    [...text].forEach((character, column) => {
      if (character === ' ') return;
      for (let y = top; y < top + LETTER.height; y++) {
        const x = LEFT + column * LETTER.width;
        // Lines of a bitmap run from the bottom.
        const from = 3 * ((HEIGHT - 1 - y) * WIDTH + x);
        white.fill(40, from, from + 3 * (LETTER.width - LETTER.gap));
      }
    });
  }
  return {
    bytes: bitmap(white),
    rects: ({ start, end }) =>
      lines.flatMap((line) => {
        const from = Math.max(start, line.start) - line.start;
        const to = Math.min(end - line.start, [...line.text].length);
        if (from >= to) return [];
        const x0 = LEFT + from * LETTER.width;
        const x1 = LEFT + to * LETTER.width - LETTER.gap;
        return { page: 1, x0, y0: line.top - 3, x1, y1: line.top + LETTER.height + 3 };
      }),
  };
}

/** A file of Windows bitmap with these pixels, 24 bits each. */
function bitmap(pixels: Uint8Array): Uint8Array {
  const header = 54;
  const file = new Uint8Array(header + pixels.length);
  const view = new DataView(file.buffer);
  file.set([0x42, 0x4d]);
  view.setUint32(2, file.length, true);
  view.setUint32(10, header, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, WIDTH, true);
  view.setInt32(22, HEIGHT, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  file.set(pixels, header);
  return file;
}
