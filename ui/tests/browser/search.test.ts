import { describe, expect, it } from 'vitest';
import { withBrowser } from './page';

const open = withBrowser();

describe('searching', () => {
  it('finds while one types, grouped by document, with the words marked', async () => {
    const { page, complaints } = await open('');
    await page.getByRole('heading', { name: 'What would you like to know?' }).waitFor();
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.keyboard.type('water boiler');
    await page.getByRole('heading', { name: /^Boiler manual\.pdf/ }).waitFor();
    await page.getByRole('heading', { name: /^Lease agreement\.pdf/ }).waitFor();
    // What was found for the first letters is shown until the whole words are.
    const marked = async () =>
      (await page.getByTestId('hit').locator('mark').allInnerTexts())[0]?.toLowerCase();
    await expect.poll(marked).toMatch(/^(water|boiler)$/);
    await page.getByTestId('hit').first().click();
    await page.getByTestId('highlight-rect').first().waitFor();
    expect(complaints).toEqual([]);
  });

  it('begins with an example of how it is narrowed down', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByRole('button', { name: 'type:pdf' }).click();
    const field = page.getByTestId('search');
    expect(await field.inputValue()).toBe('type:pdf ');
    expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
  });

  it('is narrowed to a tag and to a language', async () => {
    const { page, complaints } = await open('library=kinds');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByTestId('search').fill('the');
    const found = page.getByTestId('hit');
    await found.first().waitFor();
    const all = await found.count();
    await page.getByTestId('scope').click();
    await page.getByRole('checkbox', { name: '2026' }).check();
    await page.getByRole('heading', { name: /^Garden\.md/ }).waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: /^Lease agreement\.pdf/ }).waitFor();
    expect(await found.count()).toBeLessThan(all);
    await page.getByRole('checkbox', { name: 'Chinese' }).check();
    await page.getByText('Nothing was found for “the”.').waitFor();
    await page.getByRole('checkbox', { name: 'English' }).check();
    await page.getByRole('heading', { name: /^Lease agreement\.pdf/ }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Do not restrict to English' }).click();
    await page.getByText('Nothing was found for “the”.').waitFor();
    await page.getByRole('button', { name: 'Search all documents' }).click();
    await page.getByRole('heading', { name: /^Garden\.md/ }).waitFor();
    expect(await page.locator(':focus').getAttribute('data-testid')).toBe('search');
    expect(complaints).toEqual([]);
  });

  it('keeps what it has found while a filter is being typed', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    const field = page.getByTestId('search');
    await field.pressSequentially('water lang:e');
    await page.getByText('"e" is not a language that Lectern tells apart').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(await page.getByTestId('hit').count()).toBeGreaterThan(0);
    await field.pressSequentially('n tag:');
    await page.getByText(/^\d+ passages? in/).waitFor();
    expect(await page.getByTestId('hit').locator('mark').allInnerTexts()).not.toContain('en');
  });

  it('names the place of every hit', async () => {
    const { page } = await open('library=kinds');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByTestId('search').fill('turin');
    await page.getByTestId('hit').getByText('sheet 2, row 14').waitFor();
    await page.getByTestId('hit').getByText('message 5').waitFor();
    await page.getByTestId('search').fill('discount');
    await page.getByTestId('hit').getByText('line 31').waitFor();
  });

  it('says when there is nothing', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByTestId('search').fill('zzzz');
    await page.getByText('Nothing was found for “zzzz”.').waitFor();
  });

  it('says why it failed', async () => {
    const { page } = await open('fail=search');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByTestId('search').fill('water');
    await page.getByText('The search failed').waitFor();
  });
});
