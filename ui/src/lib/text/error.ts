import { locale, t, type MessageKey } from '../messages/index.svelte';
import type { AppError } from '../types';

/** The codes that the window has words for. A test holds them to `crates/domain/src/error.rs`. */
export const ERROR_CODES = [
  'invalid_input',
  'not_found',
  'library',
  'unreadable',
  'model_missing',
  'model_invalid',
  'model_too_big',
  'model_failed',
  'download_failed',
  'cancelled',
  'internal',
] as const;

/** What is said of an error. */
export interface ErrorText {
  message: string;
  hint: string;
}

/**
 * An error in the window's language. The application's own words are English and know more, so
 * they are said as they are in English, and after the error's name in other languages.
 */
export function errorText({ code, message, hint }: AppError): ErrorText {
  const known = ERROR_CODES.find((other) => other === code);
  if (locale() === 'en' || known === undefined) return { message, hint };
  const name = t(`error.${known}` satisfies MessageKey);
  return {
    message: t('error.said', { message: name, detail: message.replace(/\.$/, '') }),
    hint: t(`error.${known}.hint` satisfies MessageKey),
  };
}
