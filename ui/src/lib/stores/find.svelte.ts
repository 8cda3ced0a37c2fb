import type { Range } from '../text/document';
import { findWords } from '../text/find';
import type { SourceBlock } from '../types';

/** Words that are looked for in the document that is shown. */
export class Find {
  isOpen = $state(false);
  #words = $state('');
  #index = $state(0);
  readonly #blocks: () => readonly SourceBlock[];
  readonly found: readonly Range[] = $derived.by(() =>
    this.isOpen ? findWords(this.#blocks(), this.#words) : [],
  );
  /** The place that is shown now. */
  readonly current = $derived(this.found[this.index] ?? null);

  constructor(blocks: () => readonly SourceBlock[]) {
    this.#blocks = blocks;
  }

  get words(): string {
    return this.#words;
  }

  set words(words: string) {
    this.#words = words;
    this.#index = 0;
  }

  get index(): number {
    return Math.max(0, Math.min(this.#index, this.found.length - 1));
  }

  /** Goes to another place; after the last one comes the first. */
  step(by: 1 | -1): void {
    const count = this.found.length;
    if (count > 0) this.#index = (this.index + by + count) % count;
  }

  close(): void {
    this.isOpen = false;
    this.words = '';
  }
}
