import type { Filter } from '../types';
import { KINDS, type KindWord } from '../text/kind';
import { isWithin } from '../text/path';

/** Where a question or a search looks. What is left empty does not restrict. */
export class Scope {
  folders = $state.raw<readonly string[]>([]);
  files = $state.raw<readonly string[]>([]);
  kinds = $state.raw<readonly KindWord[]>([]);
  /** ISO 639-1 codes, of which a document has one. */
  languages = $state.raw<readonly string[]>([]);
  /** A document has all of them. */
  tags = $state.raw<readonly string[]>([]);
  /** `YYYY-MM-DD`, or empty. */
  since = $state('');
  until = $state('');
  readonly isEmpty = $derived(
    [this.folders, this.files, this.kinds, this.languages, this.tags].every(
      ({ length }) => length === 0,
    ) &&
      this.since === '' &&
      this.until === '',
  );

  toggleFolder(path: string): void {
    this.folders = toggled(this.folders, path);
  }

  toggleKind(kind: KindWord): void {
    this.kinds = toggled(this.kinds, kind);
  }

  toggleLanguage(code: string): void {
    this.languages = toggled(this.languages, code);
  }

  toggleTag(name: string): void {
    this.tags = toggled(this.tags, name);
  }

  addFile(path: string): void {
    if (!this.files.includes(path)) this.files = [...this.files, path];
  }

  removeFile(path: string): void {
    this.files = this.files.filter((other) => other !== path);
  }

  clear(): void {
    this.folders = [];
    this.files = [];
    this.kinds = [];
    this.languages = [];
    this.tags = [];
    this.since = '';
    this.until = '';
  }

  /** The filter, without what has left the library since it was chosen. */
  toFilter(folders: readonly string[]): Filter {
    const isKnown = (path: string): boolean => folders.some((folder) => isWithin(path, folder));
    return {
      in: [...this.folders, ...this.files].filter(isKnown),
      not_in: [],
      type: Object.entries(KINDS)
        .filter(([, { word }]) => this.kinds.includes(word))
        .map(([name]) => name),
      language: [...this.languages],
      tag: [...this.tags],
      since: this.since === '' ? null : this.since,
      until: this.until === '' ? null : this.until,
    };
  }
}

function toggled<Value>(values: readonly Value[], value: Value): readonly Value[] {
  return values.includes(value) ? values.filter((other) => other !== value) : [...values, value];
}
