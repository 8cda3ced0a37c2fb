/**
 * The application counts characters as Unicode code points; JavaScript strings
 * count UTF-16 units, two of which make a character outside the basic plane.
 */

/** How many code points `text` has. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    if (startsPair(text, i)) {
      length--;
      i++;
    }
  }
  return length;
}

/** The UTF-16 index of code point `position`, held within the text. */
export function utf16Index(text: string, position: number): number {
  let index = 0;
  for (let left = position; left > 0 && index < text.length; left--) {
    index += startsPair(text, index) ? 2 : 1;
  }
  return index;
}

function startsPair(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(index + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}
