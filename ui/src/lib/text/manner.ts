import { t } from '../messages/index.svelte';
import type { Manner } from '../types';

/** The manners in which an answer can be asked for once more, but for languages. */
export const MANNERS = ['shorter', 'longer', 'simpler', 'points'] as const;

/** Languages of answers, as the model is told them and as their speakers know them. */
export const LANGUAGES = [
  { name: 'English', own: 'English', tag: 'en' },
  { name: 'Chinese', own: '简体中文', tag: 'zh-Hans' },
  { name: 'Spanish', own: 'Español', tag: 'es' },
  { name: 'French', own: 'Français', tag: 'fr' },
  { name: 'German', own: 'Deutsch', tag: 'de' },
  { name: 'Portuguese', own: 'Português', tag: 'pt' },
  { name: 'Italian', own: 'Italiano', tag: 'it' },
  { name: 'Russian', own: 'Русский', tag: 'ru' },
  { name: 'Japanese', own: '日本語', tag: 'ja' },
  { name: 'Korean', own: '한국어', tag: 'ko' },
] as const;

/** A manner in the window's words. */
export function mannerName(manner: Manner): string {
  if (typeof manner === 'string') return t(`adjust.${manner}`);
  const { language } = manner;
  const own = LANGUAGES.find(({ name }) => name === language)?.own ?? language;
  return t('adjust.in', { language: own });
}
