import { describe, expect, it } from 'vitest';
import { toDays } from '../../src/lib/text/history';
import type { HistoryEntry, HistoryKind } from '../../src/lib/types';

let id = 0;

function entry(kind: HistoryKind, at: string): HistoryEntry {
  return { id: ++id, kind, at, path: `/f/${id}.md`, from: null, files: null, reason: null };
}

function repeat(count: number, kind: HistoryKind, at: string): HistoryEntry[] {
  return Array.from({ length: count }, () => entry(kind, at));
}

describe('what happened', () => {
  // Local times: the tests run in any time zone.
  const monday = '2026-03-16T09:00:00';
  const sunday = '2026-03-15T23:59:59';
  it.each<[string, HistoryEntry[], [string, string[]][]]>([
    ['nothing', [], []],
    ['few alike', repeat(4, 'added', monday), [['2026-03-16', Array(4).fill('added 1')]]],
    ['many alike', repeat(5, 'added', monday), [['2026-03-16', ['added 5']]]],
    [
      'another day between them',
      [...repeat(5, 'added', monday), ...repeat(6, 'added', sunday)],
      [
        ['2026-03-16', ['added 5']],
        ['2026-03-15', ['added 6']],
      ],
    ],
    [
      'something else between them',
      [...repeat(5, 'added', monday), entry('failed', monday), ...repeat(5, 'added', monday)],
      [['2026-03-16', ['added 5', 'failed 1', 'added 5']]],
    ],
  ])('%s', (_, entries, expected) => {
    const days = toDays(entries).map(({ date, told }) => [
      date,
      told.map(({ kind, entries }) => `${kind} ${entries.length}`),
    ]);
    expect(days).toEqual(expected);
  });
});
