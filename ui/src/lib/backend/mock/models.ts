import type {
  AppEvent,
  Download,
  Fit,
  ModelEntry,
  Models,
  RemovalPreview,
  RemovedModel,
  Verdict,
} from '../../types';

const GB = 1e9;

function fit(verdict: Verdict, gigabytes: number, first: number | null, pace: number | null): Fit {
  return {
    verdict,
    memory_bytes: gigabytes * GB,
    first_token_seconds: first,
    tokens_per_second: pace,
    disk_full: false,
  };
}

function model(
  id: string,
  role: ModelEntry['role'],
  name: string,
  bytes: number,
  fits: Fit,
): ModelEntry {
  return {
    id,
    role,
    name,
    architecture: 'qwen3',
    quantisation: 'Q4_K_M',
    context_tokens: 32_768,
    languages: ['en', 'zh', 'de', 'fr', 'es'],
    licence: 'Apache-2.0',
    bytes,
    bytes_exact: true,
    installed: false,
    imported: false,
    linked_to: null,
    downloadable: true,
    in_use: false,
    change: null,
    recommended: false,
    fit: fits,
    download: null,
    problem: null,
  };
}

/** How the mock's models begin. */
export interface ModelsBeginning {
  installed: boolean;
  /** Every download stops with an error halfway: there is no connection. */
  offline: boolean;
  /** None fits into the memory. */
  tooSmall: boolean;
  /** The model for OCR is installed. */
  ocr: boolean;
  speed: number;
}

/** Models in memory, whose downloads take some seconds. */
export class MockModels {
  readonly #beginning: ModelsBeginning;
  readonly #tell: (event: AppEvent) => void;
  readonly #state: Models;

  constructor(beginning: ModelsBeginning, tell: (event: AppEvent) => void) {
    this.#beginning = beginning;
    this.#tell = tell;
    const recommended = beginning.tooSmall ? null : 'qwen3-4b-q4_k_m';
    const models = [
      model('qwen3-1.7b-q4_k_m', 'chat', 'Qwen3 1.7B', 1.1 * GB, fit('good', 1.9, 2.1, 17)),
      model('qwen3-4b-q4_k_m', 'chat', 'Qwen3 4B', 2.5 * GB, fit('good', 3.6, 5.4, 8)),
      model('qwen3-14b-q4_k_m', 'chat', 'Qwen3 14B', 9 * GB, fit('slow', 11, 31, 2.2)),
      model('qwen3-32b-q4_k_m', 'chat', 'Qwen3 32B', 19.8 * GB, fit('too_big', 22, null, null)),
      {
        ...model(
          'multilingual-e5-small',
          'embedder',
          'multilingual-e5-small',
          0.072 * GB,
          fit('good', 0.2, null, null),
        ),
        installed: true,
        in_use: true,
        quantisation: 'Q4_0',
      },
      {
        ...model('pp-ocrv6-tiny', 'ocr', 'PP-OCRv6 tiny', 0.006 * GB, fit('good', 0.1, null, null)),
        installed: beginning.ocr,
        in_use: beginning.ocr,
      },
    ];
    for (const entry of models) {
      entry.recommended = entry.id === recommended;
      if (beginning.tooSmall && entry.role === 'chat') entry.fit.verdict = 'too_big';
      if (beginning.installed && entry.id === 'qwen3-4b-q4_k_m') {
        Object.assign(entry, { installed: true, in_use: true });
      }
    }
    this.#state = {
      machine: {
        memory_bytes: 16.5 * GB,
        available_memory_bytes: 11 * GB,
        free_disk_bytes: 120 * GB,
        cores: 4,
        threads: 3,
        instructions: 'avx2',
        graphics: [],
        devices: ['cpu'],
        measured: true,
      },
      models,
      found: [
        {
          path: '/home/ada/.ollama/models/blobs/sha256-0f2a',
          program: 'ollama',
          name: 'llama3.2:3b',
          architecture: 'llama',
          quantisation: 'Q4_K_M',
          bytes: 2 * GB,
          fit: fit('good', 2.9, 4, 10),
          problem: null,
        },
      ],
      recommendation: {
        id: recommended,
        reason: beginning.tooSmall ? 'none_fits' : 'most_able_that_is_quick',
      },
      directory: '/home/ada/.local/share/lectern/models',
      settings: {
        context_tokens: null,
        threads: null,
        temperature: 0,
        instructions: '',
        device: 'auto',
        idle_minutes: 15,
      },
    };
  }

  state(): Models {
    return this.#state;
  }

  get chat(): ModelEntry | undefined {
    return this.#state.models.find(({ role, in_use }) => role === 'chat' && in_use);
  }

  get ocrInstalled(): boolean {
    return this.#state.models.some(({ role, installed }) => role === 'ocr' && installed);
  }

  get(id: string): void {
    const entry = this.#named(id);
    const before = entry.download?.bytes_done ?? 0;
    this.#download(entry, { state: 'running', bytes_done: before });
    this.#continue(entry);
  }

  pause(id: string): void {
    this.#download(this.#named(id), { state: 'paused' });
  }

  cancel(id: string): void {
    this.#named(id).download = null;
    this.#tell({ type: 'models' });
  }

  use(id: string): void {
    const entry = this.#named(id);
    for (const other of this.#state.models) {
      if (other.role === entry.role) other.in_use = other === entry;
    }
    this.#tell({ type: 'models' });
  }

  import(path: string): void {
    const found = this.#state.found.find((other) => other.path === path);
    this.#state.models.push({
      ...model(
        path,
        'chat',
        found?.name ?? path.split('/').at(-1) ?? path,
        found?.bytes ?? GB,
        found?.fit ?? fit('unknown', 1.4, null, null),
      ),
      installed: true,
      imported: true,
      linked_to: found ? path : null,
      downloadable: false,
    });
    this.#state.found = this.#state.found.filter((other) => other !== found);
    this.use(path);
  }

  preview(id: string): RemovalPreview {
    const entry = this.#named(id);
    return {
      id,
      frees_bytes: entry.linked_to === null ? entry.bytes : 0,
      in_use: entry.in_use,
      used_by: [],
      removable: entry.role !== 'embedder',
    };
  }

  remove(id: string): RemovedModel {
    const entry = this.#named(id);
    const freed = this.preview(id).frees_bytes;
    Object.assign(entry, { installed: false, in_use: false });
    if (entry.imported) {
      this.#state.models = this.#state.models.filter((other) => other !== entry);
    }
    this.#tell({ type: 'models' });
    return { id, freed_bytes: freed, now_in_use: null };
  }

  set(settings: Models['settings']): void {
    this.#state.settings = settings;
    this.#tell({ type: 'models' });
  }

  #named(id: string): ModelEntry {
    const found = this.#state.models.find((entry) => entry.id === id);
    if (!found) throw { code: 'not_found', message: `there is no model ${id}`, hint: '' };
    return found;
  }

  #download(entry: ModelEntry, change: Partial<Download>): void {
    entry.download = {
      id: entry.id,
      state: 'running',
      bytes_done: 0,
      bytes_total: entry.bytes,
      bytes_per_second: 18e6,
      seconds_left: 60,
      error: null,
      ...entry.download,
      ...change,
    };
    this.#tell({ type: 'download', download: structuredClone(entry.download) });
  }

  #continue(entry: ModelEntry): void {
    setTimeout(() => {
      const { download } = entry;
      if (download?.state !== 'running') return;
      const done = Math.min(entry.bytes, download.bytes_done + entry.bytes / 20);
      if (this.#beginning.offline && done > entry.bytes / 4) {
        const error = {
          code: 'download_failed',
          message: 'The connection was lost.',
          hint: 'Check the network; the download goes on from where it was.',
        };
        this.#download(entry, { state: 'failed', error });
      } else if (done === entry.bytes) {
        this.#download(entry, { state: 'done', bytes_done: done });
        Object.assign(entry, { installed: true, download: null });
        if (!this.chat && entry.role === 'chat') this.use(entry.id);
        else this.#tell({ type: 'models' });
      } else {
        const left = (20 * (entry.bytes - done)) / entry.bytes;
        this.#download(entry, { bytes_done: done, seconds_left: left });
        this.#continue(entry);
      }
    }, 250 / this.#beginning.speed);
  }
}
