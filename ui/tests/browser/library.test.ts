import type { Locator } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { expectContrast, withBrowser } from './page';

const open = withBrowser();

describe('the first run', () => {
  it('says what to do, and reads the first folder to the end', async () => {
    const { page, complaints } = await open('library=empty&speed=8');
    const welcome = page.getByTestId('welcome');
    await welcome.getByRole('heading').waitFor();
    await welcome.getByRole('button', { name: 'Add folder' }).click();
    const folder = page.getByTestId('folder');
    await folder.getByText('Research').waitFor();
    await folder.getByRole('progressbar', { name: /by words/ }).waitFor();
    await folder.getByRole('progressbar', { name: /by meaning/ }).waitFor();
    await folder.getByText('12 documents · 1 failed').waitFor();
    await expect.poll(() => folder.getByRole('progressbar').count()).toBe(0);
    await page.getByRole('heading', { name: 'What would you like to know?' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('offers the samples', async () => {
    const { page } = await open('library=empty&speed=50');
    await page.getByRole('button', { name: 'Try the samples' }).click();
    await page.getByTestId('folder').getByText('samples').waitFor();
  });

  it('shows that folders can be dropped, and takes them', async () => {
    const { page } = await open('library=empty&speed=50');
    await page.getByTestId('welcome').waitFor();
    const drag = (phase: string): Promise<unknown> =>
      page.evaluate(
        (detail) => window.dispatchEvent(new CustomEvent('mock:drag', { detail })),
        phase,
      );
    await drag('enter');
    await page.getByTestId('drop-overlay').waitFor();
    await drag('leave');
    await page.getByTestId('drop-overlay').waitFor({ state: 'detached' });
    await drag('enter');
    await drag('drop');
    await page.getByTestId('drop-overlay').waitFor({ state: 'detached' });
    await page.getByTestId('folder').getByText('Dropped').waitFor();
  });
});

describe('a library that cannot be opened', () => {
  it('says why, and is tried again', async () => {
    const { page } = await open('fail=status');
    const opening = page.getByTestId('opening');
    await opening.getByRole('alert').getByText('The disk is full.').waitFor();
    await opening.getByRole('button', { name: 'Try again' }).click();
    await opening.getByRole('alert').waitFor();
  });

  it('says that it is being opened where that takes long', async () => {
    const { page } = await open('library=opening');
    await page.getByRole('heading', { name: 'Opening your library' }).waitFor();
  });
});

it('a message moves nothing of what is shown', async () => {
  const { page } = await open('fail=add');
  await page.getByRole('button', { name: 'Library', exact: true }).click();
  const title = page.getByRole('heading', { name: 'Library' });
  const before = await title.boundingBox();
  await page.locator('.library header .primary').click();
  await page.getByRole('alert').waitFor();
  expect(await title.boundingBox()).toEqual(before);
});

describe('the library', () => {
  it('pauses and resumes reading', async () => {
    const { page } = await open('library=empty');
    await page.getByTestId('welcome').getByRole('button', { name: 'Add folder' }).click();
    await page.getByRole('button', { name: 'Pause reading' }).click();
    await page.getByText('Paused').waitFor();
    await page.getByRole('button', { name: 'Resume reading' }).click();
    await page.getByText(/^Reading Document/).waitFor();
  });

  it('shows why files failed, and tries them again', async () => {
    const { page } = await open('speed=20&library=large');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('combobox', { name: 'Folder' }).selectOption('Flat');
    await page.getByTestId('state-failed').click();
    await page.getByText('This file is protected by a password.').waitFor();
    expect(await page.getByTestId('files').locator('tbody tr').count()).toBe(1);
    expect(await page.getByRole('button', { name: 'Try again: Old contract.pdf' }).count()).toBe(0);
    await page.getByRole('combobox', { name: 'Folder' }).selectOption('Archive');
    const damaged = page.getByRole('row').filter({ hasText: 'Letter 0008.pdf' });
    await damaged.getByText('The file is damaged').waitFor();
    await damaged.getByRole('button', { name: 'Try again: Letter 0008.pdf' }).click();
    await damaged.waitFor({ state: 'detached' });
  });

  it('opens a file with its password, which the keyboard alone can give', async () => {
    const { page, complaints } = await open('speed=20');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('button', { name: 'Enter password: Old contract.pdf' }).press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Open Old contract.pdf' });
    await dialog.getByText('is kept nowhere').waitFor();
    const field = dialog.getByLabel('Password', { exact: true });
    expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await field.getAttribute('type')).toBe('password');
    await page.keyboard.type('secretly');
    await dialog.getByLabel('Show the password').check();
    expect(await field.getAttribute('type')).toBe('text');
    await field.press('Enter');
    await dialog.getByRole('alert').getByText('This password does not open the file.').waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    await field.fill('secret');
    await field.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('Old contract.pdf is open and is being added').waitFor();
    await page.getByRole('button', { name: 'Show Old contract.pdf' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('tells what happened, day by day', async () => {
    const { page } = await open('speed=20');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('radio', { name: 'History' }).check({ force: true });
    const history = page.getByTestId('history');
    const row = (words: string): Locator =>
      history.getByRole('listitem').filter({ hasText: words });
    await row('Forgotten').getByText('12 files').waitFor();
    await row('Failed').getByText('This file is protected by a password.').waitFor();
    await row('Moved').getByText('from /home/ada/Downloads/Lease.pdf').waitFor();
    await row('Removed').getByText('Draft.docx').waitFor();
    const added = row('Added').first();
    await added.getByText(/^\d+ files$/).click();
    await added.getByRole('button', { name: 'Garden.md' }).click();
    await page.getByTestId('viewer').getByText('Garden notes').first().waitFor();
    expect(await history.getByRole('heading').allInnerTexts()).toEqual(['14 Mar 2026']);
    await page.getByRole('radio', { name: 'Files' }).check({ force: true });
    await page.getByTestId('files').waitFor();
  });

  it('tells of earlier things where that is wanted', async () => {
    const { page } = await open('library=large');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('radio', { name: 'History' }).check({ force: true });
    const headings = page.getByTestId('history').getByRole('heading');
    await page.getByTestId('history').getByText('12 files').waitFor();
    const before = await headings.count();
    await page.getByRole('button', { name: 'Earlier' }).click();
    await expect.poll(() => headings.count()).toBeGreaterThan(before);
  });

  it('counts what each document is divided into', async () => {
    const { page } = await open('library=kinds');
    await page.getByRole('button', { name: 'Show the files of Work' }).click();
    const row = (name: string): Locator => page.getByRole('row').filter({ hasText: name });
    await row('Launch plan.pptx').getByText('3 slides').waitFor();
    await row('Sales.xlsx').getByText('2 sheets').waitFor();
    await row('Team.mbox').getByText('5 messages').waitFor();
    await row('Press.zip').getByText('7 files').waitFor();
  });

  it('stays quick with three thousand files', async () => {
    const { page } = await open('library=large');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    const table = page.getByTestId('files');
    await table.waitFor();
    expect(await table.getAttribute('aria-rowcount')).toBe('3009');
    const rows = table.locator('tbody tr');
    expect(await rows.count()).toBeLessThan(50);
    const region = page.getByRole('region', { name: 'Files' });
    await region.evaluate((element) => (element.scrollTop = element.scrollHeight));
    await page.getByText('Letter 3000.pdf').waitFor();
    expect(await rows.count()).toBeLessThan(50);
    await page.getByTestId('file-filter').fill('letter 0107');
    await page.getByText('Letter 0107.pdf').waitFor();
    await expect.poll(() => rows.count()).toBe(1);
  });

  it('forgets a single file only after asking', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('button', { name: 'Forget Garden.md' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click();
    await expect.poll(() => page.getByText('Garden.md').count()).toBe(0);
    await page.getByText('Long book.txt').waitFor();
  });

  it('gives a file a tag and takes it again, with the keyboard alone', async () => {
    const { page, complaints } = await open('');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('button', { name: 'Tags of Garden.md' }).press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Tags of Garden.md' });
    await dialog.getByText('No tags yet.').waitFor();
    await page.keyboard.type('Allotment, 2026');
    await page.keyboard.press('Enter');
    await dialog.getByRole('listitem').filter({ hasText: 'allotment' }).waitFor();
    await page.keyboard.type('"');
    await page.keyboard.press('Enter');
    await dialog.getByRole('alert').getByText('without commas and quotation marks').waitFor();
    await dialog.getByRole('button', { name: 'Remove the tag 2026' }).press('Enter');
    await dialog.getByRole('listitem').filter({ hasText: '2026' }).waitFor({ state: 'detached' });
    expect(await page.locator(':focus').getAttribute('placeholder')).toBe('New tag');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    const row = page.getByRole('row').filter({ hasText: 'Garden.md' });
    expect(await row.getByRole('listitem').allInnerTexts()).toEqual(['allotment']);
    await page.getByTestId('file-filter').fill('allot');
    await expect.poll(() => page.getByTestId('files').locator('tbody tr').count()).toBe(1);
    expect(complaints).toEqual([]);
  });

  it('gives several files a tag', async () => {
    const { page } = await open('library=kinds');
    await page.getByRole('button', { name: 'Show the files of Flat' }).click();
    const rows = page.getByTestId('files').locator('tbody tr');
    const all = await rows.count();
    await page.getByRole('checkbox', { name: 'Select Lease agreement.pdf' }).check();
    await page
      .getByRole('checkbox', { name: 'Select Floor plan.dwg' })
      .click({ modifiers: ['Shift'] });
    await page.getByText(`${all} files selected`).waitFor();
    await page.getByRole('checkbox', { name: 'Select Boiler manual.pdf' }).press('Space');
    await page.getByText(`${all - 1} files selected`).waitFor();
    await page.locator('.states').getByRole('button', { name: 'Tags' }).click();
    const dialog = page.getByTestId('tags');
    await dialog.getByText(`1 of ${all - 1}`).waitFor();
    await dialog.getByRole('button', { name: 'Add the tag 2026' }).click();
    await dialog.getByText(`1 of ${all - 1}`).waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Done' }).click();
    expect(await rows.getByText('2026', { exact: true }).count()).toBe(all - 1);
    // What the filter hides is selected no more.
    await page.getByTestId('file-filter').fill('Lease');
    await page.getByText('1 file selected').waitFor();
    await page.getByRole('checkbox', { name: 'Select all files that are shown' }).press('Space');
    await page.getByText('1 file selected').waitFor({ state: 'detached' });
  });

  it('gives a folder a tag, which only the folder can lose', async () => {
    const { page } = await open('library=kinds');
    await page.getByRole('button', { name: 'Show the files of Work' }).click();
    const row = page.getByRole('row').filter({ hasText: 'Sales.xlsx' });
    await row.getByRole('button', { name: 'Tags of Sales.xlsx' }).click();
    const dialog = page.getByTestId('tags');
    await dialog
      .getByRole('listitem')
      .filter({ hasText: 'work' })
      .getByText('from a folder')
      .waitFor();
    expect(await dialog.getByRole('button', { name: 'Remove the tag work' }).count()).toBe(0);
    await dialog.getByRole('button', { name: 'Remove the tag 2026' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.tools').getByRole('button', { name: 'Tags' }).click();
    await page.getByRole('dialog', { name: 'Tags of Work' }).waitFor();
    await dialog.getByRole('button', { name: 'Remove the tag work' }).click();
    await dialog.getByText('No tags yet.').waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await expect.poll(() => row.getByRole('listitem').allInnerTexts()).toEqual(['2026']);
  });

  it('shows how far reading is, and calls single files off', async () => {
    const { page } = await open('library=empty&speed=0.2');
    await page.getByTestId('welcome').getByRole('button', { name: 'Add folder' }).click();
    await page.getByRole('button', { name: 'Show the files of Research' }).click();
    await page.getByTestId('library-progress').getByText('0 of 13 files read').waitFor();
    await page.getByRole('button', { name: 'Skip Document 5.pdf' }).click();
    await page.getByText('You skipped this file. You can try it again.').waitFor();
    await page.getByRole('button', { name: 'Try again: Document 5.pdf' }).click();
    await page.getByRole('button', { name: 'Skip Document 5.pdf' }).waitFor();
  });

  it('keeps the rules of a folder, and says what is wrong with them', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Show the files of Flat' }).click();
    await page.getByRole('button', { name: 'Rules' }).click();
    const rules = page.getByTestId('rules');
    await rules.getByLabel('Leave out').fill('[');
    await rules.getByRole('button', { name: 'Save' }).click();
    await rules.getByRole('alert').getByText('Write patterns as in .gitignore').waitFor();
    await rules.getByLabel('Leave out').fill('*.log\n\ndrafts/');
    await rules.getByLabel('PDF').check();
    await rules.getByLabel('No files larger than, in MB').fill('40');
    await rules.getByRole('button', { name: 'Save' }).click();
    await rules.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Rules' }).click();
    expect(await rules.getByLabel('Leave out').inputValue()).toBe('*.log\ndrafts/');
    expect(await rules.getByLabel('PDF').isChecked()).toBe(true);
    expect(await rules.getByLabel('Text', { exact: true }).isChecked()).toBe(false);
    expect(await rules.getByLabel('No files larger than, in MB').inputValue()).toBe('40');
  });

  it('pauses a single folder', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Show the files of Flat' }).click();
    await page.getByRole('button', { name: 'Pause folder' }).click();
    await page.getByRole('button', { name: 'Resume folder' }).click();
    await page.getByRole('button', { name: 'Pause folder' }).waitFor();
  });

  it('removes a folder only after asking', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Show the files of Flat' }).click();
    await page.getByText('Lease agreement.pdf').waitFor();
    expect(await page.getByText('Garden.md').count()).toBe(0);
    await page.getByRole('button', { name: 'Remove folder' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await page.getByTestId('folder').count()).toBe(2);
    await page.getByRole('button', { name: 'Remove folder' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await expect.poll(() => page.getByTestId('folder').count()).toBe(1);
    await page.getByText('Garden.md').waitFor();
  });

  it('opens a document at its beginning', async () => {
    const { page } = await open('');
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByRole('button', { name: 'Show Garden.md' }).click();
    await page.getByTestId('viewer').getByText('Carrots failed again').waitFor();
    expect(await page.getByTestId('highlight').count()).toBe(0);
  });

  it('tells what went wrong without standing in the way', async () => {
    const { page } = await open('fail=add&problem');
    await page.getByRole('button', { name: 'Add folder' }).click();
    await page.getByText('The disk is full.').waitFor();
    await page.getByText('Free some space and try again.').waitFor();
    await page.getByTestId('problem').getByText('The index cannot be written.').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await page.getByText('The disk is full.').waitFor({ state: 'detached' });
  });
});

describe.each(['light', 'dark'] as const)('in a %s window', (colorScheme) => {
  it('every text can be read', async () => {
    const { page, complaints } = await open('library=empty', { colorScheme });
    await page.getByTestId('welcome').waitFor();
    expect(await page.locator('html').getAttribute('data-theme')).toBe(colorScheme);
    await expectContrast(page);
    await page.goto(page.url().replace('library=empty', 'library=large&problem'));
    await page.getByRole('button', { name: 'Library', exact: true }).click();
    await page.getByTestId('files').waitFor();
    await expectContrast(page);
    expect(complaints).toEqual([]);
  });
});

describe('what waits', () => {
  it('for OCR is said, with the way to get its model', async () => {
    const { page } = await open('library=scans&ocr=missing&speed=20');
    await page.getByRole('button', { name: 'Library' }).click();
    const offer = page.getByTestId('ocr-offer');
    await offer.getByText('14 pages are pictures.').waitFor();
    await page.getByRole('button', { name: /Get text recognition for Handover/ }).waitFor();
    await offer.getByRole('button', { name: /^Get it/ }).click();
    await page
      .getByTestId('library-progress')
      .getByText('14 pages that are pictures wait')
      .waitFor();
    await offer.waitFor({ state: 'detached' });
  });

  it('for another embedder is said', async () => {
    const { page } = await open('library=next');
    await page.getByRole('button', { name: 'Library' }).click();
    await page.getByText('Preparing search by meaning with bge-m3').waitFor();
  });

  it('can be skipped and queued again, for a folder and one by one', async () => {
    const { page } = await open('speed=0.2');
    await page.getByRole('button', { name: 'Library' }).click();
    await page.getByRole('button', { name: 'Add folder' }).first().click();
    await page.getByRole('button', { name: 'Read Document 9.pdf next' }).click();
    await page.getByLabel('Folder', { exact: true }).selectOption({ label: 'Research' });
    await page.getByRole('button', { name: 'Skip waiting files' }).last().click();
    await page.getByRole('button', { name: 'Try again: Document 5.pdf' }).click();
    await page.getByRole('button', { name: 'Skip Document 5.pdf' }).waitFor();
  });
});

it('says which folders are away and which are looked at now and then', async () => {
  const { page } = await open('library=away');
  const folders = page.getByTestId('folder');
  await folders.filter({ hasText: 'Notes' }).getByText('Cannot be found').waitFor();
  await folders.filter({ hasText: 'Flat' }).getByText('Checked now and then').waitFor();
  await page.getByRole('button', { name: 'Library' }).click();
  await page.getByText('Not connected').first().waitFor();
});
