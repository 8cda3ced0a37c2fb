import { describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { ask, withBrowser } from './page';

const open = withBrowser();

/** Opens a citation, of a PDF by its text. */
async function openText(page: Page, n: number): Promise<void> {
  await page.getByTestId(`citation-${n}`).first().click();
  await page.getByRole('radio', { name: 'Text' }).check({ force: true });
}

/** Waits until the page that is looked at is drawn. */
async function drawn(page: Page): Promise<void> {
  await page.locator('[data-testid=pdf-canvas][data-drawn=true]').first().waitFor();
}

/** How much of what the marks cover is ink, and how much ink there is beside them in their lines. */
function inkUnderMarks(): { inside: number; outside: number } {
  let inside = 0;
  let outside = 0;
  for (const mark of document.querySelectorAll<HTMLElement>('[data-testid=highlight-rect]')) {
    const canvas = mark.parentElement?.querySelector('canvas');
    const context = canvas?.getContext('2d');
    if (!canvas || !context) continue;
    const density = canvas.width / canvas.clientWidth;
    const top = mark.offsetTop * density;
    const height = mark.offsetHeight * density;
    const left = mark.offsetLeft * density;
    const right = left + mark.offsetWidth * density;
    const { data } = context.getImageData(0, top, canvas.width, height);
    for (let i = 0; i < data.length; i += 4) {
      if ((data[i] ?? 255) > 100) continue;
      const x = (i / 4) % canvas.width;
      if (x >= left - 1 && x <= right + 1) inside++;
      else outside++;
    }
  }
  return { inside, outside };
}

describe('the pages of a PDF', () => {
  it('are drawn, with the cited words marked and nothing else', async () => {
    const { page, complaints } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-4').click();
    await drawn(page);
    const marks = page.getByTestId('highlight-rect');
    await marks.first().waitFor();
    // A whole line, so that all ink at its height is the quote's.
    expect(await marks.count()).toBe(1);
    await expect.poll(() => page.evaluate(inkUnderMarks)).toMatchObject({ outside: 0 });
    expect((await page.evaluate(inkUnderMarks)).inside).toBeGreaterThan(400);
    const box = await marks.first().boundingBox();
    expect(box?.y).toBeGreaterThan(100);
    expect(box?.y).toBeLessThan(700);
    expect(complaints).toEqual([]);
  });

  it('follow the citations, the field and the wheel', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    const field = page.getByTestId('page-field');
    await expect.poll(() => field.inputValue()).toBe('2');
    await page.getByRole('button', { name: 'Next source' }).click();
    await page.getByRole('button', { name: 'Next source' }).click();
    await expect.poll(() => field.inputValue()).toBe('3');
    await page.getByRole('button', { name: 'Next source' }).click();
    await expect.poll(() => field.inputValue()).toBe('13');
    await field.fill('12');
    await field.press('Enter');
    await expect.poll(() => field.inputValue()).toBe('12');
    await page.getByTestId('pages').evaluate((element) => (element.scrollTop = 0));
    await expect.poll(() => field.inputValue()).toBe('1');
    await field.fill('none');
    await field.press('Enter');
    expect(await field.inputValue()).toBe('1');
    // Far away pages are not drawn.
    expect(await page.getByTestId('pdf-canvas').count()).toBeLessThan(6);
  });

  it('can be larger and smaller', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await drawn(page);
    const width = async (): Promise<number> =>
      (await page.getByTestId('pdf-canvas').first().boundingBox())?.width ?? 0;
    const fit = await width();
    await page.getByRole('button', { name: 'Larger' }).click();
    await expect.poll(width).toBeGreaterThan(fit * 1.2);
    await page.getByTestId('pages').focus();
    await page.keyboard.press('Control+-');
    await page.keyboard.press('Control+-');
    await expect.poll(width).toBeLessThan(fit * 0.9);
    await page.getByRole('button', { name: '80 %' }).click();
    await expect.poll(width).toBe(fit);
  });

  it('open at the passage in a document of a thousand pages', async () => {
    const { page } = await open('library=large&speed=20');
    await ask(page, 'When did the ship come?');
    await page.getByTestId('citation-1').click();
    await page.getByTestId('highlight-rect').first().waitFor();
    await expect.poll(() => page.getByTestId('page-field').inputValue()).toBe('700');
    await drawn(page);
    await expect.poll(() => page.evaluate(inkUnderMarks)).toMatchObject({ outside: 0 });
    expect(await page.getByTestId('pdf-canvas').count()).toBeLessThan(6);
  });

  it('can be given more room, which is kept', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    const width = async (): Promise<number> =>
      (await page.getByTestId('viewer').boundingBox())?.width ?? 0;
    const before = await width();
    await page.getByTestId('splitter').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await expect.poll(width).toBeGreaterThan(before + 50);
    const box = await page.getByTestId('splitter').boundingBox();
    await page.mouse.move((box?.x ?? 0) + 4, 300);
    await page.mouse.down();
    await page.mouse.move(820, 300);
    await page.mouse.up();
    await expect.poll(width).toBeCloseTo(1280 - 820, -1);
    await page.reload();
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await expect.poll(width).toBeCloseTo(1280 - 820, -2);
  });

  it('give way to the text where they cannot be drawn', async () => {
    const { page } = await open('speed=20&source=broken');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByText('The pages cannot be drawn.').waitFor();
    await page.getByTestId('highlight').getByText('The tenant may end the lease').waitFor();
  });

  it('have text that can be selected', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByTestId('pages').getByText('Where several tenants have signed').waitFor();
  });
});

describe('the small pages', () => {
  it('lead to the large ones, and say which are cited', async () => {
    const { page, complaints } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-4').click();
    await drawn(page);
    expect(await page.getByTestId('strip').count()).toBe(0);
    await page.getByTestId('show-strip').click();
    const strip = page.getByTestId('strip');
    await strip.getByRole('button', { name: 'page 13' }).locator('.cited').waitFor();
    expect(await strip.locator('.cited').count()).toBe(1);
    const field = page.getByTestId('page-field');
    await strip.getByRole('button', { name: 'page 1', exact: true }).click();
    await expect.poll(() => field.inputValue()).toBe('1');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => field.inputValue()).toBe('2');
    await page.keyboard.press('End');
    await expect.poll(() => field.inputValue()).toBe('13');
    const current = strip.locator('[aria-current]');
    await expect.poll(() => current.getAttribute('aria-label')).toBe('page 13');
    expect(await current.evaluate((button) => button === document.activeElement)).toBe(true);
    // One stop of the tabulator, however many pages there are.
    expect(await strip.locator('[tabindex="0"]').count()).toBe(1);
    await page.reload();
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await strip.waitFor();
    await page.getByTestId('show-strip').click();
    await strip.waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
  });

  it('are there by themselves where there is room', async () => {
    const { page } = await open('speed=20', { viewport: { width: 1720, height: 900 } });
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByTestId('strip').waitFor();
  });
});

describe('words in the document', () => {
  it('are found on the pages, one after another', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await drawn(page);
    await page.getByTestId('viewer').focus();
    await page.keyboard.press('Control+f');
    await page.getByTestId('find').fill('the  LANDLORD');
    await page.getByText('1 of 4').waitFor();
    const field = page.getByTestId('page-field');
    await expect.poll(() => field.inputValue()).toBe('1');
    await page.keyboard.press('Enter');
    await page.getByText('2 of 4').waitFor();
    await expect.poll(() => field.inputValue()).toBe('2');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.press('Shift+Enter');
    await page.getByText('4 of 4').waitFor();
    await expect.poll(() => field.inputValue()).toBe('3');
    await page.getByTestId('find').fill('no such words');
    await page.getByText('Not found').waitFor();
    await page.keyboard.press('Escape');
    await page.getByTestId('find').waitFor({ state: 'detached' });
    expect(await page.getByTestId('viewer').count()).toBe(1);
  });

  it('are found in text', async () => {
    const { page } = await open('speed=20');
    await ask(page, '费用是多少？');
    await page.getByTestId('citation-2').click();
    await page.getByRole('button', { name: 'Find in this document' }).click();
    await page.getByTestId('find').fill('六');
    await page.getByText('1 of 2').waitFor();
    expect(await page.getByTestId('found').allInnerTexts()).toEqual(['六', '六']);
    expect(await page.getByTestId('highlight').innerText()).toBe('费用为四万二千元');
  });
});

describe('the source beside the answer', () => {
  it.each([
    ['after emoji', 'Which tomatoes?', 'The variety “Ruthje” gave the most fruit'],
    ['in Chinese, after a rare character', '费用是多少？', '费用为四万二千元'],
  ])('marks the exact words %s', async (_, question, quote) => {
    const { page } = await open('speed=20');
    await ask(page, question);
    await page.locator('[data-testid^=citation-]').last().click();
    expect(await page.getByTestId('highlight').innerText()).toBe(quote);
  });

  it('marks the cells of a table', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await openText(page, 4);
    const cells = page.getByTestId('highlight');
    await cells.first().waitFor();
    expect(await cells.allInnerTexts()).toEqual([
      'F.22',
      'Water pressure too low',
      'Refill to 1.5 bar',
    ]);
  });

  it('steps through the citations', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await openText(page, 3);
    await page.getByText('3 of 5').waitFor();
    await page.getByRole('button', { name: 'Next source' }).click();
    await page.getByTestId('viewer').getByText('Boiler manual', { exact: false }).first().waitFor();
    await page.getByRole('button', { name: 'Next source' }).click();
    await page.getByRole('radio', { name: 'Text' }).check({ force: true });
    await page.getByTestId('highlight').getByText('returns it within six months').waitFor();
    expect(await page.getByRole('button', { name: 'Next source' }).isDisabled()).toBe(true);
  });

  it('closes with Escape, and gives the focus back', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-2').focus();
    await page.keyboard.press('Enter');
    await page.getByTestId('highlight-rect').first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByTestId('viewer').waitFor({ state: 'detached' });
    const focused = page.locator(':focus');
    expect(await focused.getAttribute('data-testid')).toBe('citation-2');
  });

  it('opens a very long document at the passage, without drawing all of it', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'Who is the keeper in the book?');
    await page.getByTestId('citation-1').click();
    const highlight = page.getByTestId('highlight');
    await highlight.waitFor();
    await expect.poll(async () => (await highlight.boundingBox())?.y).toBeGreaterThan(90);
    await expect.poll(async () => (await highlight.boundingBox())?.y).toBeLessThan(780);
    const skipped = await page
      .getByTestId('viewer')
      .locator('section')
      .evaluateAll(
        (sections) =>
          sections.filter(
            (section) =>
              !section.firstElementChild?.checkVisibility({ contentVisibilityAuto: true }),
          ).length,
      );
    expect(skipped).toBeGreaterThan(100);
  });

  it.each([
    ['en-GB', 'How did the launch go?', ['Presentation', 'slide 3 of 3', 'Slide 3'], 'slide 3'],
    ['zh-CN', 'launch', ['演示文稿', '第 3 张幻灯片（共 3 张）', '第 3 张幻灯片'], '第 3 张幻灯片'],
  ])('speaks of the parts of its kind in %s', async (locale, question, [kind, bar, mark], name) => {
    const { page } = await open('library=kinds&speed=50', { locale });
    await ask(page, question);
    const button = page.getByTestId('citation-1');
    expect(await button.getAttribute('aria-label')).toContain(name);
    await button.click();
    await page.getByTestId('highlight').waitFor();
    const words = await page.getByTestId('viewer').innerText();
    expect(words).toContain(kind);
    expect(words.split('\n')).toEqual(expect.arrayContaining([bar, mark]));
  });

  it('says when the file is gone', async () => {
    const { page } = await open('speed=20&source=missing');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByText('The file is no longer there.').waitFor();
    expect(await page.getByRole('button', { name: 'Open in viewer' }).isDisabled()).toBe(true);
  });

  it('says when the file has changed since it was read', async () => {
    const { page } = await open('speed=20&source=changed');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByText('This file has changed since it was read.').waitFor();
  });

  it('says when the document cannot be opened', async () => {
    const { page } = await open('speed=20&fail=source');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByText('The document could not be opened').waitFor();
  });
});

describe('the other kinds', () => {
  it('show code in colours, with the cited words marked', async () => {
    const { page, complaints } = await open('library=kinds&speed=50');
    await ask(page, 'When is delivery free?');
    await page.getByTestId('citation-1').click();
    await page.getByTestId('highlight').first().waitFor();
    const words = page.getByTestId('viewer').locator('mark .keyword');
    await expect.poll(() => words.allInnerTexts()).toEqual(['if']);
    await page.getByTestId('viewer').locator('.comment', { hasText: '# What' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('show a picture with the words that were recognised in it', async () => {
    const { page, complaints } = await open('library=kinds&speed=50');
    await ask(page, 'When is delivery free?');
    await page.getByTestId('citation-2').click();
    await page.locator('[data-testid=picture] img[data-drawn=true]').waitFor();
    const mark = page.getByTestId('highlight-rect');
    await mark.waitFor();
    const ink = await mark.evaluate((element) => {
      const image = document.querySelector<HTMLImageElement>('[data-testid=picture] img');
      if (image === null) return null;
      const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
      const context = canvas.getContext('2d');
      if (context === null) return null;
      context.drawImage(image, 0, 0);
      const scale = image.naturalWidth / image.clientWidth;
      const box = element as HTMLElement;
      const [top, height] = [box.offsetTop * scale, box.offsetHeight * scale];
      const [left, right] = [box.offsetLeft * scale, (box.offsetLeft + box.offsetWidth) * scale];
      const { data } = context.getImageData(0, top, canvas.width, height);
      const count = { inside: 0, outside: 0 };
      for (let i = 0; i < data.length; i += 4) {
        if ((data[i] ?? 255) > 100) continue;
        const x = (i / 4) % canvas.width;
        if (x >= left - 2 && x <= right + 2) count.inside++;
        else count.outside++;
      }
      return count;
    });
    expect(ink?.outside).toBe(0);
    expect(ink?.inside).toBeGreaterThan(1_000);
    expect(complaints).toEqual([]);
  });
});

describe('a link to a passage', () => {
  it('is copied from the source, and opens it', async () => {
    const { page, complaints } = await open('speed=50', {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await ask(page, '费用是多少？');
    await page.getByTestId('citation-1').click();
    const quote = await page.getByTestId('highlight').innerText();
    await page.getByRole('button', { name: 'Copy a link to this passage' }).click();
    await page.getByText('The link is copied.').waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    expect(link).toMatch(/^lectern:\/\/open\?document=%2Fhome.*&start=\d+&end=\d+&content=c0ffee$/);
    await page.getByRole('button', { name: 'Close the source' }).click();
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.evaluate(
      (detail) => window.dispatchEvent(new CustomEvent('mock:link', { detail })),
      link,
    );
    await expect.poll(() => page.getByTestId('highlight').innerText()).toBe(quote);
    expect(complaints).toEqual([]);
  });

  it('opens its passage also where the window was opened by it', async () => {
    const link = 'lectern://open?document=/home/ada/Documents/Notes/Garden.md&start=0&end=6';
    const { page } = await open(`link=${encodeURIComponent(link)}`);
    await page.getByTestId('viewer').getByTestId('highlight').getByText('Garden').waitFor();
  });

  it('says so where it leads to nothing of the library', async () => {
    const link = 'lectern://open?document=/etc/passwd&start=0&end=6';
    const { page } = await open(`link=${encodeURIComponent(link)}`);
    await page.getByText('The library has no such document.').waitFor();
    expect(await page.getByTestId('viewer').count()).toBe(0);
  });
});
