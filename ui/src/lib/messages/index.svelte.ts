import en from './en.json';
import zh from './zh.json';

/** A language the window speaks. */
export type Locale = 'en' | 'zh';

/** The name of a message. */
export type MessageKey = keyof typeof en;

/** The name of a message that has a form for one and a form for more. */
export type CountedKey = {
  [Key in MessageKey]: Key extends `${infer Stem}.other` ? Stem : never;
}[MessageKey];

/** What fills a message's `{placeholders}`. */
export type Values = Record<string, string | number>;

const messages: Record<Locale, Record<MessageKey, string>> = { en, zh };

let current = $state<Locale>('en');

/** The language that is spoken now; reading it in a component makes that follow. */
export function locale(): Locale {
  return current;
}

export function setLocale(locale: Locale): void {
  current = locale;
}

/** The first of the person's languages that the window speaks. */
export function preferredLocale(languages: readonly string[]): Locale {
  for (const language of languages) {
    if (/^zh\b/i.test(language)) return 'zh';
    if (/^en\b/i.test(language)) return 'en';
  }
  return 'en';
}

/** A message in the current language. */
export function t(key: MessageKey, values: Values = {}): string {
  return messages[current][key].replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) return placeholder;
    return typeof value === 'number' ? value.toLocaleString(current) : value;
  });
}

/** A message about a number of things, in the form that number takes. */
export function tn(key: CountedKey, count: number, values: Values = {}): string {
  const form = new Intl.PluralRules(current).select(count) === 'one' ? 'one' : 'other';
  return t(`${key}.${form}` as MessageKey, { count, ...values });
}
