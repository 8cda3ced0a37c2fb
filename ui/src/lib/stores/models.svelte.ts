import { toAppError, type Backend } from '../backend';
import type { AppError, Download, ModelEntry, Models as State, ModelSettings } from '../types';
import { t } from '../messages/index.svelte';
import type { Notices } from './notices.svelte';

/** The models there are, how they would run here, and their downloads. */
export class Models {
  state = $state.raw<State | null>(null);
  error = $state.raw<AppError | null>(null);
  /** The chat model to offer to somebody who has none. */
  readonly recommended: ModelEntry | null = $derived(
    this.state?.models.find(({ id }) => id === this.state?.recommendation.id) ?? null,
  );
  /** The chat model that is being fetched, if one is. */
  readonly arriving: ModelEntry | null = $derived(
    this.state?.models.find(
      ({ role, download }) => role === 'chat' && download !== null && download.state !== 'done',
    ) ?? null,
  );

  /** The model for OCR, where there is one to be had. */
  readonly ocr: ModelEntry | null = $derived(
    this.state?.models.find(({ role }) => role === 'ocr') ?? null,
  );

  readonly #backend: Backend;
  readonly #notices: Notices;
  #loading: Promise<void> | null = null;

  constructor(backend: Backend, notices: Notices) {
    this.#backend = backend;
    this.#notices = notices;
  }

  /** Learns what there is; one call at a time. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(): Promise<void> {
    try {
      this.state = await this.#backend.models();
      this.error = null;
    } catch (thrown) {
      this.error = toAppError(thrown);
    }
  }

  /** A download has moved. */
  follow(download: Download): void {
    if (this.state === null) {
      void this.load();
      return;
    }
    const name = this.state.models.find(({ id }) => id === download.id)?.name ?? download.id;
    if (download.state === 'done') this.#notices.inform(t('models.arrived', { name }));
    const models = this.state.models.map((entry) =>
      entry.id === download.id
        ? { ...entry, download: download.state === 'cancelled' ? null : download }
        : entry,
    );
    this.state = { ...this.state, models };
  }

  get(id: string): Promise<void> {
    return this.#attempt(() => this.#backend.getModel(id));
  }

  pause(id: string): Promise<void> {
    return this.#attempt(() => this.#backend.pauseDownload(id));
  }

  resume(id: string): Promise<void> {
    return this.#attempt(() => this.#backend.resumeDownload(id));
  }

  cancel(id: string): Promise<void> {
    return this.#attempt(() => this.#backend.cancelDownload(id));
  }

  use(id: string): Promise<void> {
    return this.#attempt(() => this.#backend.useModel(id));
  }

  importFound(path: string): Promise<void> {
    return this.#attempt(() => this.#backend.importModel(path));
  }

  /** Asks the person for a model's file. */
  import(): Promise<void> {
    return this.#attempt(async () => {
      const path = await this.#backend.pickModel();
      if (path !== null) await this.#backend.importModel(path);
    });
  }

  remove(id: string): Promise<void> {
    return this.#attempt(async () => void (await this.#backend.removeModel(id)));
  }

  set(settings: ModelSettings): Promise<void> {
    return this.#attempt(() => this.#backend.setModelSettings(settings));
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      this.#notices.fail(thrown);
    }
    await this.load();
  }
}
