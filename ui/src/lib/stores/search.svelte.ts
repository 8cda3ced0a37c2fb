import { toAppError, type Backend } from '../backend';
import { Scope } from './scope.svelte';
import type { AppError, Hit, SearchMode, SearchReply } from '../types';

/** The hits of one document. */
export interface HitGroup {
  document: string;
  hits: Hit[];
}

const LIMIT = 40;

/** Searching while the person types. */
export class Search {
  query = $state('');
  mode = $state<SearchMode>('hybrid');
  readonly scope = new Scope();
  reply = $state.raw<SearchReply | null>(null);
  /** The query that the reply answers. */
  answered = $state('');
  error = $state.raw<AppError | null>(null);
  readonly groups = $derived(groupByDocument(this.reply?.hits ?? []));

  readonly #backend: Backend;
  /** The folders of the library. */
  readonly #folders: () => readonly string[];
  #searching = false;
  #stale = false;

  constructor(backend: Backend, folders: () => readonly string[]) {
    this.#backend = backend;
    this.#folders = folders;
  }

  /**
   * Searches at once, with every key. One search at a time: what is typed meanwhile is searched for
   * after it, so that a slow one is not joined by others.
   */
  async search(): Promise<void> {
    this.#stale = true;
    if (this.#searching) return;
    this.#searching = true;
    while (this.#stale) {
      this.#stale = false;
      await this.#once();
    }
    this.#searching = false;
  }

  async #once(): Promise<void> {
    const query = this.query.trim();
    if (query === '') {
      this.reply = null;
      this.error = null;
      return;
    }
    const filter = this.scope.toFilter(this.#folders());
    try {
      const reply = await this.#backend.search({ query, k: LIMIT, mode: this.mode, filter });
      this.reply = reply;
      this.answered = query;
      this.error = null;
    } catch (thrown) {
      this.error = toAppError(thrown);
    }
  }
}

/** Documents in the order of their best hit, each with its hits in order. */
export function groupByDocument(hits: readonly Hit[]): HitGroup[] {
  const groups: HitGroup[] = [];
  for (const hit of hits) {
    const group = groups.find(({ document }) => document === hit.document);
    if (group) group.hits.push(hit);
    else groups.push({ document: hit.document, hits: [hit] });
  }
  return groups;
}
