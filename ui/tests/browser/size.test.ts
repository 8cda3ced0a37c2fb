import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

const ASSETS = join(import.meta.dirname, '../../dist/assets');

/** The scripts of the built page, by what begins their names, with their sizes. */
function scripts(): { name: string; gzipped: number }[] {
  return readdirSync(ASSETS)
    .filter((name) => name.endsWith('.js'))
    .map((name) => ({ name, gzipped: gzipSync(readFileSync(join(ASSETS, name))).length }));
}

/** A font or a character map, which a document may ask for. */
function isData(name: string): boolean {
  const path = join(ASSETS, name);
  return statSync(path).size > 100 && /data:[\w/+.-]*;base64,/.test(readFileSync(path, 'utf8'));
}

describe('the built page', () => {
  it('is small without what draws PDF', () => {
    const page = scripts().filter(({ name }) => !name.startsWith('pdf') && !isData(name));
    expect(page.length).toBeGreaterThan(2);
    const kilobytes = page.reduce((sum, { gzipped }) => sum + gzipped, 0) / 1_000;
    expect(kilobytes).toBeLessThan(600);
  });

  it('loads what draws PDF only when one is opened', () => {
    const entry = readFileSync(join(ASSETS, '../index.html'), 'utf8');
    expect(entry).not.toMatch(/pdf/i);
    expect(scripts().some(({ name }) => name.startsWith('pdf.worker'))).toBe(true);
  });
});
