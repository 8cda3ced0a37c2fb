import { describe, expect, it } from 'vitest';
import { ask, expectContrast, withBrowser } from './page';

const open = withBrowser();
const QUESTION = 'How do I end my lease?';

describe('asking', () => {
  it('streams an answer whose sources open at the quote', async () => {
    const { page, complaints } = await open('speed=10');
    await ask(page, QUESTION);
    const answer = page.getByTestId('answer');
    expect(await answer.innerText()).toContain('three months’ notice');
    await page.getByText('5 passages found in 14 ms').waitFor();
    await page.getByText('qwen3-4b-q4_k_m').waitFor();
    const citation = page.getByTestId('citation-1').first();
    expect(await citation.evaluate((element) => element.tagName)).toBe('BUTTON');
    await citation.click();
    const viewer = page.getByTestId('viewer');
    await expect.poll(() => viewer.getByTestId('page-field').inputValue()).toBe('2');
    await viewer.getByRole('radio', { name: 'Text' }).check({ force: true });
    await viewer.getByText('page 2 of 3').waitFor();
    const highlight = viewer.getByTestId('highlight');
    expect(await highlight.innerText()).toBe(
      'The tenant may end the lease with three months’ notice to the end of a month. ' +
        'Notice must be given in writing; an e-mail is not enough.',
    );
    const box = await highlight.boundingBox();
    expect(box?.y).toBeGreaterThan(90);
    expect(box?.y).toBeLessThan(700);
    expect(complaints).toEqual([]);
  });

  it('shows the source on hovering and on keyboard focus', async () => {
    const { page } = await open('speed=10');
    await ask(page, QUESTION);
    await page.getByTestId('citation-4').hover();
    const card = page.getByRole('tooltip');
    await card.getByText('Boiler manual.pdf').waitFor();
    expect(await card.innerText()).toContain('page 13');
    await page.mouse.move(0, 0);
    await card.waitFor({ state: 'detached' });
    await page.getByTestId('passages').focus();
    await page.keyboard.press('Tab');
    await card.getByText('Lease agreement.pdf').waitFor();
    await page.keyboard.press('Escape');
    await card.waitFor({ state: 'detached' });
  });

  it('names the place of every source as its kind of document does', async () => {
    const { page, complaints } = await open('library=kinds&speed=50');
    await ask(page, 'How did the launch go?');
    const labels = await page
      .locator('[data-testid^=citation-]')
      .evaluateAll((buttons) => buttons.map((button) => button.getAttribute('aria-label')));
    expect(labels).toEqual([
      'Source 1: Launch plan.pptx, slide 3',
      'Source 2: Sales.xlsx, sheet 2, row 14',
      'Source 3: Team.mbox, message 5',
      'Source 4: launch.yaml, line 31',
      'Source 5: Launch film.srt, 0:01:35',
      'Source 6: Light.epub, chapter 4',
      'Source 7: Forecast.ipynb, cell 12',
      'Source 8: Press.zip, file 7',
    ]);
    await page.getByTestId('citation-2').hover();
    await page.getByRole('tooltip').getByText('sheet 2, row 14').waitFor();
    await page.getByTestId('passages').click();
    await page.getByRole('button', { name: /^Team\.mbox message 5/ }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('marks sentences that their sources do not fully support', async () => {
    const { page } = await open('speed=10');
    await ask(page, QUESTION);
    const doubts = page.locator('[data-support]');
    expect(await doubts.allInnerTexts()).toEqual([
      'The deposit of 3,540 euros comes back within three months',
      'Landlords usually accept a new tenant you suggest',
    ]);
    expect(await doubts.first().getAttribute('title')).toBe('The sources say this only in part.');
  });

  it('stops, and keeps what there was', async () => {
    const { page } = await open('ask=hang');
    await page.locator('[data-testid=composer] textarea').fill(QUESTION);
    await page.keyboard.press('Enter');
    const answer = page.getByTestId('answer');
    await answer.getByText('You', { exact: true }).waitFor();
    await page.getByTestId('stop').click();
    await page.locator('[data-testid=answer][data-state=cancelled]').waitFor();
    await answer.getByText('Stopped. This is what there was.').waitFor();
    await page.getByTestId('send').waitFor();
  });

  it('says why an answer failed, and asks again', async () => {
    const { page } = await open('ask=fail&speed=0.15');
    await page.locator('[data-testid=composer] textarea').fill(QUESTION);
    await page.getByTestId('send').click();
    const error = page.getByTestId('answer-error');
    await error.getByText('The model stopped unexpectedly.').waitFor();
    await error.getByRole('button', { name: 'Ask again' }).click();
    await page.getByTestId('waiting').waitFor();
    await error.waitFor();
    expect(await page.getByTestId('answer').count()).toBe(1);
  });

  it('shows the nearest passages where the documents do not say', async () => {
    const { page } = await open('ask=abstain&speed=10');
    await ask(page, 'Who is the president?');
    await page.getByText('Your documents do not say').waitFor();
    await page.getByRole('button', { name: /^Garden\.md/ }).click();
    await page.getByTestId('highlight').getByText('Carrots failed again').waitFor();
  });

  it('needs a model, and points to the search where there is none', async () => {
    const { page } = await open('model=missing');
    await page.getByText('One more thing: a model that writes answers').waitFor();
    expect(await page.locator('[data-testid=composer] textarea').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Search instead' }).click();
    await page.getByTestId('search').waitFor();
  });

  it('sends on Enter, but not on Shift+Enter or within a composition', async () => {
    const { page } = await open('speed=10');
    const field = page.locator('[data-testid=composer] textarea');
    await field.fill('one');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('two');
    await field.dispatchEvent('keydown', { key: 'Enter', isComposing: true });
    expect(await field.inputValue()).toBe('one\ntwo');
    expect(await page.getByTestId('answer').count()).toBe(0);
    await page.keyboard.press('Enter');
    await page.getByTestId('answer').waitFor();
    expect(await field.inputValue()).toBe('');
  });

  it('tells screen readers when an answer has ended', async () => {
    const { page } = await open('speed=10');
    await ask(page, QUESTION);
    await page
      .locator('[aria-live=polite]', { hasText: 'The answer is complete.' })
      .waitFor({ state: 'attached' });
  });
});

describe('conversations', () => {
  it('are kept, opened again and deleted', async () => {
    const { page } = await open('speed=20');
    await ask(page, QUESTION);
    await ask(page, 'And the tomatoes?');
    await page.getByTestId('new').click();
    await ask(page, 'Who wrote the book?');
    await page.getByRole('button', { name: QUESTION, exact: true }).click();
    await expect.poll(() => page.getByTestId('answer').count()).toBe(2);
    await page.getByRole('button', { name: `Delete “${QUESTION}”` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await expect
      .poll(() => page.getByRole('button', { name: QUESTION, exact: true }).count())
      .toBe(0);
    await page.getByRole('heading', { name: 'What would you like to know?' }).waitFor();
  });

  it('follow the answer until the person scrolls up', async () => {
    const { page } = await open('speed=2', { viewport: { width: 1000, height: 420 } });
    const scroller = page.locator('.scroller');
    const fromEnd = (): Promise<number> =>
      scroller.evaluate(
        (element) => element.scrollHeight - element.scrollTop - element.clientHeight,
      );
    await ask(page, QUESTION);
    await expect.poll(fromEnd).toBeLessThan(2);
    await page.locator('[data-testid=composer] textarea').fill(QUESTION);
    await page.getByTestId('send').click();
    await page.locator('[data-testid=answer][data-state=writing]').waitFor();
    await expect.poll(fromEnd).toBeLessThan(2);
    await scroller.hover();
    await page.mouse.wheel(0, -300);
    await page.locator('[data-testid=answer][data-state=done]').nth(1).waitFor();
    expect(await fromEnd()).toBeGreaterThan(100);
    await page.getByRole('button', { name: 'To the end' }).click();
    await expect.poll(fromEnd).toBeLessThan(2);
  });
});

describe.each(['light', 'dark'] as const)('in a %s window', (colorScheme) => {
  it('an answer and its source can be read', async () => {
    const { page } = await open('speed=20', { colorScheme });
    await ask(page, QUESTION);
    await page.getByTestId('passages').click();
    await page.getByTestId('citation-4').first().click();
    await page.getByTestId('highlight-rect').first().waitFor();
    await expectContrast(page);
    await page.getByRole('radio', { name: 'Text' }).check({ force: true });
    await page.getByTestId('highlight').first().waitFor();
    await expectContrast(page);
  });
});

describe('where to look', () => {
  it('is chosen by folder and kind, and shown as what it is', async () => {
    const { page } = await open('library=kinds&speed=20');
    await page.getByTestId('scope').click();
    await page.getByRole('checkbox', { name: 'Notes' }).check();
    await page.getByRole('checkbox', { name: 'Text' }).check();
    await page.getByTestId('scope').click();
    await page.getByRole('button', { name: 'Do not restrict to Notes' }).waitFor();
    await ask(page, 'Which tomatoes?');
    await page.getByRole('button', { name: 'Do not restrict to Text' }).click();
    await page.getByRole('button', { name: 'Do not restrict to Notes' }).click();
    await page.getByText('All documents').waitFor();
  });

  it('is chosen by tag and language', async () => {
    const { page } = await open('library=kinds&speed=20');
    await page.getByTestId('scope').click();
    await page.getByRole('checkbox', { name: '2026' }).check();
    await page.getByRole('checkbox', { name: 'English' }).check();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Do not restrict to English' }).waitFor();
    await ask(page, 'How did the launch go?');
    // Of the documents that say something about it, one has the tag.
    await page.getByText('1 passage found').waitFor();
    await page.getByTestId('passages').click();
    await page.getByRole('button', { name: 'Leave out Sales.xlsx' }).waitFor();
  });

  it('closes with Escape, and gives the focus back', async () => {
    const { page } = await open('');
    await page.getByTestId('scope').click();
    await page.getByRole('checkbox', { name: 'Flat' }).focus();
    await page.keyboard.press('Escape');
    await page.getByRole('checkbox', { name: 'Flat' }).waitFor({ state: 'detached' });
    expect(await page.locator(':focus').getAttribute('data-testid')).toBe('scope');
  });

  it('takes a document by @, with the keyboard alone', async () => {
    const { page } = await open('speed=20');
    const field = page.locator('[data-testid=composer] textarea');
    await field.fill('ada@example.org, how do I refill @');
    await page.getByTestId('mentions').getByText('Boiler manual.pdf').waitFor();
    await field.pressSequentially('boil');
    await expect.poll(() => page.getByRole('option').count()).toBe(1);
    await field.press('Enter');
    await page.getByTestId('mentions').waitFor({ state: 'detached' });
    expect(await field.inputValue()).toBe('ada@example.org, how do I refill ');
    await page.getByText('@Boiler manual.pdf').waitFor();
    await field.press('Enter');
    await page.locator('[data-testid=answer][data-state=done]').waitFor();
    // Only passages of that document were found.
    await page.getByText('1 passage found').waitFor();
  });

  it('lets Escape put the list of documents away', async () => {
    const { page } = await open('');
    const field = page.locator('[data-testid=composer] textarea');
    await field.fill('@le');
    await page.getByTestId('mentions').waitFor();
    await field.press('Escape');
    await page.getByTestId('mentions').waitFor({ state: 'detached' });
    expect(await field.inputValue()).toBe('@le');
  });
});

describe('a complete answer', () => {
  it('can be copied with its sources', async () => {
    const { page } = await open('speed=20', { permissions: ['clipboard-read', 'clipboard-write'] });
    await ask(page, QUESTION);
    await page.getByRole('button', { name: 'Copy with sources' }).click();
    await page.getByText('Copied with its sources').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toContain('**three months’ notice** to the end of a month [1]');
    expect(copied).toContain('**Sources**\n\n1. Lease agreement.pdf, page 2: “The tenant may end');
  });

  it('can be asked for once more', async () => {
    const { page } = await open('speed=20');
    await ask(page, QUESTION);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await expect.poll(() => page.locator('[data-testid=answer][data-state=done]').count()).toBe(2);
  });

  it('is saved with its conversation', async () => {
    const { page } = await open('speed=20');
    await ask(page, QUESTION);
    await page.getByRole('button', { name: 'Save the conversation as Markdown' }).click();
    await page.getByText('Saved as /home/ada/How do I end my lease.md').waitFor();
  });

  it('has tables', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'Which shops sold most, as a table?');
    const table = page.getByTestId('answer').getByRole('table');
    await table.getByRole('columnheader', { name: 'Sold' }).waitFor();
    await table.getByRole('cell', { name: /Turin/ }).waitFor();
  });
});

describe('the palette', () => {
  it('reaches views, conversations and documents by the keyboard', async () => {
    const { page } = await open('speed=20');
    await ask(page, QUESTION);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('sett');
    await page.keyboard.press('Enter');
    await page.getByTestId('settings').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('end my');
    await page.getByRole('option').filter({ hasText: QUESTION }).click();
    await page.getByTestId('answer').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('garden');
    await page.getByRole('option').filter({ hasText: 'Garden.md' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByTestId('viewer').getByText('Tomatoes: sown').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.press('Escape');
    await page.getByTestId('palette').waitFor({ state: 'detached' });
    // Escape closes one thing at a time.
    expect(await page.getByTestId('viewer').count()).toBe(1);
  });
});

describe('an answer that was given', () => {
  it('can be rated, which is kept', async () => {
    const { page } = await open('speed=50');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('rate-up').click();
    const pressed = (name: string): Promise<string | null> =>
      page.getByTestId(name).getAttribute('aria-pressed');
    await expect.poll(() => pressed('rate-up')).toBe('true');
    await page.getByTestId('rate-down').click();
    await expect.poll(() => pressed('rate-down')).toBe('true');
    expect(await pressed('rate-up')).toBe('false');
    await page.getByRole('button', { name: 'New question' }).click();
    await page.getByRole('button', { name: 'How do I end my lease?', exact: true }).click();
    await expect.poll(() => pressed('rate-down')).toBe('true');
    await page.getByTestId('rate-down').click();
    await expect.poll(() => pressed('rate-down')).toBe('false');
  });

  it('is asked for again in other words', async () => {
    const { page } = await open('speed=50');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('edit-search').click();
    const field = page.getByTestId('edit-search-field');
    expect(await field.inputValue()).toBe('How do I end my lease?');
    await field.press('Escape');
    await field.waitFor({ state: 'detached' });
    await page.getByTestId('edit-search').click();
    await field.fill('notice period of the lease');
    await field.press('Enter');
    await page.getByText('Searched as “notice period of the lease”').waitFor();
    await expect.poll(() => page.locator('[data-testid=answer][data-state=done]').count()).toBe(2);
  });

  it('is asked for again without a document', async () => {
    const { page } = await open('speed=50');
    await ask(page, 'How do I end my lease?');
    await page.getByTestId('passages').click();
    await page.getByRole('button', { name: 'Leave out Boiler manual.pdf' }).click();
    await page.getByRole('button', { name: 'Ask again without 1 document' }).click();
    await page.getByText('Without Boiler manual.pdf').waitFor();
    await expect.poll(() => page.locator('[data-testid=answer][data-state=done]').count()).toBe(2);
    await page.getByText('4 passages found').waitFor();
  });

  it('is saved with all that belongs to it', async () => {
    const { page } = await open('speed=50');
    await ask(page, 'How do I end my lease?');
    const saved = page.waitForEvent('console', (message) =>
      message.text().startsWith('would save'),
    );
    await page.getByRole('button', { name: 'Save the conversation as JSON' }).click();
    const [name, ...lines] = (await saved).text().split('\n');
    expect(name).toBe('would save How do I end my lease.json:');
    const { title, answers } = JSON.parse(lines.join('\n'));
    expect(title).toBe('How do I end my lease?');
    expect(answers[0].citations[0].quote).toContain('three months’ notice');
    expect(answers[0].passages).toHaveLength(5);
  });

  it('has formulas that load nothing', async () => {
    const { page, complaints } = await open('library=kinds&speed=50');
    await ask(page, 'How warm does the lamp stay?');
    await expect.poll(() => page.locator('[data-testid=formula] .katex').count()).toBe(3);
    await expect.poll(() => page.locator('[data-testid=formula] .katex-display').count()).toBe(1);
    await page.getByText('for 20 $ or 30 $ of power').waitFor();
    expect(complaints).toEqual([]);
  });
});

describe('many conversations', () => {
  it('are looked through by their words', async () => {
    const { page } = await open('speed=200');
    const questions = ['tomatoes', 'the lease', 'the ship', 'a book', 'the launch', 'nothing'];
    for (const words of questions) {
      await page.getByRole('button', { name: 'New question' }).click();
      await ask(page, `What about ${words}?`);
    }
    await page.getByTestId('conversation-find').fill('RUTHJE');
    const titles = page.getByRole('button', { name: /^What about/ });
    await expect.poll(() => titles.allInnerTexts()).toEqual(['What about tomatoes?']);
    await page.getByTestId('conversation-find').fill('zebra');
    await page.getByText('No conversation has these words.').waitFor();
    await page.getByTestId('conversation-find').fill('');
    await expect.poll(() => titles.count()).toBe(6);
  });
});

it('a question about all documents is answered from all of them where that is wanted', async () => {
  const { page } = await open('speed=1');
  await ask(page, 'List the shops');
  await page.getByTestId('read-everything').click();
  await page.getByText('Reading document 2 of 5').waitFor();
  await page.getByText('5 of 5 documents were read to the end.').waitFor();
  await page.getByText('1 file could not be read').waitFor();
  expect(await page.getByTestId('read-everything').count()).toBe(1);
});

describe('an answer in another manner', () => {
  it('is asked for by its menu, with the keyboard alone', async () => {
    const { page, complaints } = await open('speed=50');
    await ask(page, QUESTION);
    await page.keyboard.press('Control+j');
    const menu = page.getByRole('menu');
    await menu.waitFor();
    const focused = (): Promise<string | undefined> =>
      page.evaluate(() => document.activeElement?.textContent?.trim());
    await expect.poll(focused).toBe('Shorter');
    await page.keyboard.press('ArrowUp');
    expect(await focused()).toBe('한국어');
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    expect(await focused()).toBe('Longer');
    await page.keyboard.press('Escape');
    await menu.waitFor({ state: 'detached' });
    expect(await focused()).toBe('Adjust');
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'In Deutsch' }).press('Enter');
    await page.locator('[data-testid=answer][data-state=done]').nth(1).waitFor();
    expect(await page.getByTestId('manner').allInnerTexts()).toEqual(['In Deutsch']);
    expect(complaints).toEqual([]);
  });

  it('is asked for by the palette, and says so when it is opened again', async () => {
    const { page } = await open('speed=50');
    await ask(page, QUESTION);
    await page.keyboard.press('Control+k');
    await page.getByTestId('palette').locator('input').fill('points');
    await page.getByRole('option', { name: 'Last answer: As points' }).click();
    await page.locator('[data-testid=answer][data-state=done]').nth(1).waitFor();
    await page.getByRole('button', { name: 'New question' }).click();
    await page.getByRole('button', { name: QUESTION, exact: true }).click();
    await expect.poll(() => page.getByTestId('manner').allInnerTexts()).toEqual(['As points']);
  });
});

it('sentences without support are left out where that is wanted, and counted', async () => {
  const { page } = await open('speed=50');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Leave out' }).check({ force: true });
  await page.getByRole('button', { name: 'New question' }).click();
  await ask(page, QUESTION);
  const answer = page.getByTestId('answer');
  expect(await answer.innerText()).not.toContain('Landlords usually accept');
  const dropped = page.getByTestId('dropped');
  await dropped.getByText('1 sentence was left out because no source bears it out').click();
  await dropped.getByText('Landlords usually accept a new tenant you suggest.').waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Settings' }).click();
  expect(await page.getByRole('radio', { name: 'Leave out' }).isChecked()).toBe(true);
});

describe('reading every document', () => {
  it('is chosen by hand for one question, and told as it goes on', async () => {
    const { page } = await open('speed=10');
    const toggle = page.getByRole('button', { name: 'Read every document' });
    await toggle.click();
    expect(await toggle.getAttribute('aria-pressed')).toBe('true');
    // Every state of the progress is seen, however busy the computer is.
    const told = await page.evaluateHandle(() => {
      const told: string[] = [];
      new MutationObserver(() => {
        const bar = document.querySelector('[data-testid=answer] [role=progressbar]');
        const words = bar?.getAttribute('aria-label');
        if (words && told.at(-1) !== words) told.push(words);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
      return told;
    });
    await page.locator('[data-testid=composer] textarea').fill('What do I have to do?');
    await page.getByTestId('send').click();
    await page.getByText('5 of 5 documents were read to the end.').waitFor();
    const words = [1, 2, 3, 4, 5].map((n) => `Reading document ${n} of 5`);
    expect(await told.jsonValue()).toEqual(words);
    expect(await toggle.getAttribute('aria-pressed')).toBe('false');
  });

  it('can be stopped, and says what is not in the answer', async () => {
    const { page } = await open('ask=hang&speed=20');
    await page.getByRole('button', { name: 'Read every document' }).click();
    await page.locator('[data-testid=composer] textarea').fill('List my duties.');
    await page.getByTestId('send').click();
    await page.getByRole('progressbar', { name: 'Reading document 2 of 5' }).waitFor();
    await page.getByTestId('stop').click();
    await page.getByText('Stopped after 2 of 5 documents').waitFor();
  });
});

describe('a source that is not what it was', () => {
  it.each([
    [
      'changed',
      'changed since the answer was written',
      'The words that it quotes are still there.',
    ],
    ['quote_gone', 'these words are no longer in it', 'are no longer there.'],
    ['moved', 'moved since the answer was written', 'It is shown from where it lies now.'],
    ['removed', 'no longer in the library', 'it was deleted, or removed from it'],
  ])('says that it is %s', async (now, onCard, inViewer) => {
    const { page, complaints } = await open(`speed=50&now=${now}`);
    await ask(page, '费用是多少？');
    const stale = page.getByTestId('stale');
    await stale.getByText('2 sources have changed since this answer was written.').waitFor();
    const citation = page.getByTestId('citation-1');
    expect(await citation.getAttribute('aria-label')).toContain(onCard);
    await citation.hover();
    await page.getByRole('tooltip').getByText(onCard).waitFor();
    await citation.click();
    const viewer = page.getByTestId('viewer');
    await viewer.getByTestId('source-now').getByText(inViewer).waitFor();
    const keepsWords = now === 'quote_gone' || now === 'removed';
    expect(await viewer.locator('blockquote').count()).toBe(keepsWords ? 1 : 0);
    if (keepsWords) await viewer.getByText('搬迁定于六月十四日开始').first().waitFor();
    if (now === 'moved') await viewer.getByText('/home/ada/Elsewhere').waitFor();
    else await stale.getByRole('button', { name: 'Ask again' }).click();
    expect(complaints).toEqual([]);
  });

  it('says nothing of sources that are as they were', async () => {
    const { page } = await open('speed=50');
    await ask(page, '费用是多少？');
    await page.getByTestId('citation-1').click();
    await page.getByTestId('highlight').waitFor();
    expect(await page.getByTestId('stale').count()).toBe(0);
    expect(await page.getByTestId('source-now').count()).toBe(0);
  });
});
