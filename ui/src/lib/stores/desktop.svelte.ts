import type { Backend } from '../backend';
import type { Desktop as DesktopAround, DesktopSettings } from '../types';
import type { Notices } from './notices.svelte';

/** What the program does besides showing its window. */
export class Desktop {
  settings = $state.raw<DesktopSettings | null>(null);

  /** What the desktop around the window can do. */
  around = $state.raw<DesktopAround | null>(null);

  readonly #backend: Backend;
  readonly #notices: Notices;

  constructor(backend: Backend, notices: Notices) {
    this.#backend = backend;
    this.#notices = notices;
  }

  load(): Promise<void> {
    return this.#attempt(async () => {
      this.settings = await this.#backend.desktopSettings();
      this.around = await this.#backend.desktop();
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

  async setAutostart(on: boolean): Promise<void> {
    await this.#attempt(async () => {
      await this.#backend.setAutostart(on);
      this.around = await this.#backend.desktop();
    });
  }

  /** As the window's own button does it. */
  closeWindow(): Promise<void> {
    return this.#attempt(() => this.#backend.closeWindow());
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
