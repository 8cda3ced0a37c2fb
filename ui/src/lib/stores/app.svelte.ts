import { getContext, setContext } from 'svelte';
import { toAppError, type Backend, type Unsubscribe } from '../backend';
import { t, tn, type Locale } from '../messages/index.svelte';
import { conversationJson, conversationMarkdown, fileName } from '../text/markdown';
import { COMMANDS } from './commands';
import { Conversations } from './conversation.svelte';
import { Desktop } from './desktop.svelte';
import { History } from './history.svelte';
import { Library } from './library.svelte';
import { Models } from './models.svelte';
import { Notices } from './notices.svelte';
import { Scope } from './scope.svelte';
import { Search } from './search.svelte';
import { Sources } from './sources.svelte';
import type { Settings, TextSize } from './settings.svelte';
import type { AppError } from '../types';
import { Viewer } from './viewer.svelte';

export type View = 'ask' | 'search' | 'library' | 'models' | 'settings';

/** Everything the window shows. */
export class App {
  view = $state<View>('ask');
  /** Why the library could not be opened, if so. */
  failure = $state.raw<AppError | null>(null);
  /** The list of all commands is shown. */
  palette = $state(false);
  /** The sidebar of a narrow window is shown. */
  menuOpen = $state(false);
  /** The folder whose files the library shows; null for all. */
  folder = $state<string | null>(null);
  readonly backend: Backend;
  readonly settings: Settings;
  readonly notices = new Notices();
  readonly library: Library;
  readonly history: History;
  readonly models: Models;
  readonly conversations: Conversations;
  readonly search: Search;
  readonly viewer: Viewer;
  readonly sources: Sources;
  readonly desktop: Desktop;
  /** Where questions look. */
  readonly scope = new Scope();

  #stopListening: Unsubscribe | null = null;
  #stopMenu: Unsubscribe | null = null;

  constructor(backend: Backend, settings: Settings) {
    this.backend = backend;
    this.settings = settings;
    this.library = new Library(backend, this.notices);
    this.history = new History(backend, this.notices);
    this.models = new Models(backend, this.notices);
    this.sources = new Sources(backend);
    this.conversations = new Conversations(backend, this.notices, () => settings.dropsUnsupported);
    this.search = new Search(
      backend,
      () => this.library.status?.folders.map(({ path }) => path) ?? [],
    );
    this.viewer = new Viewer(backend);
    this.desktop = new Desktop(backend, this.notices);
  }

  /** Opens the library, and follows it from then on. */
  async start(): Promise<void> {
    this.failure = null;
    try {
      this.#stopListening?.();
      this.#stopListening = await this.backend.onApp((event) => {
        if (event.type === 'download') this.models.follow(event.download);
        if (event.type === 'models') void this.models.load();
        if (event.type === 'library') this.lookAtSources();
        if (event.type === 'link') void this.followLink();
        if (event.type === 'added') this.library.tellAdded(event.files);
      });
      this.#stopMenu?.();
      this.#stopMenu = await this.backend.onMenu((command) => COMMANDS[command]?.(this));
      if (this.settings.textSize !== '100') await this.#zoom();
      await this.library.start();
    } catch (thrown) {
      this.failure = toAppError(thrown);
      return;
    }
    await this.conversations.loadList();
    await this.followLink();
  }

  /** Has what is said outside of the page be said in the page's language. */
  async speak(locale: Locale): Promise<void> {
    try {
      await this.backend.setLanguage(locale);
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }

  /** Sees what became of the sources of the conversation that is shown. */
  lookAtSources(): void {
    const { turns } = this.conversations;
    void this.sources.look(turns.flatMap(({ answer }) => answer?.citations ?? []));
  }

  go(view: View): void {
    this.view = view;
    this.menuOpen = false;
    this.viewer.close();
  }

  newQuestion(): void {
    this.conversations.startNew();
    this.go('ask');
  }

  async setTextSize(size: TextSize): Promise<void> {
    this.settings.setTextSize(size);
    try {
      await this.#zoom();
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }

  #zoom(): Promise<void> {
    return this.backend.setZoom(Number(this.settings.textSize) / 100);
  }

  /** Forgets all that the library holds, and begins anew. */
  async deleteEverything(): Promise<void> {
    try {
      await this.backend.deleteEverything();
      this.library.status = await this.backend.status();
    } catch (thrown) {
      this.notices.fail(thrown);
    }
    this.conversations.startNew();
    await this.conversations.loadList();
    this.go('ask');
  }

  /** Shows the passage that a link of the system leads to, if one waits. */
  async followLink(): Promise<void> {
    try {
      const linked = await this.backend.linked();
      if (linked !== null) await this.viewer.open([{ ...linked, n: null }], 0);
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }

  /** Puts a text where the person can paste it from, and says so. */
  async copy(text: string, said: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.notices.inform(said);
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }

  /** Shows a document of the library beside whatever is shown. */
  async showFile(path: string): Promise<void> {
    const reference = { n: null, document: path, page: null, start: 0, end: 0, quote: '' };
    await this.viewer.open([reference], 0);
  }

  /** Writes the conversation that is shown into a file, where the person wants it. */
  async exportConversation(form: 'md' | 'json'): Promise<void> {
    const answers = this.conversations.turns.flatMap(({ answer }) => answer ?? []);
    const [first] = answers;
    if (first === undefined) return;
    try {
      const text = form === 'md' ? conversationMarkdown(answers) : conversationJson(answers);
      const path = await this.backend.saveText(fileName(first.question, form), text);
      if (path !== null) this.notices.inform(t('answer.exported', { path }));
    } catch (thrown) {
      this.notices.fail(thrown);
    }
  }

  /** Writes the rated answers as a question set, where the person wants it. */
  async exportRated(): Promise<void> {
    try {
      const report = await this.backend.exportRated();
      if (report === null) return;
      const { path, questions } = report;
      this.notices.inform(tn('settings.rated.exported', questions, { path }));
    } catch (thrown) {
      this.notices.fail(thrown);
    }
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
