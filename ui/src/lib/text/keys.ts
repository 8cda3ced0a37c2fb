/** The keys of macOS have signs instead of names. */
const IS_MAC = /^Mac/.test(globalThis.navigator?.platform ?? '');

/** How the key that goes with commands is called here. */
export const COMMAND_KEY = IS_MAC ? '⌘' : 'Ctrl';

const NAMES: Record<string, string> = IS_MAC
  ? { Control: '⌃', Alt: '⌥', Shift: '⇧', Super: '⌘' }
  : { Control: 'Ctrl' };

/** Keys that say nothing by themselves. */
const MODIFIERS = ['Control', 'Alt', 'Shift', 'Meta', 'AltGraph', 'CapsLock', 'Fn'];

/**
 * The keys that are pressed together, as `Control+Alt+KeyL`; null where they cannot stand for a
 * command everywhere, since they are needed for typing.
 */
export function keysOf(event: KeyboardEvent): string | null {
  const { code, key, ctrlKey, altKey, metaKey, shiftKey } = event;
  if (MODIFIERS.includes(key) || code === '') return null;
  const isFunctionKey = /^F\d+$/.test(code);
  if (!isFunctionKey && !ctrlKey && !altKey && !metaKey) return null;
  const held: [boolean, string][] = [
    [ctrlKey, 'Control'],
    [altKey, 'Alt'],
    [shiftKey, 'Shift'],
    [metaKey, 'Super'],
  ];
  const names = held.filter(([isHeld]) => isHeld).map(([, name]) => name);
  return [...names, code].join('+');
}

/** Keys as a person reads them: `Ctrl`, `Alt`, `L`. */
export function keyNames(keys: string): string[] {
  return keys.split('+').map((key) => NAMES[key] ?? key.replace(/^(Key|Digit)(?=.$)/, ''));
}
