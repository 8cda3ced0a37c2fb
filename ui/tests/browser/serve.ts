import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    address: string;
  }
}

const DIST = join(import.meta.dirname, '../../dist');
/** For pictures that are compared. */
const FONTS = join(import.meta.dirname, '../../node_modules/@fontsource/inter/files');
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** The window's own policy, so that what it forbids fails here as well. */
const POLICY: string = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../src-tauri/tauri.conf.json'), 'utf8'),
).app.security.csp;

/** Serves the built page on a free port as long as the browser tests run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = normalize(pathname === '/' ? '/index.html' : pathname);
    const weight = /^\/test-font-(\d+)\.woff2$/.exec(pathname)?.[1];
    const font = `inter-latin-${weight}-normal.woff2`;
    readFile(weight === undefined ? join(DIST, file) : join(FONTS, font)).then(
      (body) => {
        const type = TYPES[extname(file)] ?? 'application/octet-stream';
        response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  project.provide('address', `http://127.0.0.1:${port}/`);
  return () => new Promise((resolve) => server.close(() => resolve()));
}
