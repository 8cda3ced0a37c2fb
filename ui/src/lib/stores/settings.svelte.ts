import { preferredLocale, setLocale, type Locale } from '../messages/index.svelte';

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'system' | Locale;

/** How large the window's page is drawn, in per cent. */
export const TEXT_SIZES = ['100', '115', '130', '150', '200'] as const;
export type TextSize = (typeof TEXT_SIZES)[number];

const THEMES: readonly [Theme, ...Theme[]] = ['system', 'light', 'dark'];
const LANGUAGES: readonly [Language, ...Language[]] = ['system', 'en', 'zh'];

/** What the person chose for the window; kept by the window alone. */
export class Settings {
  theme = $state<Theme>(kept('theme', THEMES));
  language = $state<Language>(kept('language', LANGUAGES));
  textSize = $state<TextSize>(kept('textSize', TEXT_SIZES));
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');

  constructor() {
    this.#dark.addEventListener('change', () => this.#apply());
    this.#apply();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem('theme', theme);
    this.#apply();
  }

  setLanguage(language: Language): void {
    this.language = language;
    localStorage.setItem('language', language);
    this.#apply();
  }

  setTextSize(size: TextSize): void {
    this.textSize = size;
    localStorage.setItem('textSize', size);
  }

  #apply(): void {
    const dark = this.theme === 'dark' || (this.theme === 'system' && this.#dark.matches);
    const locale =
      this.language === 'system' ? preferredLocale(navigator.languages) : this.language;
    setLocale(locale);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    document.documentElement.lang = locale === 'zh' ? 'zh-Hans' : 'en';
  }
}

function kept<Value extends string>(name: string, values: readonly [Value, ...Value[]]): Value {
  const value = localStorage.getItem(name);
  return values.find((known) => known === value) ?? values[0];
}
