import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pixelmatch from 'pixelmatch';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { PNG } from 'pngjs';
import { expect, it } from 'vitest';
import { withBrowser } from './page';
import { STATES } from './states';

const open = withBrowser();
const PICTURES = join(import.meta.dirname, 'pictures');
const RESULTS = join(import.meta.dirname, '../../test-results');

/** Of all pixels, so many may differ: browsers smooth edges each in its way. */
const TOLERANCE = 0.003;

const DARK: BrowserContextOptions = { colorScheme: 'dark' };
const LARGE: BrowserContextOptions = {
  viewport: { width: 640, height: 430 },
  deviceScaleFactor: 2,
};

/** The main screens, each with its picture. */
const PICTURED: readonly [picture: string, state: string, options?: BrowserContextOptions][] = [
  ['start', 'the first start'],
  ['ask', 'an empty question'],
  ['no-model', 'no model'],
  ['answer', 'an answer with doubts and its passages'],
  ['answer-dark', 'an answer with doubts and its passages', DARK],
  ['answer-large', 'an answer with doubts and its passages', LARGE],
  ['table', 'an answer with a table'],
  ['abstained', 'no answer in the documents'],
  ['code', 'code in colours'],
  ['picture', 'a picture'],
  ['search', 'a search'],
  ['files', 'thousands of files'],
  ['tags', 'the tags of files'],
  ['history', 'what happened in the library'],
  ['password', 'a password that is wrong', DARK],
  ['manners', 'an answer in another manner'],
  ['stale', 'a source that says something else now'],
  ['files-large', 'thousands of files', LARGE],
  ['ocr', 'pages that wait for OCR'],
  ['models', 'models'],
  ['settings-dark', 'settings', DARK],
  ['nothing-searched', 'an empty search'],
  ['strip', 'small pages beside a source'],
  ['sheet', 'a sheet'],
  ['letter', 'a letter', DARK],
  ['closed', 'a library that cannot be opened'],
  ['chinese', 'an answer with doubts and its passages', { locale: 'zh-CN' }],
  ['palette', 'the palette'],
];

/** One font that comes with the tests, and nothing that moves. */
async function standStill(page: Page): Promise<void> {
  const faces = [400, 500, 600].map(
    (weight) =>
      `@font-face { font-family: Test; font-weight: ${weight}; src: url('/test-font-${weight}.woff2'); }`,
  );
  await page.addStyleTag({
    content: `${faces.join('\n')}
      :root { --sans: Test, sans-serif !important; --serif: Test, serif !important; --mono: Test, monospace !important; }
      * { transition: none !important; animation: none !important; caret-color: transparent !important; }`,
  });
  await page.mouse.move(0, 0);
  await page.evaluate(async () => {
    await Promise.all([400, 500, 600].map((weight) => document.fonts.load(`${weight} 14px Test`)));
    await document.fonts.ready;
    for (let frame = 0; frame < 3; frame++) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  });
}

it.each(PICTURED)('%s looks as it did', async (name, state, options) => {
  const found = STATES[state];
  if (found === undefined) throw new Error(`there is no state “${state}”`);
  const { page } = await open(found.query, {
    colorScheme: 'light',
    // For the font below.
    bypassCSP: true,
    ...options,
    reducedMotion: 'reduce',
  });
  await page.locator('main > .view > *').first().waitFor();
  await found.go?.(page);
  await standStill(page);
  const taken = PNG.sync.read(await page.screenshot());
  const path = join(PICTURES, `${name}.png`);
  if (process.env.PICTURES === 'take') {
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(path, PNG.sync.write(taken, { deflateLevel: 9 }));
    return;
  }
  expect(existsSync(path), `${path} is taken by PICTURES=take npm test`).toBe(true);
  const kept = PNG.sync.read(readFileSync(path));
  expect([taken.width, taken.height]).toEqual([kept.width, kept.height]);
  const { width, height } = kept;
  const difference = new PNG({ width, height });
  const pixels = pixelmatch(kept.data, taken.data, difference.data, width, height, {
    threshold: 0.2,
  });
  if (pixels > TOLERANCE * width * height) {
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(join(RESULTS, `${name}.png`), PNG.sync.write(taken));
    writeFileSync(join(RESULTS, `${name}.difference.png`), PNG.sync.write(difference));
  }
  expect(pixels / (width * height)).toBeLessThanOrEqual(TOLERANCE);
});
