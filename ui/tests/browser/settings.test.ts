import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { ask, expectContrast, withBrowser } from './page';

const open = withBrowser();

async function openSettings(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByTestId('settings').waitFor();
}

describe('settings', () => {
  it('choose the appearance, and keep it', async () => {
    const { page } = await open('', { colorScheme: 'light' });
    await openSettings(page);
    await page.getByText('Dark', { exact: true }).click();
    const theme = (): Promise<string | null> => page.locator('html').getAttribute('data-theme');
    expect(await theme()).toBe('dark');
    await page.reload();
    await openSettings(page);
    expect(await theme()).toBe('dark');
    await page.getByText('System', { exact: true }).first().click();
    expect(await theme()).toBe('light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(theme).toBe('dark');
  });

  it('choose the language, and keep it', async () => {
    const { page } = await open('');
    await openSettings(page);
    await page.getByText('简体中文').click();
    await page.getByRole('button', { name: '新问题' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: '您想了解什么？' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans');
  });

  it('choose the size of the text, and keep it', async () => {
    const { page } = await open('');
    await openSettings(page);
    const height = async (): Promise<number> =>
      (await page.getByRole('heading', { name: 'Settings' }).boundingBox())?.height ?? 0;
    const before = await height();
    await page.getByText('150 %').click();
    await expect.poll(height).toBeGreaterThan(before * 1.3);
    await page.reload();
    await openSettings(page);
    await expect.poll(height).toBeGreaterThan(before * 1.3);
  });

  it('say what is kept where, and delete it only after asking', async () => {
    const { page } = await open('speed=20');
    await ask(page, 'How do I end my lease?');
    await openSettings(page);
    await page.getByText('Nothing of your documents, questions and answers leaves').waitFor();
    await page.getByText('/home/ada/.local/share/lectern').waitFor();
    await page.getByRole('button', { name: 'Delete everything' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await page.getByTestId('folder').count()).toBe(2);
    await page.getByRole('button', { name: 'Delete everything' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete everything' }).click();
    await page.getByTestId('welcome').waitFor();
    await page.getByText('Your questions will be kept here.').waitFor();
    expect(await page.getByTestId('folder').count()).toBe(0);
  });

  it.each(['light', 'dark'] as const)('can be read in a %s window', async (colorScheme) => {
    const { page } = await open('', { colorScheme });
    await openSettings(page);
    await expectContrast(page);
  });
});

it('speaks Chinese where the system does', async () => {
  const { page, complaints } = await open('speed=20', { locale: 'zh-CN' });
  await page.getByRole('heading', { name: '您想了解什么？' }).waitFor();
  await ask(page, '搬迁什么时候开始？');
  await page.getByText('14 ms 内找到 2 个段落').waitFor();
  await page.getByTestId('citation-1').click();
  await page.getByTestId('highlight').getByText('搬迁定于六月十四日开始').waitFor();
  const words = await page.locator('body').innerText();
  expect(words).not.toMatch(/Library|Folders|Settings|New question/);
  expect(complaints).toEqual([]);
});

it('keeps watching without a window only where that is wanted', async () => {
  const { page } = await open('');
  await openSettings(page);
  const keep = page.getByTestId('keep-watching');
  expect(await keep.isChecked()).toBe(false);
  expect(await page.getByRole('button', { name: 'Quit Lectern' }).count()).toBe(0);
  await keep.check();
  await page.getByRole('button', { name: 'Quit Lectern' }).waitFor();
  await page.getByTestId('notify').uncheck();
  await page.getByRole('button', { name: 'Library' }).click();
  await openSettings(page);
  await expect.poll(() => keep.isChecked()).toBe(true);
  expect(await page.getByTestId('notify').isChecked()).toBe(false);
});

it('saves rated answers as a question set', async () => {
  const { page } = await open('speed=50');
  await ask(page, 'How do I end my lease?');
  await page.getByTestId('rate-up').click();
  await openSettings(page);
  await page.getByRole('button', { name: 'Save as a question set' }).click();
  await page.getByText('1 question saved in /home/ada/Questions').waitFor();
});

it('starts with the session where that is wanted, and says which command brings the window', async () => {
  const { page, complaints } = await open('keys=none', {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await page.getByRole('button', { name: 'Settings' }).click();
  const autostart = page.getByTestId('autostart');
  expect(await autostart.isChecked()).toBe(false);
  await autostart.check();
  await page.getByRole('button', { name: 'New question' }).click();
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect.poll(() => autostart.isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Copy the command' }).click();
  await page.getByText('The command is copied').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toBe('/usr/bin/lectern-desktop');
  expect(complaints).toEqual([]);
});

it('says why it cannot start with the session', async () => {
  const { page } = await open('fail=autostart');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByTestId('autostart').click();
  await page.getByText('The disk is full.').waitFor();
  expect(await page.getByTestId('autostart').isChecked()).toBe(false);
});

describe('keys that bring the window', () => {
  it('are chosen by pressing them, and given up again', async () => {
    const { page, complaints } = await open('');
    await openSettings(page);
    const field = page.getByTestId('shortcut');
    await field.getByRole('button', { name: 'Choose keys' }).click();
    await page.keyboard.press('a');
    await field.getByText('Press the keys').waitFor();
    await page.keyboard.press('Control+Alt+l');
    await expect.poll(() => field.locator('kbd').allInnerTexts()).toEqual(['Ctrl', 'Alt', 'L']);
    await page.getByRole('button', { name: 'Library' }).click();
    await openSettings(page);
    await expect.poll(() => field.locator('kbd').count()).toBe(3);
    await field.getByRole('button', { name: 'Choose keys' }).click();
    await page.keyboard.press('Escape');
    await field.getByRole('button', { name: 'No keys' }).click();
    await expect.poll(() => field.locator('kbd').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('stay as they were where another program has them', async () => {
    const { page } = await open('');
    await openSettings(page);
    const field = page.getByTestId('shortcut');
    await field.getByRole('button', { name: 'Choose keys' }).click();
    await page.keyboard.press('Control+Alt+x');
    await page.getByRole('alert').getByText('another program has them').waitFor();
    expect(await field.locator('kbd').count()).toBe(0);
  });
});

it('follows the menu bar of the system', async () => {
  const { page } = await open('');
  await page.getByTestId('composer').waitFor();
  const choose = (detail: string): Promise<unknown> =>
    page.evaluate(
      (detail) => window.dispatchEvent(new CustomEvent('mock:menu', { detail })),
      detail,
    );
  await choose('settings');
  await page.getByTestId('settings').waitFor();
  await choose('library');
  await page.getByTestId('files').waitFor();
  await choose('new');
  await page.getByTestId('composer').waitFor();
  await choose('palette');
  await page.getByTestId('palette').waitFor();
});

it('names the folders in which something is kept', async () => {
  const { page } = await open('');
  await openSettings(page);
  await page.getByText('/home/ada/.config/app.lectern.desktop').waitFor();
});
