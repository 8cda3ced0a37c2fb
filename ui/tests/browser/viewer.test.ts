import { describe, expect, it } from 'vitest';
import { ask, withBrowser } from './page';

const open = withBrowser();

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
    await page.getByTestId('citation-4').click();
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
    await page.getByTestId('citation-3').click();
    await page.getByText('3 of 5').waitFor();
    await page.getByRole('button', { name: 'Next source' }).click();
    await page.getByTestId('viewer').getByText('Boiler manual', { exact: false }).first().waitFor();
    await page.getByRole('button', { name: 'Next source' }).click();
    await page.getByTestId('highlight').getByText('returns it within six months').waitFor();
    expect(await page.getByRole('button', { name: 'Next source' }).isDisabled()).toBe(true);
  });

  it('closes with Escape, and gives the focus back', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-2').focus();
    await page.keyboard.press('Enter');
    await page.getByTestId('highlight').waitFor();
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

  it('says when the document cannot be opened', async () => {
    const { page } = await open('speed=20&fail=source');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('citation-1').first().click();
    await page.getByText('The document could not be opened').waitFor();
  });
});
