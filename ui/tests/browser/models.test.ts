import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { expectContrast, withBrowser } from './page';

const open = withBrowser();

async function openModels(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  await page.getByTestId('models').waitFor();
}

describe('the first minutes', () => {
  it('lead from the samples over the recommended model to the first answer', async () => {
    const { page, complaints } = await open('library=empty&model=missing&speed=10');
    await page.getByRole('button', { name: 'Try the samples' }).click();
    const offer = page.getByTestId('model-offer');
    await offer.getByText('Qwen3 4B fits best').waitFor();
    await offer.getByText('An answer begins after about 5.4 s').waitFor();
    expect(await page.locator('[data-testid=composer] textarea').isDisabled()).toBe(true);
    await offer.getByRole('button', { name: /Get it/ }).click();
    await page.getByTestId('download').waitFor();
    await offer.waitFor({ state: 'detached' });
    await page.getByTestId('sample-questions').getByRole('button').first().click();
    await page.locator('[data-testid=answer][data-state=done]').waitFor();
    expect(complaints).toEqual([]);
  });

  it('let one search while the model is being fetched', async () => {
    const { page } = await open('model=missing');
    await page
      .getByTestId('model-offer')
      .getByRole('button', { name: /Get it/ })
      .click();
    await page
      .getByTestId('download')
      .getByText(/of 2.5 GB/)
      .waitFor();
    await page.getByTestId('model-offer').getByRole('button', { name: 'Search instead' }).click();
    await page.getByTestId('search').fill('water');
    await page.getByTestId('hit').first().waitFor();
    await page
      .getByRole('navigation')
      .getByText(/^\d+ %$/)
      .waitFor();
    await page.getByText('Qwen3 4B is ready').waitFor();
  });

  it('say so where no model fits', async () => {
    const { page } = await open('model=small');
    await page.getByRole('heading', { name: 'No model for answers fits this computer' }).waitFor();
  });
});

describe('models', () => {
  it('are paused, go on, and are thrown away', async () => {
    const { page } = await open('model=missing');
    await openModels(page);
    const row = page.locator('[data-testid=model][data-id="qwen3-1.7b-q4_k_m"]');
    await row.getByRole('button', { name: 'Get Qwen3 1.7B' }).click();
    await row.getByRole('button', { name: 'Pause' }).click();
    await row.getByText('Paused').waitFor();
    await row.getByRole('button', { name: 'Go on' }).click();
    await row.getByRole('button', { name: 'Pause' }).waitFor();
    await row.getByRole('button', { name: 'Cancel' }).click();
    await row.getByRole('button', { name: 'Get Qwen3 1.7B' }).waitFor();
  });

  it('say why a download stopped, and what to do', async () => {
    const { page } = await open('model=offline&speed=10');
    await openModels(page);
    await page.getByRole('button', { name: 'Get Qwen3 4B' }).click();
    await page.getByText('The connection was lost. Check the network').first().waitFor();
    await page.getByRole('button', { name: 'Go on' }).first().waitFor();
  });

  it('are not offered where they do not fit', async () => {
    const { page } = await open('');
    await openModels(page);
    expect(await page.getByRole('button', { name: 'Get Qwen3 32B' }).isDisabled()).toBe(true);
    await page.getByText('Needs more memory than this computer has.').waitFor();
  });

  it('of other programs can be used, and removed again', async () => {
    const { page } = await open('');
    await openModels(page);
    await page.getByRole('button', { name: 'Use llama3.2:3b' }).click();
    const row = page.getByTestId('model').filter({ hasText: 'llama3.2:3b' });
    await row.getByText('in use').waitFor();
    await row.getByRole('button', { name: 'Remove llama3.2:3b' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Questions are answered with it at present.').waitFor();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await row.waitFor({ state: 'detached' });
    // What searches by meaning stays.
    expect(await page.getByRole('button', { name: 'Remove multilingual-e5-small' }).count()).toBe(
      0,
    );
  });

  it('take the wishes of the person', async () => {
    const { page } = await open('');
    await openModels(page);
    await page.getByText('How the model runs').click();
    await page.getByLabel('Your wishes for answers').fill('Answer briefly.');
    await page.getByLabel('Variety').fill('9');
    await page.getByLabel('Minutes until it rests').fill('5');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await openModels(page);
    await page.getByText('How the model runs').click();
    expect(await page.getByLabel('Your wishes for answers').inputValue()).toBe('Answer briefly.');
    expect(await page.getByLabel('Minutes until it rests').inputValue()).toBe('5');
    // Beyond what is allowed, so it was not taken.
    expect(await page.getByLabel('Variety').inputValue()).toBe('0');
  });

  it('say what went wrong', async () => {
    const { page } = await open('fail=models');
    await openModels(page);
    await page.getByRole('alert').getByText('The disk is full.').first().waitFor();
  });

  it.each(['light', 'dark'] as const)('can be read in a %s window', async (colorScheme) => {
    const { page } = await open('model=missing', { colorScheme });
    await page.getByTestId('model-offer').waitFor();
    await expectContrast(page);
    await openModels(page);
    await page.getByText('How the model runs').click();
    await expectContrast(page);
  });
});
