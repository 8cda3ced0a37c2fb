import type { HistoryEntry } from '../types';

/** Entries that are told as one, since they are alike and follow each other. */
export interface Told {
  id: number;
  kind: HistoryEntry['kind'];
  at: string;
  entries: readonly HistoryEntry[];
}

/** What happened on one day. */
export interface Day {
  /** Its local date, `YYYY-MM-DD`. */
  date: string;
  told: readonly Told[];
}

/** More than so many alike are told as one. */
const ALIKE = 4;

/** Entries, the latest first, day by day, with what is alike together. */
export function toDays(entries: readonly HistoryEntry[]): readonly Day[] {
  const days = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    const date = localDate(new Date(entry.at));
    const day = days.get(date);
    if (day) day.push(entry);
    else days.set(date, [entry]);
  }
  return [...days].map(([date, entries]) => ({ date, told: runs(entries) }));
}

function runs(entries: readonly HistoryEntry[]): readonly Told[] {
  const alike: HistoryEntry[][] = [];
  for (const entry of entries) {
    const last = alike.at(-1);
    if (last?.[0]?.kind === entry.kind) last.push(entry);
    else alike.push([entry]);
  }
  return alike.flatMap((run) => {
    const parts = run.length > ALIKE ? [run] : run.map((entry) => [entry]);
    return parts.flatMap((entries) => {
      const [first] = entries;
      return first ? [{ id: first.id, kind: first.kind, at: first.at, entries }] : [];
    });
  });
}

/** The date where the person is. */
export function localDate(time: Date): string {
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}
