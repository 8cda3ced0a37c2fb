import { locale } from '../messages/index.svelte';

/** A time span: `14 ms`, `4.1 s`, `2 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${decimal(milliseconds, 0)} ms`;
  if (milliseconds < 120_000) return `${decimal(milliseconds / 1_000, 1)} s`;
  return `${decimal(milliseconds / 60_000, 0)} min`;
}

/** A size on the disk: `640 kB`, `12 MB`, `1.4 GB`. */
export function fileSize(bytes: number): string {
  if (bytes < 1e6) return `${decimal(bytes / 1e3, 0)} kB`;
  if (bytes < 1e9) return `${decimal(bytes / 1e6, 0)} MB`;
  return `${decimal(bytes / 1e9, 1)} GB`;
}

/** A number of things. */
export function count(things: number): string {
  return things.toLocaleString(locale());
}

function decimal(value: number, digits: number): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits });
}

/** A day, from an RFC 3339 time, as it is written where the person lives. */
export function day(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '';
  const region = navigator.languages.find((language) => language.startsWith(locale()));
  return date.toLocaleDateString(region ?? locale(), {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
  });
}

/** The time of day, from an RFC 3339 time, as it is written where the person lives. */
export function clock(time: string): string {
  const region = navigator.languages.find((language) => language.startsWith(locale()));
  return new Date(time).toLocaleTimeString(region ?? locale(), {
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** A day of the calendar, from `YYYY-MM-DD`. */
export function dayOf(date: string): string {
  return day(`${date}T00:00:00`);
}

/** A language's name in the window's language, from its ISO 639-1 code. */
export function languageName(code: string): string {
  return new Intl.DisplayNames(locale(), { type: 'language' }).of(code) ?? code;
}

/** A part of a whole, in whole per cent; 100 only where nothing is left. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((100 * Math.min(part, whole)) / whole);
}
