import type { Backend } from '../backend';
import type { HistoryEntry } from '../types';
import type { Notices } from './notices.svelte';

/** So many entries are fetched at once. */
const PART = 200;

/** What happened in the library, the latest first. */
export class History {
  entries = $state.raw<readonly HistoryEntry[]>([]);
  loaded = $state(false);
  /** There is more than was fetched. */
  hasMore = $state(false);

  readonly #backend: Backend;
  readonly #notices: Notices;

  constructor(backend: Backend, notices: Notices) {
    this.#backend = backend;
    this.#notices = notices;
  }

  /** Fetches what happened since the last time, and as much of what was before as is shown. */
  async load(): Promise<void> {
    await this.#fetch(null, Math.max(PART, this.entries.length));
  }

  async loadEarlier(): Promise<void> {
    await this.#fetch(this.entries.at(-1)?.id ?? null, PART);
  }

  async #fetch(before: number | null, limit: number): Promise<void> {
    try {
      const entries = await this.#backend.history(before, limit);
      this.entries = before === null ? entries : [...this.entries, ...entries];
      this.hasMore = entries.length === limit;
      this.loaded = true;
    } catch (thrown) {
      this.#notices.fail(thrown);
    }
  }
}
