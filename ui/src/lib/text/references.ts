import type { AnswerPassage, Citation, Rect } from '../types';
import type { Whereabouts } from './place';

/** A passage to be shown in its document. */
export interface Reference extends Whereabouts {
  /** Its number in the answer, where it has one. */
  n: number | null;
  start: number;
  end: number;
  quote: string;
  /** SHA-256 of the file that an answer has quoted. */
  content?: string;
  /** Where it stands on its pages, where that came along. */
  rects?: Rect[];
}

/** A link that opens a passage in the application; `crates/app/src/link.rs` reads it. */
export function linkTo({ document, start, end, content }: Reference): string {
  const parts = new URLSearchParams({ document, start: String(start), end: String(end) });
  if (content !== undefined) parts.set('content', content);
  return `lectern://open?${parts}`;
}

/**
 * What an answer's markers lead to: its citations once they are known, and
 * while it is written the whole passages that the model was given.
 */
export function referencesOf(
  citations: readonly Citation[],
  passages: readonly AnswerPassage[],
): Reference[] {
  if (citations.length > 0) {
    return [...citations];
  }
  return passages.map((passage) => ({ ...passage, quote: passage.text }));
}
