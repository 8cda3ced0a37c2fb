/**
 * Draws the pages of PDF with pdf.js. The only module that knows it; it is loaded when the first
 * PDF is opened. Only the parts of a file that a page needs are read.
 */
import {
  getDocument,
  PDFDataRangeTransport,
  PDFWorker,
  TextLayer,
  type PDFDocumentProxy,
  type PDFPageProxy,
  type RenderTask,
} from 'pdfjs-dist/legacy/build/pdf.mjs';
import Worker from 'pdfjs-dist/legacy/build/pdf.worker.min.mjs?worker';
import { CharacterMaps, StandardFonts } from './data';

/** Reads bytes of a file; fewer than asked for where it ends. */
export type ReadBytes = (start: number, length: number) => Promise<Uint8Array>;

/** A page's size as it is shown, in points. */
export interface PageSize {
  width: number;
  height: number;
}

/** Bytes that are asked for at once. */
const CHUNK = 512 * 1024;
/** No canvas is larger, in pixels: browsers draw nothing on one that is too large. */
const LARGEST_CANVAS = 16_000_000;

class Transport extends PDFDataRangeTransport {
  readonly #read: ReadBytes;
  readonly #fail: (thrown: unknown) => void;

  constructor(size: number, read: ReadBytes, fail: (thrown: unknown) => void) {
    super(size, null);
    this.#read = read;
    this.#fail = fail;
  }

  override requestDataRange(begin: number, end: number): void {
    this.#read(begin, end - begin).then(
      (bytes) => this.onDataRange(begin, bytes),
      (thrown) => this.#fail(thrown),
    );
  }
}

let port: globalThis.Worker | null = null;

/** An opened PDF. */
export class Pdf {
  readonly pageCount: number;
  /** What the document calls its pages, where it says so. */
  readonly labels: readonly string[] | null;
  readonly #document: PDFDocumentProxy;

  private constructor(document: PDFDocumentProxy, labels: string[] | null) {
    this.#document = document;
    this.pageCount = document.numPages;
    this.labels = labels;
  }

  /** Opens a PDF of `size` bytes. Rejects where it cannot be read or opens with a password only. */
  static async open(size: number, read: ReadBytes): Promise<Pdf> {
    port ??= new Worker();
    let fail: (thrown: unknown) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => (fail = reject));
    // Without its worker pdf.js would wait for ever.
    port.addEventListener('error', () => fail(new Error('the worker cannot be started')), {
      once: true,
    });
    const task = getDocument({
      range: new Transport(size, read, (thrown) => fail(thrown)),
      worker: PDFWorker.create({ port }),
      rangeChunkSize: CHUNK,
      disableAutoFetch: true,
      disableStream: true,
      // What would need a wider content policy than the window has.
      isEvalSupported: false,
      useWasm: false,
      useWorkerFetch: false,
      enableXfa: false,
      CMapReaderFactory: CharacterMaps,
      StandardFontDataFactory: StandardFonts,
      cMapUrl: 'cmaps/',
      standardFontDataUrl: 'fonts/',
      wasmUrl: new URL('pdf/', document.baseURI).href,
      verbosity: 0,
    });
    try {
      const opened = await Promise.race([task.promise, failed]);
      return new Pdf(opened, await opened.getPageLabels());
    } catch (thrown) {
      void task.destroy();
      throw thrown;
    }
  }

  async size(page: number): Promise<PageSize> {
    const { width, height } = (await this.#document.getPage(page)).getViewport({ scale: 1 });
    return { width, height };
  }

  /**
   * Draws a page at `scale` pixels of the page for each point, and lays its text over it, to be
   * selected and read aloud, where there is an element for that. Ends early, with nothing drawn,
   * where `signal` says so.
   */
  async draw(
    number: number,
    scale: number,
    canvas: HTMLCanvasElement,
    text: HTMLElement | null,
    signal: AbortSignal,
  ): Promise<void> {
    text?.replaceChildren();
    const page = await this.#document.getPage(number);
    if (signal.aborted) return;
    const viewport = page.getViewport({ scale });
    const wanted = window.devicePixelRatio || 1;
    const most = Math.sqrt(LARGEST_CANVAS / (viewport.width * viewport.height));
    const density = Math.min(wanted, most);
    canvas.width = Math.floor(viewport.width * density);
    canvas.height = Math.floor(viewport.height * density);
    const task = page.render({
      canvas,
      viewport,
      transform: [density, 0, 0, density, 0, 0],
    });
    await finished(task, signal);
    if (text !== null && !signal.aborted) await layText(page, scale, text, signal);
  }

  close(): void {
    void this.#document.destroy();
  }
}

async function finished(task: RenderTask, signal: AbortSignal): Promise<void> {
  signal.addEventListener('abort', () => task.cancel(), { once: true });
  try {
    await task.promise;
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

async function layText(
  page: PDFPageProxy,
  scale: number,
  container: HTMLElement,
  signal: AbortSignal,
): Promise<void> {
  const layer = new TextLayer({
    textContentSource: page.streamTextContent(),
    container,
    viewport: page.getViewport({ scale }),
  });
  signal.addEventListener('abort', () => layer.cancel(), { once: true });
  try {
    await layer.render();
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
