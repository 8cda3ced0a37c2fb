import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject } from 'vitest';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  // The same pixels on every computer.
  '--force-color-profile=srgb',
  '--font-render-hinting=none',
  '--disable-lcd-text',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Opened {
  page: Page;
  /** What the page complained about: exceptions, console errors, refused requests. */
  complaints: string[];
}

/** A browser for the tests of one file; `open` gives each of them a fresh window. */
export function withBrowser(): (query: string, options?: BrowserContextOptions) => Promise<Opened> {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args });
  });
  afterAll(() => browser.close());
  return async (query, options) => {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`${inject('address')}?mock&${query}`);
    return { page, complaints };
  };
}

/** Asks a question and waits until its answer is complete. */
export async function ask(page: Page, question: string): Promise<void> {
  await page.locator('[data-testid=composer] textarea').fill(question);
  await page.getByTestId('send').click();
  await page.locator('[data-testid=answer][data-state=done]').last().waitFor();
}

/** Checks the contrast of every visible text against WCAG's AA. */
export async function expectContrast(page: Page): Promise<void> {
  expect(await page.evaluate(tooFaint)).toEqual([]);
}

function tooFaint(): string[] {
  type Colour = [number, number, number, number];
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  if (!context) return ['no canvas'];
  const parse = (css: string): Colour => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = css;
    context.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0, a = 0] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a]: Colour, [R, G, B]: Colour): Colour => [
    r * a + R * (1 - a),
    g * a + G * (1 - a),
    b * a + B * (1 - a),
    1,
  ];
  const behind = (element: Element | null): Colour => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const luminance = (colour: Colour): number => {
    const [r = 0, g = 0, b = 0] = colour.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint: string[] = [];
  for (const element of document.querySelectorAll('body *')) {
    const words = [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.textContent?.trim())
      .join('');
    if (words === '' || !element.checkVisibility({ opacityProperty: true })) continue;
    if (element.closest(':disabled, .visually-hidden, .textLayer')) continue;
    const style = getComputedStyle(element);
    const background = behind(element);
    const [high = 0, low = 0] = [
      luminance(over(parse(style.color), background)),
      luminance(background),
    ].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} “${words.slice(0, 40)}”`);
  }
  return faint;
}
