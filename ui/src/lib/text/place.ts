import { t, tn } from '../messages/index.svelte';
import type { Place } from '../types';
import { unitOfPath, type Unit } from './kind';

/** What is known of where something stands: a hit, a citation or a passage says it. */
export interface Whereabouts {
  /** Absolute path of the document. */
  document: string;
  /** The page, slide, sheet, … from 1. */
  page: number | null;
  /** What the document itself calls the page, such as `iv`. */
  label?: string;
  place?: Place;
}

/**
 * Where something stands, in the words of its kind of document: `page 3`, `sheet 2, B14`,
 * `line 120`, `0:01:35`; empty where nothing is known. `count` is how many pages there are in
 * all, where that is to be said.
 */
export function placeText(where: Whereabouts, count: number | null = null): string {
  const unit = where.place?.unit ?? unitOfPath(where.document);
  const page = where.page === null ? '' : pageText(unit, where.page, where.label, count);
  const line = where.place ? lineText(where.place) : '';
  return page !== '' && line !== '' ? joined(page, line) : page + line;
}

/** A page, slide, sheet, … by its number, or by the name that the document gives a page. */
export function pageText(
  unit: Unit,
  page: number,
  label?: string,
  count: number | null = null,
): string {
  // As strings: numbers that name something have no thousands separators.
  if (label !== undefined && unit === 'page') return t('place.label', { label });
  if (count === null) return t(`place.${unit}`, { n: String(page) });
  return t(`place.${unit}.of`, { n: String(page), count: String(count) });
}

/** How long a document is: `13 pages`, `24 slides`. */
export function lengthText(unit: Unit, count: number): string {
  return tn(`length.${unit}`, count);
}

/** Two things said one after another, with the language's comma. */
export function joined(first: string, second: string): string {
  return t('place.joined', { first, second });
}

function lineText({ line, line_unit, cell }: Place): string {
  if (cell !== undefined) return cell;
  if (line === null) return '';
  return line_unit === 'second' ? clock(line) : t(`place.${line_unit}`, { n: String(line) });
}

/** Seconds as a player shows them. */
function clock(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
