import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const PDFJS = 'node_modules/pdfjs-dist';

/**
 * What pdf.js needs beside its scripts: a decoder of JPEG 2000, which its worker asks for by a name
 * that no bundler sees; and the licences of all that comes with it.
 */
function pdfjs(): Plugin {
  const decoder = 'openjpeg_nowasm_fallback.js';
  const licences = [
    'LICENSE',
    'cmaps/LICENSE',
    'standard_fonts/LICENSE_FOXIT',
    'standard_fonts/LICENSE_LIBERATION',
    'wasm/LICENSE_OPENJPEG',
    'wasm/LICENSE_PDFJS_OPENJPEG',
  ];
  const text = (name: string): string => readFileSync(`${PDFJS}/${name}`, 'utf8');
  return {
    name: 'pdfjs',
    apply: 'build',
    generateBundle() {
      const file = (fileName: string, source: string): void => {
        this.emitFile({ type: 'asset', fileName: `pdf/${fileName}`, source });
      };
      file(decoder, text(`wasm/${decoder}`));
      file(
        'LICENSES.txt',
        licences.map((name) => `==== pdfjs-dist/${name}\n\n${text(name)}`).join('\n'),
      );
    },
  };
}

/** KaTeX names its fonts in three forms; every window that is meant here reads the smallest. */
function smallestFonts(): Plugin {
  return {
    name: 'smallest-fonts',
    enforce: 'pre',
    transform(code, id) {
      if (!/katex.*\.css$/.test(id)) return null;
      return code.replace(/,url\([^)]*\.(woff|ttf)\) ?format\("[a-z]+"\)/g, '');
    },
  };
}

export default defineConfig({
  plugins: [svelte(), pdfjs(), smallestFonts()],
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
          testTimeout: 60_000,
          // On a busy computer a page takes its time.
          expect: { poll: { timeout: 10_000 } },
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
