import { describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../src/lib/backend';
import { createMock } from '../../src/lib/backend/mock';
import { Conversations, newRequest } from '../../src/lib/stores/conversation.svelte';
import { Library } from '../../src/lib/stores/library.svelte';
import { Notices } from '../../src/lib/stores/notices.svelte';
import { Scope } from '../../src/lib/stores/scope.svelte';
import { groupByDocument, Search } from '../../src/lib/stores/search.svelte';
import { Viewer } from '../../src/lib/stores/viewer.svelte';
import type { AppEvent } from '../../src/lib/types';
import type { Reference } from '../../src/lib/text/references';

const QUESTION = newRequest('How do I end my lease?');

function mock(parameters = ''): Backend {
  return createMock(new URLSearchParams(`speed=1000&${parameters}`));
}

function conversations(backend: Backend): Conversations {
  return new Conversations(backend, new Notices());
}

describe('a conversation', () => {
  it('follows an answer to its end', async () => {
    const store = conversations(mock());
    const asking = store.ask(QUESTION);
    expect(store.running?.state).toBe('searching');
    await asking;
    const [turn] = store.turns;
    expect(turn?.state).toBe('done');
    expect(turn?.text).toBe(turn?.answer?.answer);
    expect(turn?.answer?.citations.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
    expect(store.running).toBeNull();
    expect(store.id).toBe(1);
    await vi.waitFor(() =>
      expect(store.list.map(({ title }) => title)).toEqual([QUESTION.question]),
    );
  });

  it('goes on where it was', async () => {
    const store = conversations(mock());
    await store.ask(QUESTION);
    await store.ask(newRequest('And the boiler?'));
    expect(store.turns.map((turn) => turn.answer?.conversation)).toEqual([1, 1]);
    store.startNew();
    await store.open(1);
    expect(store.turns.map((turn) => turn.request.question)).toEqual([
      QUESTION.question,
      'And the boiler?',
    ]);
  });

  it('writes one answer at a time', async () => {
    const store = conversations(mock());
    const asking = store.ask(QUESTION);
    await store.ask(newRequest('Another?'));
    await asking;
    expect(store.turns).toHaveLength(1);
  });

  it('keeps what there was when it is stopped', async () => {
    const store = conversations(mock('ask=hang'));
    const asking = store.ask(QUESTION);
    await vi.waitFor(() => expect(store.running?.state).toBe('writing'));
    await store.stop();
    await asking;
    expect(store.turns[0]?.state).toBe('cancelled');
    expect(store.turns[0]?.text).toBe('You');
  });

  it('leaves an answer running while another conversation is shown', async () => {
    const store = conversations(mock());
    await store.ask(QUESTION);
    const asking = store.ask(newRequest('And the boiler?'));
    store.startNew();
    expect(store.running).not.toBeNull();
    await asking;
    expect(store.turns).toEqual([]);
    expect(store.id).toBeNull();
  });

  it.each([
    ['an event says so', mock('ask=fail')],
    ['the call is rejected', { ...mock(), ask: () => Promise.reject(new Error('gone')) }],
  ])('fails when %s, and can be asked again', async (_, backend) => {
    const store = conversations(backend);
    await store.ask(QUESTION);
    const [turn] = store.turns;
    expect(turn?.state).toBe('failed');
    expect(turn?.error?.message).not.toBe('');
    if (turn) await store.askAgain(turn);
    expect(store.turns).toHaveLength(1);
    expect(store.turns[0]).not.toBe(turn);
  });

  it('is gone once it is deleted', async () => {
    const store = conversations(mock());
    await store.ask(QUESTION);
    await store.delete(1);
    expect(store.list).toEqual([]);
    expect(store.turns).toEqual([]);
  });
});

describe('the library', () => {
  it('follows a new folder until everything is settled', async () => {
    const library = new Library(mock('library=empty'), new Notices());
    await library.start();
    expect(library.isEmpty).toBe(true);
    await library.addFolders();
    expect(library.isEmpty).toBe(false);
    await vi.waitFor(() => {
      expect(library.status?.documents).toBe(12);
      expect(library.status?.failed).toBe(1);
      expect(library.status?.embedded_chunks).toBe(library.status?.chunks);
    });
  });

  it('fetches files only while they are watched', async () => {
    const library = new Library(mock(), new Notices());
    await library.start();
    expect(library.files).toEqual([]);
    const stop = library.watchFiles();
    await vi.waitFor(() => expect(library.files).toHaveLength(7));
    await library.remove('/home/ada/Documents/Flat');
    await vi.waitFor(() => expect(library.files).toHaveLength(3));
    stop();
  });

  it('tells what went wrong', async () => {
    const notices = new Notices();
    const library = new Library(mock('fail=add'), notices);
    await library.start();
    await library.addFolders();
    await library.addFolders();
    expect(notices.list.map(({ kind, message }) => [kind, message])).toEqual([
      ['error', 'The disk is full.'],
    ]);
  });
});

it('tells of problems that no command of the person had', async () => {
  const notices = new Notices();
  let send: (event: AppEvent) => void = () => undefined;
  const library = new Library(
    {
      ...mock(),
      onApp: async (listener) => {
        send = listener;
        return () => undefined;
      },
    },
    notices,
  );
  await library.start();
  send({ type: 'problem', error: { code: 'not_found', message: 'It is gone.', hint: 'Look.' } });
  expect(notices.list).toMatchObject([{ kind: 'error', message: 'It is gone.', hint: 'Look.' }]);
});

describe('the viewer', () => {
  const reference: Reference = {
    n: 1,
    document: '/home/ada/Documents/Notes/Garden.md',
    page: null,
    start: 0,
    end: 3,
    quote: 'The variety “Ruthje” gave the most fruit',
  };

  it('finds a passage that has moved', async () => {
    const viewer = new Viewer(mock());
    await viewer.open([reference], 0);
    expect(viewer.source?.title).toBe('Garden notes 🌱');
    const text = [...(viewer.source?.blocks ?? []).map((block) => block.text).join('\n\n')];
    const { start, end } = viewer.highlight ?? { start: 0, end: 0 };
    expect(text.slice(start, end).join('')).toBe(reference.quote);
  });

  it('says so when there is none', async () => {
    const viewer = new Viewer(mock());
    await viewer.open([{ ...reference, quote: 'no such words' }], 0);
    expect(viewer.highlight).toBeNull();
  });

  it('shows the error of a document that cannot be opened', async () => {
    const viewer = new Viewer(mock('fail=source'));
    await viewer.open([reference], 0);
    expect(viewer.error?.message).toBe('The disk is full.');
    viewer.close();
    expect(viewer.isOpen).toBe(false);
  });
});

describe('a search', () => {
  it('groups what it finds by document', async () => {
    const search = new Search(mock(), () => []);
    search.query = 'water';
    await search.search();
    const documents = search.groups.map(({ document }) => document);
    expect(documents).toHaveLength(2);
    expect(groupByDocument(search.reply?.hits ?? [])).toEqual(search.groups);
  });

  it('is made one at a time, and then for what was typed meanwhile', async () => {
    const asked: string[] = [];
    let answer = (): void => undefined;
    const backend = mock();
    const search = new Search(
      {
        ...backend,
        search: async (request) => {
          asked.push(request.query);
          await new Promise<void>((resolve) => (answer = resolve));
          return backend.search(request);
        },
      },
      () => [],
    );
    const typed = [];
    for (const query of ['w', 'wa', 'wat', 'water']) {
      search.query = query;
      typed.push(search.search());
    }
    expect(asked).toEqual(['w']);
    answer();
    await vi.waitFor(() => expect(asked).toEqual(['w', 'water']));
    expect(search.answered).toBe('w');
    answer();
    await Promise.all(typed);
    expect(search.answered).toBe('water');
    search.query = ' ';
    await search.search();
    expect(search.reply).toBeNull();
    expect(asked).toHaveLength(2);
  });
});

it('sends the languages and tags that were chosen', async () => {
  const backend = mock();
  const search = vi.spyOn(backend, 'search');
  const store = new Search(backend, () => []);
  store.query = 'rent';
  store.scope.toggleTag('tax');
  store.scope.toggleLanguage('en');
  await store.search();
  expect(search.mock.lastCall?.[0].filter).toMatchObject({ tag: ['tax'], language: ['en'] });
});

describe('tags', () => {
  const lease = '/home/ada/Documents/Flat/Lease agreement.pdf';

  it('are given and taken by the command, and known with the files', async () => {
    const backend = mock();
    const tag = vi.spyOn(backend, 'tag');
    const library = new Library(backend, new Notices());
    await library.start();
    library.watchFiles();
    await vi.waitFor(() => expect(library.filesLoaded).toBe(true));
    await library.tag([lease], ['Tax, home'], []);
    expect(tag).toHaveBeenLastCalledWith([lease], ['Tax, home'], []);
    expect(library.tags).toEqual([
      { name: 'home', files: 1 },
      { name: 'tax', files: 1 },
    ]);
    await library.tag([lease], [], ['home']);
    expect(tag).toHaveBeenLastCalledWith([lease], [], ['home']);
    expect(library.files.find(({ path }) => path === lease)?.tags).toEqual(['tax']);
    expect(await library.tagsAt(lease)).toEqual(['tax']);
  });

  it('are refused where they cannot be', async () => {
    const library = new Library(mock(), new Notices());
    await expect(library.tag([lease], ['"'], [])).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('a scope', () => {
  it('is a filter, without what has left the library', () => {
    const scope = new Scope();
    expect(scope.isEmpty).toBe(true);
    scope.toggleFolder('/a');
    scope.toggleFolder('/gone');
    scope.addFile('/b/x.pdf');
    scope.addFile('/b/x.pdf');
    scope.toggleKind('sheets');
    scope.toggleLanguage('de');
    scope.toggleLanguage('en');
    scope.toggleLanguage('en');
    scope.toggleTag('tax 2023');
    scope.since = '2026-01-31';
    expect(scope.toFilter(['/a', '/b'])).toEqual({
      in: ['/a', '/b/x.pdf'],
      not_in: [],
      type: ['xlsx', 'xls', 'ods'],
      language: ['de'],
      tag: ['tax 2023'],
      since: '2026-01-31',
      until: null,
    });
    scope.toggleFolder('/a');
    scope.removeFile('/b/x.pdf');
    expect(scope.toFilter(['/a', '/b']).in).toEqual([]);
    scope.clear();
    expect(scope.isEmpty).toBe(true);
  });
});
