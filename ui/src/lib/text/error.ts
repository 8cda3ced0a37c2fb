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
 * they are said in English, as a sentence, and after the error's name in other languages.
 */
export function errorText({ code, message, hint }: AppError): ErrorText {
  const known = ERROR_CODES.find((other) => other === code);
  if (locale() === 'en' || known === undefined) return { message: sentence(message), hint };
  const name = t(`error.${known}` satisfies MessageKey);
  return {
    message: t('error.said', { message: name, detail: message.replace(/\.$/, '') }),
    hint: t(`error.${known}.hint` satisfies MessageKey),
  };
}

/** Words of the application as a sentence. A name that they begin with stays as it is written. */
function sentence(words: string): string {
  const begun = words.replace(/^\p{Ll}(?=\p{Ll}* )/u, (letter) => letter.toUpperCase());
  return /[.!?…。]$/.test(begun) ? begun : `${begun}.`;
}
