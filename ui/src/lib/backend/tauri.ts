import { Channel, invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import { getCurrentWebview } from '@tauri-apps/api/webview';
import { open } from '@tauri-apps/plugin-dialog';
import type { AppEvent, AskEvent } from '../types';
import type { Backend } from './backend';

async function pick(directory: boolean): Promise<string[]> {
  return (await open({ directory, multiple: true })) ?? [];
}

/** The real application, behind Tauri's commands. */
export const tauri: Backend = {
  status: () => invoke('status'),
  files: () => invoke('files'),
  addPaths: (paths) => invoke('add_paths', { paths }),
  removePath: (path) => invoke('remove_path', { path }),
  retry: (path) => invoke('retry', { path }),
  unlock: (path, password) => invoke('unlock', { path, password }),
  callOff: (path) => invoke('call_off', { path }),
  hurry: (path) => invoke('hurry', { path }),
  setRules: (path, rules) => invoke('set_rules', { path, rules }),
  tag: (paths, add, remove) => invoke('tag', { paths, add, remove }),
  tags: () => invoke('tags'),
  setFolderPaused: (path, paused) => invoke('set_folder_paused', { path, paused }),
  history: (before, limit) => invoke('history', { before, limit }),
  pause: () => invoke('pause'),
  resume: () => invoke('resume'),
  search: (request) => invoke('search', { request }),
  ask: (request, onEvent) => {
    const channel = new Channel<AskEvent>(onEvent);
    return invoke('ask', { request, channel });
  },
  stop: () => invoke('stop'),
  conversations: () => invoke('conversations'),
  conversation: (id) => invoke('conversation', { id }),
  deleteConversation: (id) => invoke('delete_conversation', { id }),
  findConversations: (words) => invoke('find_conversations', { words }),
  rate: (answer, rating) => invoke('rate', { answer, rating }),
  exportRated: () => invoke('export_rated'),
  desktop: () => invoke('desktop'),
  setAutostart: (on) => invoke('set_autostart', { on }),
  desktopSettings: () => invoke('desktop_settings'),
  setDesktopSettings: (settings) => invoke('set_desktop_settings', { settings }),
  setLanguage: (language) => invoke('set_language', { language }),
  closeWindow: () => invoke('close_window'),
  quit: () => invoke('quit'),
  sourcesNow: (quoted) => invoke('sources_now', { quoted }),
  linked: () => invoke('linked'),
  source: (path) => invoke('source', { path }),
  places: (path, ranges) => invoke('places', { path, ranges }),
  documentBytes: async (path, start, length) =>
    new Uint8Array(await invoke<ArrayBuffer>('document_bytes', { path, start, length })),
  openPath: (path) => invoke('open_path', { path }),
  samples: () => invoke('samples'),
  pickFolders: () => pick(true),
  pickFiles: () => pick(false),
  models: () => invoke('models'),
  getModel: (id) => invoke('get_model', { id }),
  pauseDownload: (id) => invoke('pause_download', { id }),
  resumeDownload: (id) => invoke('resume_download', { id }),
  cancelDownload: (id) => invoke('cancel_download', { id }),
  importModel: (path) => invoke('import_model', { path }),
  useModel: (id) => invoke('use_model', { id }),
  removalPreview: (id) => invoke('removal_preview', { id }),
  removeModel: (id) => invoke('remove_model', { id }),
  setModelSettings: (settings) => invoke('set_model_settings', { settings }),
  pickModel: () => open({ filters: [{ name: 'GGUF', extensions: ['gguf'] }] }),
  saveText: (name, text) => invoke('save_text', { name, text }),
  setZoom: (factor) => getCurrentWebview().setZoom(factor),
  deleteEverything: () => invoke('delete_everything'),
  onApp: (listener) => listen<AppEvent>('app', ({ payload }) => listener(payload)),
  onMenu: (listener) => listen<string>('menu', ({ payload }) => listener(payload)),
  onDrag: (listener) =>
    getCurrentWebview().onDragDropEvent(({ payload }) => {
      if (payload.type !== 'over') listener(payload.type);
    }),
};
