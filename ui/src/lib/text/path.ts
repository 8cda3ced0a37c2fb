/** The last part of a path of any system. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? path;
}

/** A path without its last part. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf(baseName(path)) - 1));
}

/** Whether a path is a folder or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder + '/') || path.startsWith(folder + '\\');
}
