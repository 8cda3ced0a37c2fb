import { describe, expect, it } from 'vitest';
import { ask, withBrowser } from './page';

const open = withBrowser();

describe('settings', () => {
  it('choose the appearance, and keep it', async () => {
    const { page } = await open('', { colorScheme: 'light' });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByText('Dark', { exact: true }).click();
    const theme = (): Promise<string | null> => page.locator('html').getAttribute('data-theme');
    expect(await theme()).toBe('dark');
    await page.reload();
    await page.getByRole('button', { name: 'Settings' }).waitFor();
    expect(await theme()).toBe('dark');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByText('System', { exact: true }).first().click();
    expect(await theme()).toBe('light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(theme).toBe('dark');
  });

  it('choose the language, and keep it', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByText('简体中文').click();
    await page.getByRole('button', { name: '新问题' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: '您想了解什么？' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans');
  });

  it('close with Escape, and give the focus back', async () => {
    const { page } = await open('');
    const button = page.getByRole('button', { name: 'Settings' });
    await button.click();
    await page.getByRole('dialog').waitFor();
    await page.getByRole('radio', { name: 'Dark' }).focus();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await button.evaluate((element) => element === document.activeElement)).toBe(true);
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
