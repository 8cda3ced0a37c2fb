import { emit } from '@tauri-apps/api/event';
import { clearMocks, mockIPC, mockWindows } from '@tauri-apps/api/mocks';
import { afterEach, describe, expect, it } from 'vitest';
import type { DragPhase } from '../../src/lib/backend';
import { tauri } from '../../src/lib/backend/tauri';
import { newRequest } from '../../src/lib/stores/conversation.svelte';
import type { AppEvent, AskEvent, SearchRequest } from '../../src/lib/types';

afterEach(clearMocks);

const search: SearchRequest = {
  query: 'rent',
  k: 5,
  mode: 'hybrid',
  filter: { in: [], not_in: [], type: [], since: null, until: null },
};

describe('the commands', () => {
  it.each<[string, unknown, () => Promise<unknown>]>([
    ['status', {}, () => tauri.status()],
    ['files', {}, () => tauri.files()],
    ['add_paths', { paths: ['/a'] }, () => tauri.addPaths(['/a'])],
    ['remove_path', { path: '/a' }, () => tauri.removePath('/a')],
    ['retry', { path: '/a' }, () => tauri.retry('/a')],
    ['unlock', { path: '/a', password: 'b' }, () => tauri.unlock('/a', 'b')],
    ['history', { before: 7, limit: 9 }, () => tauri.history(7, 9)],
    [
      'sources_now',
      { quoted: [{ document: '/a', content: null, quote: 'b' }] },
      () => tauri.sourcesNow([{ document: '/a', content: null, quote: 'b' }]),
    ],
    ['linked', {}, () => tauri.linked()],
    ['desktop', {}, () => tauri.desktop()],
    ['set_autostart', { on: true }, () => tauri.setAutostart(true)],
    ['close_window', {}, () => tauri.closeWindow()],
    ['pause', {}, () => tauri.pause()],
    ['resume', {}, () => tauri.resume()],
    ['search', { request: search }, () => tauri.search(search)],
    ['stop', {}, () => tauri.stop()],
    ['conversations', {}, () => tauri.conversations()],
    ['conversation', { id: 7 }, () => tauri.conversation(7)],
    ['find_conversations', { words: 'a' }, () => tauri.findConversations('a')],
    ['rate', { answer: 3, rating: 'up' }, () => tauri.rate(3, 'up')],
    [
      'tag',
      { paths: ['/a', '/b'], add: ['tax'], remove: [] },
      () => tauri.tag(['/a', '/b'], ['tax'], []),
    ],
    ['tags', {}, () => tauri.tags()],
    ['hurry', { path: '/a' }, () => tauri.hurry('/a')],
    ['call_off', { path: null }, () => tauri.callOff(null)],
    ['export_rated', {}, () => tauri.exportRated()],
    [
      'set_desktop_settings',
      { settings: { keep_watching: true, notify: false, shortcut: 'F9' } },
      () => tauri.setDesktopSettings({ keep_watching: true, notify: false, shortcut: 'F9' }),
    ],
    ['delete_conversation', { id: 7 }, () => tauri.deleteConversation(7)],
    ['source', { path: '/a' }, () => tauri.source('/a')],
    [
      'places',
      { path: '/a', ranges: [{ start: 1, end: 2 }] },
      () => tauri.places('/a', [{ start: 1, end: 2 }]),
    ],
    ['open_path', { path: '/a' }, () => tauri.openPath('/a')],
    ['samples', {}, () => tauri.samples()],
  ])('%s takes %j', async (command, args, call) => {
    const calls: unknown[] = [];
    mockIPC((name, payload) => {
      calls.push([name, payload]);
      return 'reply';
    });
    expect(await call()).toBe('reply');
    expect(calls).toEqual([[command, args]]);
  });

  it('take bytes as they are', async () => {
    mockIPC((name, payload) => {
      expect([name, payload]).toEqual(['document_bytes', { path: '/a', start: 3, length: 2 }]);
      return new Uint8Array([37, 80]).buffer;
    });
    expect([...(await tauri.documentBytes('/a', 3, 2))]).toEqual([37, 80]);
  });

  it.each([
    ['folders', true, () => tauri.pickFolders()],
    ['files', false, () => tauri.pickFiles()],
  ])('asks for %s, and takes a no', async (_, directory, pick) => {
    mockIPC((name, payload) => {
      expect(name).toBe('plugin:dialog|open');
      expect(payload).toMatchObject({ options: { directory, multiple: true } });
      return null;
    });
    expect(await pick()).toEqual([]);
  });
});

it('hands on the events of an answer, in order', async () => {
  const events: AskEvent[] = [
    { type: 'passages', standalone_question: 'Why?', passages: [] },
    { type: 'text', delta: 'Be' },
    { type: 'text', delta: 'cause.' },
  ];
  mockIPC((name, payload) => {
    expect(name).toBe('ask');
    const { request, channel } = payload as { request: unknown; channel: { id: number } };
    expect(request).toMatchObject({ question: 'Why?' });
    events.forEach((message, index) => {
      // The way Tauri calls a channel from Rust.
      const { runCallback } = (window as unknown as TauriWindow).__TAURI_INTERNALS__;
      runCallback(channel.id, { index, message });
    });
  });
  const received: AskEvent[] = [];
  await tauri.ask(newRequest('Why?'), (event) => received.push(event));
  expect(received).toEqual(events);
});

interface TauriWindow {
  __TAURI_INTERNALS__: { runCallback: (id: number, data: unknown) => void };
}

it('hears what the application tells everybody', async () => {
  mockIPC(() => undefined, { shouldMockEvents: true });
  const received: AppEvent[] = [];
  await tauri.onApp((event) => received.push(event));
  const event: AppEvent = { type: 'problem', error: { code: 'library', message: 'No.', hint: '' } };
  await emit('app', event);
  expect(received).toEqual([event]);
});

it('hears what is chosen in the menu bar', async () => {
  mockIPC(() => undefined, { shouldMockEvents: true });
  const received: string[] = [];
  await tauri.onMenu((command) => received.push(command));
  await emit('menu', 'library');
  expect(received).toEqual(['library']);
});

it('follows files that are dragged over the window', async () => {
  mockWindows('main');
  mockIPC(() => undefined, { shouldMockEvents: true });
  const received: DragPhase[] = [];
  await tauri.onDrag((phase) => received.push(phase));
  const position = { x: 1, y: 1 };
  await emit('tauri://drag-enter', { paths: ['/a'], position });
  await emit('tauri://drag-over', { position });
  await emit('tauri://drag-leave', null);
  await emit('tauri://drag-drop', { paths: ['/a'], position });
  expect(received).toEqual(['enter', 'leave', 'drop']);
});
