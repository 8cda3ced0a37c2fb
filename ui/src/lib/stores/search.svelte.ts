import { toAppError, type Backend } from '../backend';
import { Scope } from './scope.svelte';
import type { AppError, Hit, SearchMode, SearchReply } from '../types';

/** The hits of one document. */
export interface HitGroup {
  document: string;
  hits: Hit[];
}

const LIMIT = 40;
const DEBOUNCE = 120;

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
  #run = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(backend: Backend, folders: () => readonly string[]) {
    this.#backend = backend;
    this.#folders = folders;
  }

  /** The query or the mode has changed. */
  changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.search(), DEBOUNCE);
  }

  async search(): Promise<void> {
    clearTimeout(this.#timer);
    const run = ++this.#run;
    const query = this.query.trim();
    if (query === '') {
      this.reply = null;
      this.error = null;
      return;
    }
    const filter = this.scope.toFilter(this.#folders());
    try {
      const reply = await this.#backend.search({ query, k: LIMIT, mode: this.mode, filter });
      // A later search may have been answered first.
      if (run !== this.#run) return;
      this.reply = reply;
      this.answered = query;
      this.error = null;
    } catch (thrown) {
      if (run === this.#run) this.error = toAppError(thrown);
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
