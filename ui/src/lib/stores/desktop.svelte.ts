import type { Backend } from '../backend';
import type { DesktopSettings } from '../types';
import type { Notices } from './notices.svelte';

/** What the program does besides showing its window. */
export class Desktop {
  settings = $state.raw<DesktopSettings | null>(null);

  readonly #backend: Backend;
  readonly #notices: Notices;

  constructor(backend: Backend, notices: Notices) {
    this.#backend = backend;
    this.#notices = notices;
  }

  load(): Promise<void> {
    return this.#attempt(async () => {
      this.settings = await this.#backend.desktopSettings();
    });
  }

  async set(change: Partial<DesktopSettings>): Promise<void> {
    if (this.settings === null) return;
    const settings = { ...this.settings, ...change };
    await this.#attempt(async () => {
      await this.#backend.setDesktopSettings(settings);
      this.settings = settings;
    });
  }

  quit(): Promise<void> {
    return this.#attempt(() => this.#backend.quit());
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      this.#notices.fail(thrown);
    }
  }
}
