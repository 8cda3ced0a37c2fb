import { isWithin, parentPath } from '../../text/path';
import type {
  AddReport,
  AppError,
  FileStatus,
  FolderRules,
  FolderStatus,
  HistoryEntry,
  HistoryKind,
  Status,
  TagCount,
} from '../../types';
import { documents } from './documents';

const ARCHIVE = '/home/ada/Archive';
const WORK = '/home/ada/Documents/Work';
const NO_RULES: FolderRules = { ignore: [], hidden: false, types: [], max_megabytes: null };
const TICK = 150;
const PASSAGES = 24;

/** How the mock begins. */
export interface Beginning {
  /**
   * `empty`, `ready`, `kinds` (with a folder of every kind of place), `large`, `long` (names), `scans`
   * (with pages that wait for OCR), `away` (on a drive that is not there) or `next` (with another
   * embedder on its way).
   */
  library: string;
  /** The chat model that is installed and in use. */
  chatModel: () => string | null;
  ocrInstalled: () => boolean;
  problem: AppError | null;
  /** How many times faster than life things happen. */
  speed: number;
}

/** A library in memory whose files are read and embedded while one looks on. */
export class MockLibrary {
  paused = false;
  #urgent: string | null = null;
  readonly #history: HistoryEntry[] = [];
  readonly #rules = new Map<string, FolderRules>();
  /** The tags that were given to files and folders. */
  readonly #tags = new Map<string, ReadonlySet<string>>();
  readonly #pausedFolders = new Set<string>();
  readonly #folders = new Map<string, FileStatus[]>();
  readonly #beginning: Beginning;
  readonly #changed: (status: Status) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(beginning: Beginning, changed: (status: Status) => void) {
    this.#beginning = beginning;
    this.#changed = changed;
    if (beginning.library === 'empty') return;
    if (beginning.library === 'bare') {
      this.#folders.set('/home/ada/Documents/Flat', []);
      return;
    }
    for (const { path, page_count } of documents) {
      const folder = parentPath(path);
      if (folder === WORK && beginning.library !== 'kinds') continue;
      if (folder === ARCHIVE && beginning.library !== 'large') continue;
      const read = { ...file(path, 'ready'), pages: page_count, language: languageOf(path) };
      this.#folders.set(folder, [...(this.#folders.get(folder) ?? []), read]);
    }
    this.#folders.get('/home/ada/Documents/Flat')?.push(
      {
        ...failed(
          '/home/ada/Documents/Flat/Old contract.pdf',
          'the file is protected by a password',
        ),
        needs: 'password',
        reason_code: 'password_needed',
      },
      {
        ...file('/home/ada/Documents/Flat/Floor plan.dwg', 'skipped'),
        reason: 'files of this kind cannot be read',
        reason_code: 'unsupported',
      },
    );
    if (beginning.library === 'large') this.#folders.get(ARCHIVE)?.push(...archive());
    for (const { path } of this.files()) this.#tell('added', path);
    const [first] = this.files();
    if (first) {
      this.#tell('moved', first.path, { from: '/home/ada/Downloads/Lease.pdf' });
      this.#tell('changed', first.path);
    }
    this.#tell('removed', '/home/ada/Documents/Flat/Draft.docx');
    this.#tell('failed', '/home/ada/Documents/Flat/Old contract.pdf', {
      reason: 'the file is protected by a password',
      reason_code: 'password_needed',
    });
    this.#tell('forgotten', null, { files: 12 });
    if (beginning.library === 'long') {
      this.#folders.set(LONG, longNames());
      this.#continue();
    }
    if (beginning.library === 'scans') {
      this.#folders.get('/home/ada/Documents/Flat')?.push({
        ...file('/home/ada/Documents/Flat/Handover record.pdf', 'ready'),
        reason: '14 pages are pictures',
        reason_code: 'needs_ocr',
        needs: 'ocr',
      });
    }
    if (beginning.library === 'kinds') {
      this.tag([WORK], ['work'], []);
      this.tag(
        [`${WORK}/Sales.xlsx`, '/home/ada/Documents/Flat/Lease agreement.pdf'],
        ['2026'],
        [],
      );
    }
    if (beginning.library === 'away') {
      for (const entry of this.#folders.get('/home/ada/Documents/Notes') ?? []) entry.away = true;
    }
  }

  /** What happened, the latest first. */
  history(before: number | null, limit: number): HistoryEntry[] {
    return this.#history
      .filter(({ id }) => before === null || id < before)
      .slice(-limit)
      .reverse();
  }

  #tell(kind: HistoryKind, path: string | null, more: Partial<HistoryEntry> = {}): void {
    const id = this.#history.length + 1;
    this.#history.push({
      id,
      at: new Date(Date.UTC(2026, 2, 14 + Math.floor(id / 40), 9, 26, 53)).toISOString(),
      kind,
      path,
      from: null,
      files: null,
      reason: null,
      ...more,
    });
  }

  /** Has files read that a password has opened. */
  unlock(path: string, password: string): void {
    const locked = this.files().find((file) => file.path === path && file.needs === 'password');
    if (locked === undefined || password !== 'secret') {
      const message = 'the password does not open the file';
      throw { code: 'invalid_input', message, hint: 'Try another one.' } satisfies AppError;
    }
    this.retry(path);
  }

  files(): FileStatus[] {
    return [...this.#folders.values()].flat();
  }

  /** The files with the tags that they have, and those that the folders above them have. */
  taggedFiles(): FileStatus[] {
    return this.files().map((entry) => {
      const given = [...this.#tags].filter(([place]) => isWithin(entry.path, place));
      const tags = [...new Set(given.flatMap(([, names]) => [...names]))].sort();
      return { ...entry, tags };
    });
  }

  tag(paths: string[], add: string[], remove: string[]): string[] {
    const wrong = add.find((name) => /["]|^\s*$/.test(name));
    if (wrong !== undefined) {
      const message = `"${wrong}" cannot be a tag`;
      const hint = 'A tag is a word or a few, without commas and quotation marks.';
      throw { code: 'invalid_input', message, hint } satisfies AppError;
    }
    const names = add.flatMap((name) => name.split(',')).map((name) => name.trim().toLowerCase());
    for (const path of paths) {
      const tags = [...(this.#tags.get(path) ?? []), ...names];
      this.#tags.set(path, new Set(tags.filter((name) => !remove.includes(name))));
    }
    return [...(this.#tags.get(paths.at(-1) ?? '') ?? [])].sort();
  }

  tags(): TagCount[] {
    const files = this.taggedFiles();
    return [...new Set([...this.#tags.values()].flatMap((names) => [...names]))]
      .sort()
      .map((name) => ({ name, files: files.filter(({ tags }) => tags?.includes(name)).length }));
  }

  status(): Status {
    const folders = [...this.#folders].map(([path, files]) => ({
      ...folderStatus(path, files),
      paused: this.#pausedFolders.has(path),
      rules: this.#rules.get(path) ?? NO_RULES,
      missing: files.length > 0 && files.every(({ away }) => away),
      polled:
        this.#beginning.library === 'away' && path.endsWith('Flat') ? 'a network drive' : null,
    }));
    const sum = (count: (folder: FolderStatus) => number): number =>
      folders.reduce((total, folder) => total + count(folder), 0);
    const chunks = sum((folder) => folder.chunks);
    return {
      documents: sum((folder) => folder.ready),
      chunks,
      embedded_chunks: sum((folder) => folder.embedded_chunks),
      pending: sum((folder) => folder.pending),
      failed: sum((folder) => folder.failed),
      skipped: sum((folder) => folder.skipped),
      directory: '/home/ada/.local/share/lectern',
      bytes_on_disk: 2_400_000 + chunks * 9_000,
      embedder: 'multilingual-e5-small',
      next_embedder: this.#beginning.library === 'next' ? 'bge-m3' : null,
      next_embedded_chunks: this.#beginning.library === 'next' ? Math.round(chunks / 3) : 0,
      model: this.#beginning.chatModel() ?? 'qwen3-4b-q4_k_m',
      model_installed: this.#beginning.chatModel() !== null,
      paused: this.paused,
      saves_power: false,
      scans: this.#beginning.library === 'scans' ? 14 : 0,
      ocr_installed: this.#beginning.ocrInstalled(),
      reading: this.files().find(({ state }) => state === 'reading')?.path ?? null,
      problem: this.#beginning.problem,
      folders,
    };
  }

  add(paths: string[]): AddReport {
    let added = 0;
    for (const path of paths) {
      if (this.#folders.has(path)) continue;
      const files = Array.from({ length: 12 }, (_, n) =>
        file(`${path}/Document ${n + 1}.${n % 3 === 0 ? 'md' : 'pdf'}`, 'pending'),
      );
      files.push(file(`${path}/Scanned letter.pdf`, 'pending'));
      this.#folders.set(path, files);
      for (const { path } of files) this.#tell('added', path);
      added += files.length;
    }
    this.#continue();
    return { added, ready: 0, skipped: 0, failed: 0, chunks: 0, seconds: 0.1 };
  }

  remove(path: string): void {
    this.#folders.delete(path);
    for (const [folder, files] of this.#folders) {
      this.#folders.set(
        folder,
        files.filter((file) => file.path !== path),
      );
    }
    this.#changed(this.status());
  }

  retry(path: string | null): void {
    for (const file of this.files()) {
      const hasEnded = file.state === 'failed' || file.reason_code === 'cancelled';
      if (hasEnded && (path === null || isWithin(file.path, path))) {
        Object.assign(file, {
          state: 'pending',
          reason: null,
          reason_code: undefined,
          needs: undefined,
        });
      }
    }
    this.#changed(this.status());
    this.#continue();
  }

  callOff(path: string | null): void {
    const reason = 'Reading it was called off; it can be tried again.';
    for (const file of this.files()) {
      if (file.state !== 'pending' || (path !== null && !isWithin(file.path, path))) continue;
      Object.assign(file, { state: 'skipped', reason, reason_code: 'cancelled' });
    }
    this.#changed(this.status());
  }

  hurry(path: string): void {
    this.#urgent = path;
  }

  setRules(path: string, rules: FolderRules): void {
    if (rules.ignore.includes('[')) {
      const message = '"[" is not a pattern of .gitignore’s syntax';
      const hint = 'Write patterns as in .gitignore, for example *.log or drafts/.';
      throw { code: 'invalid_input', message, hint } satisfies AppError;
    }
    this.#rules.set(path, rules);
    this.#changed(this.status());
  }

  pauseFolder(path: string, paused: boolean): void {
    if (paused) this.#pausedFolders.add(path);
    else this.#pausedFolders.delete(path);
    this.#changed(this.status());
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.#changed(this.status());
    this.#continue();
  }

  #continue(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#step(), TICK / this.#beginning.speed);
  }

  #step(): void {
    if (this.paused) return;
    const files = this.files();
    const reading = files.find(({ state }) => state === 'reading');
    const waiting = files.filter(({ state }) => state === 'pending');
    const next = waiting.find(({ path }) => path === this.#urgent) ?? waiting[0];
    const embedding = files.find((entry) => entry.embedded_chunks < entry.chunks);
    if (reading) {
      Object.assign(
        reading,
        reading.path.includes('Scanned')
          ? {
              ...failed(reading.path, 'the file holds pictures of pages only'),
              reason_code: 'needs_ocr',
            }
          : file(reading.path, 'ready', 0),
      );
    }
    if (embedding)
      embedding.embedded_chunks = Math.min(embedding.chunks, embedding.embedded_chunks + 16);
    if (next) next.state = 'reading';
    if (!reading && !next && !embedding) return;
    this.#changed(this.status());
    this.#continue();
  }
}

function file(path: string, state: FileStatus['state'], embedded = PASSAGES): FileStatus {
  const ready = state === 'ready';
  return {
    path,
    state,
    reason: null,
    away: false,
    pages: ready && path.endsWith('.pdf') ? 13 : null,
    chunks: ready ? PASSAGES : 0,
    embedded_chunks: ready ? embedded : 0,
    modified: '2026-03-14T09:26:53Z',
    kind: path.split('.').at(-1) ?? null,
  };
}

/** As the application tells it: by what is written in the document. */
function languageOf(path: string): string {
  const text = documents.find((other) => other.path === path)?.blocks.map((block) => block.text);
  if (/\p{Script=Han}/u.test(text?.join() ?? '')) return 'zh';
  return /\p{Script=Hebrew}/u.test(text?.join() ?? '') ? 'he' : 'en';
}

function failed(path: string, reason: string): FileStatus {
  return { ...file(path, 'failed'), reason };
}

const LONG = `/home/ada/${'A folder with a name that goes on and on '.repeat(4)}`;

function longNames(): FileStatus[] {
  return ['word '.repeat(40), 'x'.repeat(200), '很长的文件名'.repeat(30)].flatMap((name) => [
    file(`${LONG}/${name}.pdf`, 'pending'),
    {
      ...failed(`${LONG}/${name}.docx`, 'the file is damaged: torn'),
      reason_code: 'damaged' as const,
      reason_detail: 'y'.repeat(120),
    },
  ]);
}

function archive(): FileStatus[] {
  return Array.from({ length: 3_000 }, (_, n) => {
    const path = `${ARCHIVE}/${2000 + (n % 25)}/Letter ${String(n + 1).padStart(4, '0')}.pdf`;
    return n % 100 === 7
      ? {
          ...failed(path, 'the file is damaged: no cross-reference table'),
          reason_code: 'damaged',
          reason_detail: 'no cross-reference table',
        }
      : file(path, 'ready');
  });
}

function folderStatus(path: string, files: readonly FileStatus[]): FolderStatus {
  const count = (...states: FileStatus['state'][]): number =>
    files.filter(({ path: filePath, state }) => isWithin(filePath, path) && states.includes(state))
      .length;
  return {
    path,
    missing: false,
    paused: false,
    polled: null,
    rules: { ignore: [], hidden: false, types: [], max_megabytes: null },
    ready: count('ready'),
    pending: count('pending', 'reading'),
    failed: count('failed'),
    skipped: count('skipped'),
    chunks: files.reduce((total, { chunks }) => total + chunks, 0),
    embedded_chunks: files.reduce((total, { embedded_chunks }) => total + embedded_chunks, 0),
  };
}
