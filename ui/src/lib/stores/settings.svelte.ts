import { preferredLocale, setLocale, type Locale } from '../messages/index.svelte';

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'system' | Locale;

/** How large the window's page is drawn, in per cent. */
export const TEXT_SIZES = ['100', '115', '130', '150', '200'] as const;
export type TextSize = (typeof TEXT_SIZES)[number];

/** How much of the window the source takes, in per cent. */
export const NARROWEST_VIEWER = 25;
export const WIDEST_VIEWER = 60;
const USUAL_VIEWER = 42;

const THEMES: readonly [Theme, ...Theme[]] = ['system', 'light', 'dark'];
const LANGUAGES: readonly [Language, ...Language[]] = ['system', 'en', 'zh'];

/** What the person chose for the window; kept by the window alone. */
export class Settings {
  theme = $state<Theme>(kept('theme', THEMES));
  language = $state<Language>(kept('language', LANGUAGES));
  textSize = $state<TextSize>(kept('textSize', TEXT_SIZES));
  /** Sentences without support are left out of answers, instead of being marked. */
  dropsUnsupported = $state(localStorage.getItem('unsupported') === 'drop');
  viewerWidth = $state(heldWithin(Number(localStorage.getItem('viewerWidth') ?? USUAL_VIEWER)));
  /** Small pages are shown beside those of a PDF; null where the person has not said. */
  showsStrip = $state(keptChoice('strip'));
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

  setDropsUnsupported(drops: boolean): void {
    this.dropsUnsupported = drops;
    localStorage.setItem('unsupported', drops ? 'drop' : 'mark');
  }

  setShowsStrip(shows: boolean): void {
    this.showsStrip = shows;
    localStorage.setItem('strip', shows ? 'yes' : 'no');
  }

  setViewerWidth(percent: number): void {
    this.viewerWidth = heldWithin(percent);
    localStorage.setItem('viewerWidth', String(Math.round(this.viewerWidth)));
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

function heldWithin(percent: number): number {
  if (Number.isNaN(percent)) return USUAL_VIEWER;
  return Math.max(NARROWEST_VIEWER, Math.min(percent, WIDEST_VIEWER));
}

function keptChoice(name: string): boolean | null {
  const value = localStorage.getItem(name);
  return value === null ? null : value === 'yes';
}

function kept<Value extends string>(name: string, values: readonly [Value, ...Value[]]): Value {
  const value = localStorage.getItem(name);
  return values.find((known) => known === value) ?? values[0];
}
