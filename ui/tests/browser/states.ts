import type { Page } from 'playwright-core';
import { ask } from './page';

export interface State {
  query: string;
  /** The way to it, by test ids and the text of this language. */
  go?: (page: Page) => Promise<unknown>;
}

/** Opens the sidebar where the window is too narrow to show it always. */
export async function openMenu(page: Page): Promise<void> {
  const menu = page.getByTestId('menu');
  if (await menu.isVisible()) await menu.click();
}

const view =
  (index: number) =>
  async (page: Page): Promise<void> => {
    await openMenu(page);
    await page.locator('nav button').nth(index).click();
  };

/** Every screen in every state that it has. */
export const STATES: Record<string, State> = {
  'the first start': { query: 'library=empty' },
  'a library that is being opened': { query: 'library=opening' },
  'a library that cannot be opened': {
    query: 'fail=status',
    go: (page) => page.getByTestId('opening').getByRole('alert').waitFor(),
  },
  'an empty question': { query: '' },
  'folders without documents': { query: 'library=bare' },
  'a library without files': { query: 'library=bare', go: view(2) },
  'a history in which nothing has happened': {
    query: 'library=bare',
    go: async (page) => {
      await view(2)(page);
      await page.locator('.library header input[value=history]').check({ force: true });
    },
  },
  'no model': {
    query: 'model=missing',
    go: (page) => page.getByTestId('model-offer').getByRole('button').first().waitFor(),
  },
  'no model that fits': {
    query: 'model=small',
    go: (page) => page.getByTestId('model-offer').getByRole('button').first().waitFor(),
  },
  'a download without a network': {
    query: 'model=offline&speed=50',
    go: async (page) => {
      await page.getByTestId('model-offer').getByRole('button').first().click();
      await page.locator('[data-testid=download][data-state=failed]').waitFor();
    },
  },
  'an answer being written': {
    query: 'ask=hang&speed=20',
    go: async (page) => {
      await page.locator('[data-testid=composer] textarea').fill('How do I end my lease?');
      await page.getByTestId('send').click();
      await page.locator('[data-testid=answer][data-state=writing]').waitFor();
    },
  },
  'an answer with doubts and its passages': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('passages').click();
    },
  },
  'an answer with a table': {
    query: 'library=kinds&speed=50',
    go: (page) => ask(page, 'Which shops sold most, as a table?'),
  },
  'no answer in the documents': {
    query: 'speed=50',
    go: (page) => ask(page, 'Who is president?'),
  },
  'an answer that failed': {
    query: 'ask=fail&speed=50',
    go: async (page) => {
      await page.locator('[data-testid=composer] textarea').fill('How?');
      await page.getByTestId('send').click();
      await page.getByTestId('answer-error').waitFor();
    },
  },
  'a long conversation': {
    query: 'asked=40',
    go: async (page) => {
      await openMenu(page);
      await page.locator('.sidebar ul .title').first().click();
      await page.getByTestId('answer').nth(39).waitFor();
    },
  },
  'the card of a source': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('citation-4').hover();
      await page.getByRole('tooltip').waitFor();
    },
  },
  'what is written from right to left': {
    query: 'library=kinds&speed=50',
    go: async (page) => {
      await ask(page, 'מתי נבנה?');
      await page.getByTestId('citation-2').click();
      await page.getByTestId('highlight').waitFor();
    },
  },
  'small pages beside a source': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('citation-1').first().click();
      await page.getByTestId('show-strip').click();
      await page.getByTestId('strip').locator('.cited').waitFor();
      await page.locator('[data-testid=pdf-canvas][data-drawn=true]').first().waitFor();
    },
  },
  'words found on pages': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('citation-1').first().click();
      await page.getByTestId('viewer').press('Control+f');
      await page.getByTestId('find').fill('tenant');
      await page.getByTestId('found-rect').first().waitFor();
    },
  },
  ...Object.fromEntries(
    [
      ['slides', 1],
      ['a sheet', 2],
      ['a letter', 3],
      ['a chapter', 6],
      ['a file of an archive', 8],
    ].map(([name, citation]) => [
      name,
      {
        query: 'library=kinds&speed=50',
        go: async (page: Page) => {
          await ask(page, 'How did the launch go?');
          await page.getByTestId(`citation-${citation}`).click();
          await page.getByTestId('highlight').first().waitFor();
        },
      },
    ]),
  ),
  'a source by its pages': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('citation-1').first().click();
      await page.locator('[data-testid=pdf-canvas][data-drawn=true]').first().waitFor();
    },
  },
  'pages that wait for OCR': {
    query: 'library=scans&ocr=missing',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('ocr-offer').getByRole('button').waitFor();
    },
  },
  'folders that are away': { query: 'library=away', go: view(2) },
  'an answer asked again without a document': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('passages').click();
      await page.getByTestId('leave-out').first().click();
      await page.getByTestId('rate-up').click();
      await page.getByTestId('edit-search').click();
    },
  },
  'an answer with formulas': {
    query: 'library=kinds&speed=50',
    go: async (page) => {
      await ask(page, 'How warm does the lamp stay?');
      await page.locator('.katex-display').waitFor();
    },
  },
  'code in colours': {
    query: 'library=kinds&speed=50',
    go: async (page) => {
      await ask(page, 'When is delivery free?');
      await page.getByTestId('citation-1').click();
      await page.getByTestId('viewer').locator('.keyword').first().waitFor();
    },
  },
  'a picture': {
    query: 'library=kinds&speed=50',
    go: async (page) => {
      await ask(page, 'When is delivery free?');
      await page.getByTestId('citation-2').click();
      await page.locator('[data-testid=picture] img[data-drawn=true]').waitFor();
    },
  },
  'a source by its text, with words found': {
    query: 'speed=50&source=changed',
    go: async (page) => {
      await ask(page, '费用是多少？');
      await page.getByTestId('citation-1').click();
      await page.getByTestId('highlight').waitFor();
      await page.getByTestId('viewer').press('Control+f');
      await page.getByTestId('find').fill('六');
      await page.getByTestId('found').first().waitFor();
    },
  },
  'a source that is gone': {
    query: 'speed=50&source=missing',
    go: async (page) => {
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('citation-4').click();
      await page.getByTestId('highlight').first().waitFor();
    },
  },
  'where to look': {
    query: 'library=kinds',
    go: async (page) => {
      await page.getByTestId('scope').click();
      await page.getByRole('checkbox').first().check();
      await page.getByRole('checkbox').nth(4).check();
    },
  },
  'where to look, by language and tag': {
    query: 'library=kinds',
    go: async (page) => {
      await view(1)(page);
      await page.getByTestId('search').fill('the');
      await page.getByTestId('scope').click();
      for (const index of [1, 2])
        await page.locator('.popover .columns').nth(index).locator('input').first().check();
    },
  },
  'a document being named': {
    query: '',
    go: async (page) => {
      await page.locator('[data-testid=composer] textarea').fill('@');
      await page.getByTestId('mentions').waitFor();
    },
  },
  'the palette': {
    query: 'library=large',
    go: async (page) => {
      await page.getByTestId('composer').waitFor();
      await page.keyboard.press('Control+k');
      await page.getByTestId('palette').locator('input').fill('le');
      await page.getByRole('option').nth(4).waitFor();
    },
  },
  'an empty search': { query: '', go: view(1) },
  'a search': {
    query: '',
    go: async (page) => {
      await view(1)(page);
      await page.getByTestId('search').fill('water');
      await page.getByTestId('hit').first().waitFor();
    },
  },
  'a search that finds nothing': {
    query: '',
    go: async (page) => {
      await view(1)(page);
      await page.getByTestId('search').fill('zzz');
      await page.locator('.state strong').waitFor();
    },
  },
  'a search that fails': {
    query: 'fail=search',
    go: async (page) => {
      await view(1)(page);
      await page.getByTestId('search').fill('water');
      await page.getByRole('alert').waitFor();
    },
  },
  'thousands of files': {
    query: 'library=large&problem',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('files').waitFor();
      await page.getByTestId('state-failed').click();
    },
  },
  'files being read, with long names': {
    query: 'library=long',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('library-progress').waitFor();
    },
  },
  'the rules of a folder': {
    query: 'fail=rules',
    go: async (page) => {
      await view(2)(page);
      await page.locator('.tools select').selectOption({ index: 1 });
      await page.locator('.tools button').first().click();
      await page.getByTestId('rules').locator('.primary').click();
      await page.getByTestId('rules').getByRole('alert').waitFor();
    },
  },
  'the tags of files': {
    query: 'library=kinds',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('files').locator('thead input').check();
      await page.locator('.states .button').click();
      await page.getByTestId('tags').locator('.own').first().waitFor();
      await page.getByTestId('tags').locator('.field').fill('"');
      await page.getByTestId('tags').locator('form button').click();
      await page.getByTestId('tags').getByRole('alert').waitFor();
    },
  },
  'files that are selected': {
    query: 'library=kinds',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('files').locator('tbody input').first().check();
    },
  },
  'forgetting a file': {
    query: '',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('files').locator('td.actions button').nth(2).click();
      await page.getByRole('dialog').waitFor();
    },
  },
  'deleting everything': {
    query: '',
    go: async (page) => {
      await openMenu(page);
      await page.locator('.foot button').click();
      await page.locator('#settings-privacy ~ button').click();
      await page.getByRole('dialog').waitFor();
    },
  },
  'files that were added': {
    query: '',
    go: async (page) => {
      await view(2)(page);
      await page.locator('.library header .primary').click();
      await page.getByRole('status').waitFor();
    },
  },
  'an error of the library': {
    query: 'fail=add',
    go: async (page) => {
      await view(2)(page);
      await page.locator('.library header .primary').click();
      await page.getByRole('alert').waitFor();
    },
  },
  models: {
    query: '',
    go: async (page) => {
      await view(3)(page);
      await page.getByTestId('model').first().waitFor();
      await page.locator('details summary').last().click();
    },
  },
  'models that cannot be listed': {
    query: 'fail=models',
    go: async (page) => {
      await view(3)(page);
      await page.getByRole('alert').first().waitFor();
    },
  },
  'a password that is wrong': {
    query: '',
    go: async (page) => {
      await view(2)(page);
      await page.getByTestId('files').locator('button.retry').first().click();
      await page.getByTestId('password').locator('input').first().fill('wrong');
      await page.getByTestId('password').locator('.primary').click();
      await page.getByTestId('password').getByRole('alert').waitFor();
    },
  },
  'what happened in the library': {
    query: '',
    go: async (page) => {
      await view(2)(page);
      await page.locator('.library header input[value=history]').check({ force: true });
      await page.getByTestId('history').locator('summary').first().click();
    },
  },
  'an answer in another manner': {
    query: 'speed=50',
    go: async (page) => {
      await ask(page, 'Which variety of tomato was best?');
      await page.getByTestId('adjust').click();
      await page.getByRole('menuitem').first().click();
      await page.locator('[data-testid=answer][data-state=done]').nth(1).waitFor();
      await page.getByTestId('adjust').last().click();
      await page.getByRole('menuitem').nth(9).waitFor();
    },
  },
  'an answer without what has no support': {
    query: 'speed=50',
    go: async (page) => {
      await openMenu(page);
      await page.locator('.foot button').click();
      await page.locator('input[value=drop]').check({ force: true });
      await openMenu(page);
      await page.locator('nav button').first().click();
      await ask(page, 'How do I end my lease?');
      await page.getByTestId('dropped').locator('summary').click();
    },
  },
  'every document being read': {
    query: 'ask=hang&speed=20',
    go: async (page) => {
      await page.getByTestId('thorough').click();
      await page.locator('[data-testid=composer] textarea').fill('List my duties.');
      await page.getByTestId('send').click();
      await page.locator('[role=progressbar][aria-valuenow="20"]').waitFor();
    },
  },
  'a source that says something else now': {
    query: 'speed=50&now=quote_gone',
    go: async (page) => {
      await ask(page, '费用是多少？');
      await page.getByTestId('stale').waitFor();
      await page.getByTestId('citation-1').click();
      await page.getByTestId('source-now').waitFor();
    },
  },
  'a source that has left the library': {
    query: 'speed=50&now=removed',
    go: async (page) => {
      await ask(page, '费用是多少？');
      await page.getByTestId('citation-1').click();
      await page.getByTestId('source-now').waitFor();
    },
  },
  settings: {
    query: '',
    go: async (page) => {
      await openMenu(page);
      await page.locator('.foot button').click();
    },
  },
  'the sidebar': { query: '', go: openMenu },
  'the drop': {
    query: '',
    go: async (page) => {
      await page.getByTestId('composer').waitFor();
      await page.evaluate(() =>
        window.dispatchEvent(new CustomEvent('mock:drag', { detail: 'enter' })),
      );
      await page.getByTestId('drop-overlay').waitFor();
    },
  },
};
