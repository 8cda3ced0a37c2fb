import { getContext, setContext } from 'svelte';
import type { Backend } from '../backend';
import { Conversations } from './conversation.svelte';
import { Library } from './library.svelte';
import { Notices } from './notices.svelte';
import { Search } from './search.svelte';
import { Settings } from './settings.svelte';
import { Viewer } from './viewer.svelte';

export type View = 'ask' | 'search' | 'library';

/** Everything the window shows. */
export class App {
  view = $state<View>('ask');
  /** The folder whose files the library shows; null for all. */
  folder = $state<string | null>(null);
  readonly backend: Backend;
  readonly settings: Settings;
  readonly notices = new Notices();
  readonly library: Library;
  readonly conversations: Conversations;
  readonly search: Search;
  readonly viewer: Viewer;

  constructor(backend: Backend, settings: Settings) {
    this.backend = backend;
    this.settings = settings;
    this.library = new Library(backend, this.notices);
    this.conversations = new Conversations(backend, this.notices);
    this.search = new Search(backend);
    this.viewer = new Viewer(backend);
  }

  async start(): Promise<void> {
    try {
      await this.library.start();
    } catch (thrown) {
      this.notices.fail(thrown);
    }
    await this.conversations.loadList();
  }

  go(view: View): void {
    this.view = view;
    this.viewer.close();
  }

  newQuestion(): void {
    this.conversations.startNew();
    this.go('ask');
  }

  showFolder(path: string): void {
    this.folder = path;
    this.go('library');
  }

  async openPath(path: string): Promise<void> {
    try {
      await this.backend.openPath(path);
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }
}

const KEY = Symbol('app');

export function provideApp(app: App): void {
  setContext(KEY, app);
}

export function useApp(): App {
  return getContext<App>(KEY);
}
