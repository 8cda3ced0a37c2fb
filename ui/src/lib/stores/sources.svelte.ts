import type { Backend } from '../backend';
import type { Reference } from '../text/references';
import type { Citation, SourceNow } from '../types';

/** What became of the sources of the answers that are shown. */
export class Sources {
  #known = $state.raw<Readonly<Record<string, SourceNow>>>({});
  readonly #backend: Backend;
  #looking = false;
  #stale: readonly Citation[] | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** What is known of a source; null where it is as it was, or nobody has looked yet. */
  of(reference: Reference): SourceNow | null {
    const now = this.#known[key(reference)] ?? null;
    return now?.state === 'same' ? null : now;
  }

  /** Looks at the sources anew, one call at a time; what is asked for meanwhile comes next. */
  async look(citations: readonly Citation[]): Promise<void> {
    this.#stale = citations;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#stale !== null) {
      const looked: readonly Citation[] = this.#stale;
      this.#stale = null;
      try {
        const now = looked.length === 0 ? [] : await this.#backend.sourcesNow(looked.map(quoted));
        this.#known = Object.fromEntries(
          looked.flatMap((citation, index) => {
            const found = now[index];
            return found ? [[key(citation), found] as const] : [];
          }),
        );
      } catch {
        // The answer is the same without; the viewer asks again, and says what is wrong.
      }
    }
    this.#looking = false;
  }
}

/** What the application has to know of a citation to say what became of its source. */
export function quoted({ document, content, quote }: Reference): {
  document: string;
  content: string | null;
  quote: string;
} {
  return { document, content: content ?? null, quote };
}

function key({ document, content, start, quote }: Reference): string {
  return JSON.stringify([document, content, start, quote]);
}
