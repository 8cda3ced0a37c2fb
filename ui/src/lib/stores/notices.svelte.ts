import { toAppError } from '../backend';
import { errorText } from '../text/error';

/** A message that does not stand in the way. */
export interface Notice {
  id: number;
  kind: 'error' | 'info';
  message: string;
  hint: string;
}

const INFO_SHOWN_FOR = 5_000;

/** What the person should know, newest last. Errors stay until they are dismissed. */
export class Notices {
  list = $state<Notice[]>([]);
  #next = 0;

  inform(message: string, hint = ''): void {
    const id = this.#add('info', message, hint);
    setTimeout(() => this.dismiss(id), INFO_SHOWN_FOR);
  }

  fail(thrown: unknown): void {
    const { message, hint } = errorText(toAppError(thrown));
    this.list = this.list.filter((notice) => notice.message !== message);
    this.#add('error', message, hint);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }

  #add(kind: Notice['kind'], message: string, hint: string): number {
    const id = this.#next++;
    this.list.push({ id, kind, message, hint });
    return id;
  }
}
