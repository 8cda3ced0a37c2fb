import { toAppError, type Backend } from '../backend';
import { linkTo, type Reference } from '../text/references';
import { locateQuote, toSections, type Mark, type Range } from '../text/document';
import type { AppError, Rect, Source, SourceNow } from '../types';
import { Find } from './find.svelte';
import { quoted } from './sources.svelte';

/** A rectangle of a mark on a page. */
export interface MarkedRect extends Rect {
  kind: Mark['kind'];
}

/** How many bytes of a picture are read at once. */
const PART = 1 << 20;

/** The document beside the answer, and the passage that is marked in it. */
export class Viewer {
  /** The passages to step through. */
  references = $state.raw<readonly Reference[]>([]);
  index = $state(0);
  source = $state.raw<Source | null>(null);
  error = $state.raw<AppError | null>(null);
  /** What became of the source since an answer has quoted it. */
  now = $state.raw<SourceNow | null>(null);
  /** Where the document lies: elsewhere than it was quoted, where it was moved. */
  path = $state('');
  /** The person wants to see a PDF's text instead of its pages, or its pages cannot be drawn. */
  asText = $state(false);
  /** Why the pages cannot be drawn, if so. */
  pagesFailed = $state(false);
  readonly current = $derived(this.references[this.index] ?? null);
  readonly isOpen = $derived(this.current !== null);
  readonly sections = $derived(toSections(this.source?.blocks ?? []));
  /** There are pages to be drawn. */
  readonly hasPages = $derived(
    (this.source?.kind === 'pdf' || this.source?.kind === 'image') &&
      !this.source.missing &&
      !this.pagesFailed,
  );
  readonly showsPages = $derived(this.hasPages && !this.asText);
  /** Where the passage stands, as far as the document still has it. */
  readonly highlight: Range | null = $derived.by(() => {
    if (this.source === null || this.current === null) return null;
    if (this.source.path !== this.path) return null;
    return locateQuote(this.source.blocks, this.current, this.current.quote);
  });
  readonly find = new Find(() => this.source?.blocks ?? []);
  /** What is marked in the text: the passage, and the words that are looked for. */
  readonly marks: readonly Mark[] = $derived.by(() => {
    const marks: Mark[] = this.find.found.map((range) => ({
      ...range,
      kind: range === this.find.current ? 'current' : 'found',
    }));
    if (this.highlight !== null && this.highlight.start < this.highlight.end)
      marks.push({ ...this.highlight, kind: 'cited' });
    return marks;
  });
  /** The same on the pages. */
  rects = $state.raw<readonly MarkedRect[]>([]);

  readonly #backend: Backend;
  #opener: Element | null = null;
  #placing = 0;

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
    const reference = this.current;
    this.error = null;
    this.now = null;
    if (reference === null) return;
    this.path = reference.document;
    const now = await this.#lookAt(reference);
    // The person may have gone on to another passage meanwhile.
    if (this.current !== reference) return;
    this.now = now;
    const path = now?.document ?? reference.document;
    this.path = path;
    if (this.source?.path === path) return;
    this.source = null;
    this.rects = [];
    this.asText = false;
    this.pagesFailed = false;
    this.find.close();
    try {
      const source = await this.#backend.source(path);
      if (this.isOpen && this.path === path) this.source = source;
    } catch (thrown) {
      if (this.isOpen && this.path === path) this.error = toAppError(thrown);
    }
  }

  /** What became of a source that an answer has quoted; null where nothing is known. */
  async #lookAt(reference: Reference): Promise<SourceNow | null> {
    if (reference.content === undefined) return null;
    try {
      const [now] = await this.#backend.sourcesNow([quoted(reference)]);
      return now ?? null;
    } catch {
      // The document itself can still be shown.
      return null;
    }
  }

  /** All bytes of the file that is shown. */
  async readAll(): Promise<ArrayBuffer> {
    const size = this.source?.bytes ?? 0;
    const whole = new Uint8Array(size);
    let done = 0;
    while (done < size) {
      const part = await this.readBytes(done, Math.min(PART, size - done));
      if (part.length === 0) break;
      whole.set(part, done);
      done += part.length;
    }
    return whole.buffer;
  }

  /** Bytes of the file that is shown. */
  readBytes(start: number, length: number): Promise<Uint8Array> {
    return this.#backend.documentBytes(this.source?.path ?? '', start, length);
  }

  /** Asks where the marks stand on the pages. Called whenever they have changed. */
  async placeMarks(): Promise<void> {
    const run = ++this.#placing;
    const { marks, current, source, highlight } = this;
    if (source === null || marks.length === 0) {
      this.rects = [];
      return;
    }
    // What came with the passage is right as long as it stands where it stood.
    const kept = highlight?.start === current?.start ? current?.rects : undefined;
    const asked = marks.filter(({ kind }) => kind !== 'cited' || !kept?.length);
    let placed: Rect[][];
    try {
      const ranges = asked.map(({ start, end }) => ({ start, end }));
      placed = ranges.length === 0 ? [] : await this.#backend.places(source.path, ranges);
    } catch {
      // The text is still there to look at; only the marks are missing.
      placed = [];
    }
    if (run !== this.#placing) return;
    const rects = asked.flatMap(({ kind }, index) =>
      (placed[index] ?? []).map((rect) => ({ ...rect, kind })),
    );
    const cited = asked.length < marks.length ? (kept ?? []) : [];
    this.rects = [...rects, ...cited.map((rect) => ({ ...rect, kind: 'cited' as const }))];
  }

  /** A link to the passage that is shown, where the document lies now. */
  get link(): string | null {
    const { current, source, path } = this;
    if (current === null || source === null) return null;
    // Its offsets are true for the content that is shown.
    const range = this.highlight ?? { start: 0, end: 0 };
    return linkTo({ ...current, ...range, document: path, content: source.content });
  }

  close(): void {
    this.references = [];
    // The document may have changed by the time it is opened again.
    this.source = null;
    this.find.close();
    if (this.#opener instanceof HTMLElement) this.#opener.focus();
    this.#opener = null;
  }
}
