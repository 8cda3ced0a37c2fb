import type { App } from './app.svelte';

/** What the system's menu bar can have the page do. */
export const COMMANDS: Record<string, (app: App) => void> = {
  settings: (app) => app.go('settings'),
  new: (app) => app.newQuestion(),
  add_folders: (app) => void app.library.addFolders(),
  add_files: (app) => void app.library.addFiles(),
  search: (app) => app.go('search'),
  library: (app) => app.go('library'),
  models: (app) => app.go('models'),
  palette: (app) => (app.palette = true),
};
