import { t } from '../messages/index.svelte';
import type { FileStatus } from '../types';

/** Why a file is not ready, with what the person can do about it where that is known. */
export function reasonText({ needs, reason }: FileStatus): string {
  return needs === 'password' ? t('library.needs.password') : (reason ?? '');
}
