import { t } from '../messages/index.svelte';
import type { FileStatus } from '../types';

/** Why a file is not ready, with what the person can do about it where that is known. */
export function reasonText({
  reason,
  reason_code: code,
  reason_detail: detail,
}: Pick<FileStatus, 'reason' | 'reason_code' | 'reason_detail'>): string {
  if (code === undefined) return reason ?? '';
  if (code === 'too_big' && detail !== undefined) return t('reason.too_big.detail', { detail });
  return t(`reason.${code}`, { detail: detail ?? '…' });
}
