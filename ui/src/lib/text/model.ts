import { t, type MessageKey } from '../messages/index.svelte';
import type { Download, EmbedderChange, Fit, ModelEntry } from '../types';
import { count, fileSize } from './format';

/** English words for each token, about; Chinese characters are near to one. */
const WORDS = 0.75;

/** What to expect of a model on this computer, in a sentence; empty where nothing is known. */
export function expectation({ first_token_seconds: first, tokens_per_second: pace }: Fit): string {
  if (first === null || pace === null) return '';
  const seconds = first < 10 ? first.toFixed(1).replace(/\.0$/, '') : String(Math.round(first));
  return t('models.expect', { seconds, words: String(Math.max(1, Math.round(pace * WORDS))) });
}

/** Whether and how well a model fits this computer, in a few words. */
export function verdictText({ verdict, disk_full: full }: Fit): string {
  return t(full ? 'models.verdict.disk_full' : `models.verdict.${verdict}`);
}

/** What it costs to change to an embedder, or that it is under way; empty where there is nothing to read. */
export function changeText({ passages, seconds, started }: EmbedderChange): string {
  if (started) return t('models.change.started');
  if (passages === 0) return '';
  if (seconds === null) return t('models.change', { passages: count(passages) });
  return t('models.change.time', { passages: count(passages), time: duration(seconds) });
}

function duration(seconds: number): string {
  if (seconds < 90) return t('models.time.seconds', { count: Math.max(1, Math.round(seconds)) });
  const minutes = seconds / 60;
  if (minutes < 90) return t('models.time.minutes', { count: Math.round(minutes) });
  return t('models.time.hours', { count: Math.round(minutes / 60) });
}

/** A model's size, and how its weights are stored. */
export function sizeText({ bytes, bytes_exact: exact, quantisation }: ModelEntry): string {
  const size = exact ? fileSize(bytes) : t('models.about', { size: fileSize(bytes) });
  return quantisation === '' ? size : `${size} · ${quantisation}`;
}

/** How far a download is, in per cent; null while that is not known. */
export function downloadPercent({ bytes_done: done, bytes_total: total }: Download): number | null {
  if (total === null || total === 0) return null;
  return Math.min(100, Math.floor((100 * done) / total));
}

/** How far a download is, in words. */
export function downloadText(download: Download): string {
  const { state, bytes_done: done, bytes_total: total, seconds_left: left } = download;
  const amount =
    total === null
      ? fileSize(done)
      : t('models.download.amount', { done: fileSize(done), total: fileSize(total) });
  if (state === 'running') {
    return left === null ? amount : `${amount} · ${timeLeft(left)}`;
  }
  return `${t(`models.download.${state}` satisfies MessageKey)} · ${amount}`;
}

function timeLeft(seconds: number): string {
  if (seconds < 90) return t('models.left.seconds', { count: Math.max(1, Math.round(seconds)) });
  return t('models.left.minutes', { count: Math.round(seconds / 60) });
}
