import { describe, expect, it } from 'vitest';
import { keyNames, keysOf } from '../../src/lib/text/keys';

describe('keys that are pressed together', () => {
  it.each<[KeyboardEventInit, string | null]>([
    [{ code: 'KeyL', key: 'l', ctrlKey: true, altKey: true }, 'Control+Alt+KeyL'],
    [{ code: 'Space', key: ' ', altKey: true, shiftKey: true }, 'Alt+Shift+Space'],
    [{ code: 'F9', key: 'F9' }, 'F9'],
    [{ code: 'Digit1', key: '1', metaKey: true }, 'Super+Digit1'],
    // Needed for typing, or not complete yet.
    [{ code: 'KeyL', key: 'l' }, null],
    [{ code: 'KeyL', key: 'L', shiftKey: true }, null],
    [{ code: 'ControlLeft', key: 'Control', ctrlKey: true }, null],
  ])('%j are %s', (init, keys) => {
    expect(keysOf(new KeyboardEvent('keydown', init))).toBe(keys);
  });

  it('are read by their names', () => {
    expect(keyNames('Control+Alt+KeyL')).toEqual(['Ctrl', 'Alt', 'L']);
    expect(keyNames('Super+Digit1')).toEqual(['Super', '1']);
    expect(keyNames('Shift+F9')).toEqual(['Shift', 'F9']);
  });
});
