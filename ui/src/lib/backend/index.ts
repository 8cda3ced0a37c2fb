import type { Backend } from './backend';

export { toAppError, type Backend, type DragPhase, type Unsubscribe } from './backend';

/** The application inside its window; the mock in a plain browser or with `?mock`. */
export async function connect(): Promise<Backend> {
  const parameters = new URLSearchParams(location.search);
  if ('__TAURI_INTERNALS__' in window && !parameters.has('mock')) {
    return (await import('./tauri')).tauri;
  }
  return (await import('./mock')).createMock(parameters);
}
