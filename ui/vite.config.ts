import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** pdf.js's worker asks for this decoder of JPEG 2000 by its name, which no bundler sees. */
function jpeg2000(): Plugin {
  const name = 'openjpeg_nowasm_fallback.js';
  return {
    name: 'jpeg2000',
    apply: 'build',
    generateBundle() {
      const source = readFileSync(`node_modules/pdfjs-dist/wasm/${name}`);
      this.emitFile({ type: 'asset', fileName: `pdf/${name}`, source });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), jpeg2000()],
  worker: { format: 'es' },
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
