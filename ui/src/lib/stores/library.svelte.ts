import type { Backend, Unsubscribe } from '../backend';
import { t, tn } from '../messages/index.svelte';
import { baseName } from '../text/path';
import type { FileStatus, FolderRules, FolderStatus, Status, TagCount } from '../types';
import type { Notices } from './notices.svelte';

/** The folders, their files, and how far reading them has come. */
export class Library {
  status = $state.raw<Status | null>(null);
  files = $state.raw<FileStatus[]>([]);
  /** The tags in use; known as soon as the files are. */
  tags = $state.raw<TagCount[]>([]);
  filesLoaded = $state(false);
  /** The folder of documents that comes with the application, if there is one. */
  samples = $state<string | null>(null);
  /** The library is known and holds no folder: the person is here for the first time. */
  readonly isEmpty = $derived(this.status !== null && this.status.folders.length === 0);

  readonly #backend: Backend;
  readonly #notices: Notices;
  #watching = 0;
  #fetching = false;
  #stale = false;
  #stopListening: Unsubscribe | null = null;

  constructor(backend: Backend, notices: Notices) {
    this.#backend = backend;
    this.#notices = notices;
  }

  /** Learns the state and follows it from now on. */
  async start(): Promise<void> {
    this.#stopListening?.();
    this.#stopListening = await this.#backend.onApp((event) => {
      if (event.type === 'problem') this.#notices.fail(event.error);
      if (event.type !== 'library') return;
      this.status = event.status;
      if (this.#watching > 0) void this.#loadFiles();
    });
    this.status = await this.#backend.status();
    this.samples = await this.#backend.samples();
  }

  /** Keeps the list of files up to date until the returned function is called. */
  watchFiles(): () => void {
    this.#watching++;
    void this.#loadFiles();
    return () => {
      this.#watching--;
    };
  }

  async add(paths: string[]): Promise<void> {
    if (paths.length === 0) return;
    await this.#attempt(async () => {
      const { added } = await this.#backend.addPaths(paths);
      this.tellAdded(added);
      this.status = await this.#backend.status();
    });
  }

  /** Says how many files were added. */
  tellAdded(files: number): void {
    this.#notices.inform(files > 0 ? tn('notice.added', files) : t('notice.added.none'));
  }

  async addFolders(): Promise<void> {
    await this.#attempt(async () => this.add(await this.#backend.pickFolders()));
  }

  async addFiles(): Promise<void> {
    await this.#attempt(async () => this.add(await this.#backend.pickFiles()));
  }

  async addSamples(): Promise<void> {
    await this.#attempt(async () => {
      this.samples = await this.#backend.samples();
      if (this.samples === null) this.#notices.inform(t('notice.noSamples'));
      else await this.add([this.samples]);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#attempt(async () => {
      await this.#backend.removePath(path);
      this.status = await this.#backend.status();
      if (this.#watching > 0) await this.#loadFiles();
    });
  }

  /** Queues what failed or was called off at or below a path, or everywhere, once more. */
  async retry(path: string | null): Promise<void> {
    await this.#attempt(() => this.#backend.retry(path));
  }

  /** Reads a file that opens with a password only. Rejects a wrong one. */
  async unlock(path: string, password: string): Promise<void> {
    await this.#backend.unlock(path, password);
    this.#notices.inform(t('password.opened', { name: baseName(path) }));
    if (this.#watching > 0) await this.#loadFiles();
  }

  /** Has a file that waits read before the others. */
  async hurry(path: string): Promise<void> {
    await this.#attempt(() => this.#backend.hurry(path));
  }

  /** Changes what inside a folder belongs to the library. Rejects what makes no sense. */
  async setRules(path: string, rules: FolderRules): Promise<void> {
    await this.#backend.setRules(path, rules);
    this.status = await this.#backend.status();
  }

  /** Gives files and folders tags and takes others from them. Rejects what cannot be a tag. */
  async tag(paths: string[], add: string[], remove: string[]): Promise<void> {
    await this.#backend.tag(paths, add, remove);
    if (this.#watching > 0) await this.#loadFiles();
  }

  /** The tags that were given to exactly this file or folder. */
  tagsAt(path: string): Promise<string[]> {
    return this.#backend.tag([path], [], []);
  }

  async toggleFolderPause({ path, paused }: FolderStatus): Promise<void> {
    await this.#attempt(async () => {
      await this.#backend.setFolderPaused(path, !paused);
      this.status = await this.#backend.status();
    });
  }

  /** Calls off the reading of what waits at or below a path, or everywhere. */
  async callOff(path: string | null): Promise<void> {
    await this.#attempt(() => this.#backend.callOff(path));
  }

  async togglePause(): Promise<void> {
    await this.#attempt(async () => {
      await (this.status?.paused ? this.#backend.resume() : this.#backend.pause());
      this.status = await this.#backend.status();
    });
  }

  /** One call at a time; changes meanwhile are fetched by one more. */
  async #loadFiles(): Promise<void> {
    if (this.#fetching) {
      this.#stale = true;
      return;
    }
    this.#fetching = true;
    await this.#attempt(async () => {
      do {
        this.#stale = false;
        [this.files, this.tags] = await Promise.all([this.#backend.files(), this.#backend.tags()]);
        this.filesLoaded = true;
      } while (this.#stale);
    });
    this.#fetching = false;
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      this.#notices.fail(thrown);
    }
  }
}
