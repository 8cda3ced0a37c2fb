/**
 * What pdf.js needs for documents that do not bring their own fonts: character maps for Chinese,
 * Japanese and Korean, and the fourteen standard fonts. The window's content policy lets the page
 * fetch nothing, so each of them is a script of its own, loaded when a document asks for it.
 */
type Files = Record<string, () => Promise<string>>;

const maps = import.meta.glob<string>('/node_modules/pdfjs-dist/cmaps/*.bcmap', {
  query: '?url&inline',
  import: 'default',
});
const fonts = import.meta.glob<string>('/node_modules/pdfjs-dist/standard_fonts/*.{pfb,ttf}', {
  query: '?url&inline',
  import: 'default',
});

async function bytesOf(files: Files, folder: string, name: string): Promise<Uint8Array> {
  const load = files[`/node_modules/pdfjs-dist/${folder}/${name}`];
  if (load === undefined) throw new Error(`${name} does not come with the program`);
  const address = await load();
  return Uint8Array.from(atob(address.slice(address.indexOf(',') + 1)), (c) => c.charCodeAt(0));
}

/** Gives pdf.js a character map. */
export class CharacterMaps {
  async fetch({
    name,
  }: {
    name: string;
  }): Promise<{ cMapData: Uint8Array; isCompressed: boolean }> {
    return { cMapData: await bytesOf(maps, 'cmaps', `${name}.bcmap`), isCompressed: true };
  }
}

/** Gives pdf.js a standard font. */
export class StandardFonts {
  async fetch({ filename }: { filename: string }): Promise<Uint8Array> {
    return bytesOf(fonts, 'standard_fonts', filename);
  }
}
