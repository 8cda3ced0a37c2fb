import { toAppError, type Backend } from '../backend';
import type { Reference } from '../text/references';
import { locateQuote, toSections, type Range } from '../text/document';
import type { AppError, Source } from '../types';

/** The document beside the answer, and the passage that is marked in it. */
export class Viewer {
  /** The passages to step through. */
  references = $state.raw<readonly Reference[]>([]);
  index = $state(0);
  source = $state.raw<Source | null>(null);
  error = $state.raw<AppError | null>(null);
  readonly current = $derived(this.references[this.index] ?? null);
  readonly isOpen = $derived(this.current !== null);
  readonly sections = $derived(toSections(this.source?.blocks ?? []));
  /** Where the passage stands, as far as the document still has it. */
  readonly highlight: Range | null = $derived.by(() => {
    if (this.source === null || this.current === null) return null;
    if (this.source.path !== this.current.document) return null;
    return locateQuote(this.source.blocks, this.current, this.current.quote);
  });

  readonly #backend: Backend;
  #opener: Element | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async open(references: readonly Reference[], index: number): Promise<void> {
    if (!this.isOpen) this.#opener = document.activeElement;
    this.references = references;
    await this.show(index);
  }

  /** Steps to another of the passages. */
  async show(index: number): Promise<void> {
    this.index = index;
    const path = this.current?.document;
    this.error = null;
    if (path === undefined || this.source?.path === path) return;
    this.source = null;
    try {
      const source = await this.#backend.source(path);
      // The person may have gone on to another document meanwhile.
      if (this.current?.document === path) this.source = source;
    } catch (thrown) {
      if (this.current?.document === path) this.error = toAppError(thrown);
    }
  }

  close(): void {
    this.references = [];
    // The document may have changed by the time it is opened again.
    this.source = null;
    if (this.#opener instanceof HTMLElement) this.#opener.focus();
    this.#opener = null;
  }
}
