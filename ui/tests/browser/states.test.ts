import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { withBrowser } from './page';
import { STATES } from './states';

const open = withBrowser();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What is wrong with the page by the rules of WCAG 2.2 A and AA. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const found: axe.AxeResults = await axe.run(
      // pdf.js measures text on it; nobody sees or hears it.
      { exclude: '.hiddenCanvasElement' },
      { runOnly: tags },
    );
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`),
    );
  });
}

/** What sticks out of the window to the right, where nobody can reach it. */
function beyondTheWindow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

/** How people have their windows. */
const WINDOWS = {
  light: { colorScheme: 'light' },
  'dark and Chinese': { colorScheme: 'dark', locale: 'zh-CN' },
  // As the smallest window is with everything drawn at twice its size.
  'small, with text of 200 %': { viewport: { width: 360, height: 480 }, deviceScaleFactor: 2 },
} as const;

describe.each(Object.entries(WINDOWS))('in a window that is %s', (_, options) => {
  it.each(Object.entries(STATES))('%s is accessible, and fits', async (_, { query, go }) => {
    const { page, complaints } = await open(query, { ...options, reducedMotion: 'reduce' });
    await page.locator('main > .view > *').first().waitFor();
    await go?.(page);
    expect(await violations(page)).toEqual([]);
    expect(await beyondTheWindow(page)).toBeLessThanOrEqual(0);
    expect(complaints).toEqual([]);
  });
});
