import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte()],
  // Relative addresses work under Tauri's own protocol and under any static server.
  base: './',
  clearScreen: false,
  server: { port: 5173, strictPort: true },
  build: {
    target: 'safari16',
    // The polyfill would use `fetch`, which the window's content policy forbids.
    modulePreload: { polyfill: false },
    // Inlined assets would need a wider content policy.
    assetsInlineLimit: 0,
  },
  test: {
    reporters: ['default', './tests/closing-line.ts'],
    projects: [
      {
        extends: true,
        // Svelte's client runtime, not the one for servers.
        resolve: { conditions: ['browser'] },
        test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], environment: 'jsdom' },
      },
      {
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          globalSetup: './tests/browser/serve.ts',
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
