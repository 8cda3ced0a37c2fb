import { queryTerms } from '../../text/terms';
import { baseName, isWithin } from '../../text/path';
import type {
  Answer,
  AppError,
  AppEvent,
  AskEvent,
  AskRequest,
  ConversationSummary,
  Filter,
  Hit,
  Source,
  SourceNow,
} from '../../types';
import type { Backend, DragPhase, Unsubscribe } from '../backend';
import { answerFrom, longConversation, scriptFor } from './answers';
import { documents, hit } from './documents';
import { MockLibrary } from './library';
import { MockModels } from './models';
import { drawPages, type DrawnPages } from './pages';
import { drawPicture } from './picture';

/** What may have become of a source. */
const NOW = ['changed', 'quote_gone', 'moved', 'missing', 'removed'] as const;
const ELSEWHERE = '/home/ada/Elsewhere/';

/**
 * An application in memory, for the browser tests and for work on the page.
 *
 * - `library=empty|bare|ready|kinds|large|long|scans|away|next|opening` how the library begins
 * - `asked=40` there is a conversation of so many questions
 * - `ocr=missing` the model for OCR is not installed
 * - `model=missing|offline|small` no chat model is installed; and no download comes to its end; or
 *   none fits this computer
 * - `ask=fail|abstain|hang` every question ends so
 * - `fail=add,source,search,…` these calls are rejected
 * - `source=missing|changed|broken` the files behind the documents are gone, are others by now, or
 *   cannot be drawn
 * - `now=changed|quote_gone|moved|missing|removed` what became of every source since it was quoted
 * - `keys=none` the desktop lets no program have keys of its own; another one has Ctrl+Alt+X
 * - `problem` the library reports a problem
 * - `speed=10` everything ten times as fast
 *
 * - `link=lectern://…` the link that the window was opened with; `mock:link` stands for a later one
 *
 * `mock:drag` on `window` stands for the system's drag and drop, and `mock:menu` for its menu bar.
 */
export function createMock(parameters: URLSearchParams): Backend {
  const speed = Number(parameters.get('speed') ?? 1);
  const failing = new Set(parameters.get('fail')?.split(','));
  const listeners = new Set<(event: AppEvent) => void>();
  const tell = (event: AppEvent): void => listeners.forEach((listener) => listener(event));
  const models = new MockModels(
    {
      installed: !parameters.has('model'),
      offline: parameters.get('model') === 'offline',
      tooSmall: parameters.get('model') === 'small',
      ocr: parameters.get('ocr') !== 'missing',
      speed,
    },
    (event) => {
      tell(event);
      if (event.type === 'models') tell({ type: 'library', status: library.status() });
    },
  );
  const library = new MockLibrary(
    {
      library: parameters.get('library') ?? 'ready',
      chatModel: () => models.chat?.id ?? null,
      ocrInstalled: () => models.ocrInstalled,
      problem: parameters.has('problem')
        ? error('library', 'The index cannot be written.', 'Free some space on the disk.')
        : null,
      speed,
    },
    (status) => tell({ type: 'library', status }),
  );
  const answers = new Map<number, Answer[]>();
  const asked = Number(parameters.get('asked') ?? 0);
  if (asked > 0) answers.set(1, longConversation(asked));
  let desktop = { keep_watching: false, notify: true, shortcut: '' };
  let autostart = false;
  let link = parameters.get('link');
  window.addEventListener('mock:link', (event) => {
    link = (event as CustomEvent<string>).detail;
    tell({ type: 'link' });
  });
  const summaries = (): ConversationSummary[] =>
    [...answers].reverse().map(([id, list]) => ({
      id,
      title: list[0]?.question ?? '',
      updated: '2026-03-14T09:26:53Z',
    }));
  let stopped: (() => void) | null = null;

  /** What crosses the border is a copy, as it is in the window. */
  async function call<Reply>(name: string, reply: () => Reply): Promise<Reply> {
    if (failing.has(name))
      throw error('library', 'The disk is full.', 'Free some space and try again.');
    return structuredClone(reply());
  }

  const pages = new Map<Source, DrawnPages>();

  /** The pages of a document, drawn when they are first asked for. */
  function drawn(document: Source): DrawnPages {
    const before = pages.get(document);
    if (before) return before;
    const now = document.kind === 'image' ? drawPicture(document) : drawPages(document);
    pages.set(document, now);
    return now;
  }

  function named(path: string): Source {
    const isMoved = parameters.get('now') === 'moved';
    const found = documents.find(
      (document) =>
        document.path === path || (isMoved && path === `${ELSEWHERE}${baseName(document.path)}`),
    );
    if (!found || parameters.get('now') === 'removed')
      throw error('not_found', 'The library has no such document.', '');
    return found;
  }

  /** The documents of the library that pass a filter. */
  function inScope({ in: within, not_in, type, language = [], tag = [] }: Filter): Source[] {
    const paths = library
      .taggedFiles()
      .filter(
        (file) =>
          (within.length === 0 || within.some((folder) => isWithin(file.path, folder))) &&
          !not_in.some((folder) => isWithin(file.path, folder)) &&
          (language.length === 0 || language.includes(file.language ?? '')) &&
          tag.every((name) => file.tags?.includes(name)),
      )
      .map(({ path }) => path);
    return documents.filter(
      ({ path, kind }) => paths.includes(path) && (type.length === 0 || type.includes(kind)),
    );
  }

  async function play(request: AskRequest, send: (event: AskEvent) => void): Promise<void> {
    const wait = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, milliseconds / speed));
    const behaviour = parameters.get('ask');
    const script = { ...scriptFor(request.question, behaviour) };
    const scope = inScope(request.filter).map(({ path }) => path);
    script.passages = script.passages.filter(({ document }) => scope.includes(document));
    let isStopped = false;
    const stop = new Promise<void>((resolve) => {
      stopped = () => {
        isStopped = true;
        resolve();
      };
    });
    await wait(120);
    const standalone = request.standalone_question ?? request.question;
    send({ type: 'passages', standalone_question: standalone, passages: script.passages });
    if (answers.size === 0) send({ type: 'loading_model' });
    for (let read = 0; request.thorough && read < 5 && !isStopped; read++) {
      send({ type: 'reading', coverage: { documents: 5, read, unreadable: 1 } });
      await Promise.race([wait(400), stop]);
      if (behaviour === 'hang' && read === 1) await stop;
    }
    await wait(500);
    if (behaviour === 'fail') {
      send({
        type: 'failed',
        error: error(
          'model_failed',
          'The model stopped unexpectedly.',
          'Ask again, or choose a smaller model.',
        ),
      });
      return;
    }
    let written = '';
    for (const piece of script.text.match(/\s*\S+/g) ?? []) {
      if (isStopped) break;
      send({ type: 'text', delta: piece });
      written += piece;
      await Promise.race([wait(30), stop]);
      if (behaviour === 'hang') await stop;
    }
    const answer = answerFrom(script, request, isStopped ? written : script.text, isStopped);
    answer.conversation = request.conversation ?? answers.size + 1;
    answers.set(answer.conversation, [...(answers.get(answer.conversation) ?? []), answer]);
    send({ type: isStopped ? 'cancelled' : 'done', answer });
  }

  return {
    status: () =>
      parameters.get('library') === 'opening'
        ? new Promise(() => undefined)
        : call('status', () => library.status()),
    files: () => call('files', () => library.taggedFiles()),
    addPaths: (paths) => call('add', () => library.add(paths)),
    removePath: (path) => call('remove', () => library.remove(path)),
    retry: (path) => call('retry', () => library.retry(path)),
    unlock: (path, password) => call('unlock', () => library.unlock(path, password)),
    callOff: (path) => call('callOff', () => library.callOff(path)),
    hurry: (path) => call('hurry', () => library.hurry(path)),
    setRules: (path, rules) => call('rules', () => library.setRules(path, rules)),
    setFolderPaused: (path, paused) => call('pause', () => library.pauseFolder(path, paused)),
    tag: (paths, add, remove) => call('tag', () => library.tag(paths, add, remove)),
    tags: () => call('tags', () => library.tags()),
    history: (before, limit) => call('history', () => library.history(before, limit)),
    pause: () => call('pause', () => library.pause(true)),
    resume: () => call('resume', () => library.pause(false)),
    search: ({ query, k, filter }) =>
      call('search', () => {
        const typed = / lang:(\S+)/.exec(` ${query}`)?.[1];
        if (typed !== undefined && !['en', 'zh', 'he'].includes(typed)) {
          const message = `"${typed}" is not a language that Lectern tells apart`;
          throw error('invalid_input', message, 'Languages are: en, he, zh.');
        }
        return { hits: find(query, inScope(filter)).slice(0, k), milliseconds: 6.2 };
      }),
    ask: (request, onEvent) => play(request, (event) => onEvent(structuredClone(event))),
    stop: async () => stopped?.(),
    conversations: () => call('conversations', summaries),
    findConversations: (words) =>
      call('conversations', () =>
        summaries().filter(({ id }) =>
          (answers.get(id) ?? []).some(({ question, answer }) =>
            `${question} ${answer}`.toLowerCase().includes(words.trim().toLowerCase()),
          ),
        ),
      ),
    rate: (id, rating) =>
      call('rate', () => {
        for (const answer of [...answers.values()].flat()) {
          if (answer.id === id) answer.rating = rating;
        }
      }),
    exportRated: () =>
      call('save', () => {
        const questions = [...answers.values()]
          .flat()
          .filter(({ rating }) => rating !== null).length;
        return { path: '/home/ada/Questions', questions, documents: 2 * questions, left_out: 0 };
      }),
    desktop: () =>
      call('desktop', () => ({
        autostart,
        program: '/usr/bin/lectern-desktop',
        shortcut: parameters.get('keys') !== 'none',
        kept: ['/home/ada/.config/app.lectern.desktop'],
      })),
    setAutostart: (on) => call('autostart', () => void (autostart = on)),
    desktopSettings: () => call('desktop', () => desktop),
    setDesktopSettings: (settings) =>
      call('desktop', () => {
        if (settings.shortcut === 'Control+Alt+KeyX') {
          const message = 'the keys Control+Alt+KeyX cannot be had: another program has them';
          throw error('invalid_input', message, 'Choose others.');
        }
        desktop = settings;
      }),
    setLanguage: async () => {},
    closeWindow: () => call('quit', () => void console.info('would close')),
    quit: () => call('quit', () => void console.info('would quit')),
    conversation: (id) =>
      call('conversation', () => ({
        id,
        title: answers.get(id)?.[0]?.question ?? '',
        answers: answers.get(id) ?? [],
      })),
    deleteConversation: (id) => call('delete', () => void answers.delete(id)),
    source: (path) =>
      call('source', () => {
        const found = named(path);
        const state = parameters.get('source');
        const missing = state === 'missing';
        const bytes =
          missing || !['pdf', 'image'].includes(found.kind) ? 0 : drawn(found).bytes.length;
        return { ...found, path, missing, bytes, changed: state === 'changed' };
      }),
    sourcesNow: (quoted) =>
      call('now', () =>
        quoted.map(({ document }): SourceNow => {
          const state = NOW.find((other) => other === parameters.get('now')) ?? 'same';
          return {
            state,
            document: state === 'moved' ? `${ELSEWHERE}${baseName(document)}` : document,
          };
        }),
      ),
    linked: () =>
      call('linked', () => {
        if (link === null) return null;
        const said = new URL(link).searchParams;
        link = null;
        const document = named(said.get('document') ?? '');
        const [start, end] = [Number(said.get('start')), Number(said.get('end'))];
        const text = document.blocks.map((block) => block.text).join('\n\n');
        const quote = [...text].slice(start, end).join('');
        return { document: document.path, page: null, start, end, quote, rects: [] };
      }),
    places: (path, ranges) =>
      call('places', () => ranges.map((range) => drawn(named(path)).rects(range))),
    documentBytes: (path, start, length) =>
      call('bytes', () => {
        const { bytes } = drawn(named(path));
        if (parameters.get('source') === 'broken') return new Uint8Array(Math.min(length, 64));
        return bytes.slice(start, start + length);
      }),
    openPath: (path) => call('open', () => void console.info(`would open ${path}`)),
    samples: () => call('samples', () => '/usr/share/lectern/samples'),
    pickFolders: async () => ['/home/ada/Documents/Research'],
    pickFiles: async () => ['/home/ada/Downloads/Invoice.pdf'],
    models: () => call('models', () => models.state()),
    getModel: (id) => call('download', () => models.get(id)),
    pauseDownload: (id) => call('download', () => models.pause(id)),
    resumeDownload: (id) => call('download', () => models.get(id)),
    cancelDownload: (id) => call('download', () => models.cancel(id)),
    importModel: (path) => call('import', () => models.import(path)),
    useModel: (id) => call('use', () => models.use(id)),
    removalPreview: (id) => call('models', () => models.preview(id)),
    removeModel: (id) => call('models', () => models.remove(id)),
    setModelSettings: (settings) => call('models', () => models.set(settings)),
    pickModel: async () => '/home/ada/Downloads/gemma-3-4b.gguf',
    saveText: (name, text) =>
      call('save', () => {
        console.info(`would save ${name}:\n${text}`);
        return `/home/ada/${name}`;
      }),
    setZoom: async (factor) => document.documentElement.style.setProperty('zoom', String(factor)),
    deleteEverything: () =>
      call('delete', () => {
        answers.clear();
        for (const { path } of library.status().folders) library.remove(path);
      }),
    onApp: async (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onMenu: async (listener) => {
      const hear = (event: Event): void => listener((event as CustomEvent<string>).detail);
      window.addEventListener('mock:menu', hear);
      return () => window.removeEventListener('mock:menu', hear);
    },
    onDrag: async (listener) =>
      onMockDrag(listener, () => {
        const { added: files } = library.add(['/home/ada/Documents/Dropped']);
        tell({ type: 'added', files });
      }),
  };
}

function onMockDrag(listener: (phase: DragPhase) => void, add: () => void): Unsubscribe {
  const handle = (event: Event): void => {
    const phase = (event as CustomEvent<DragPhase>).detail;
    listener(phase);
    if (phase === 'drop') add();
  };
  window.addEventListener('mock:drag', handle);
  return () => window.removeEventListener('mock:drag', handle);
}

function find(query: string, documents: readonly Source[]): Hit[] {
  const terms = queryTerms(query);
  return documents
    .flatMap((document) =>
      document.blocks.map((block) => {
        const found = terms.filter((term) => block.text.toLowerCase().includes(term));
        return hit(document, block, found.length / terms.length);
      }),
    )
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score);
}

function error(code: string, message: string, hint: string): AppError {
  return { code, message, hint };
}
