/** Whether an existing archive is encrypted for the same recipients. */
import { recipientsOf } from '../../archive/cipher.ts';
import { encryptionKeyIds } from '../../host/gpg-keys.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';

/**
 * Compares the recipients with the keys for which the sealed part of the manifest, like the objects, was encrypted.
 * @returns what differs, as a clause; `null` if nothing does.
 */
export async function changeOfRecipients(
  sealed: string | null,
  { encryption }: MigrateSettings,
  signal: AbortSignal,
): Promise<string | null> {
  if (encryption === null) return null;
  const before = recipientsOf(Buffer.from(sealed ?? '', 'base64'));
  const rest = new Set(before);
  for (const recipient of encryption.recipients) {
    const ids = await encryptionKeyIds(recipient, signal);
    if (!before.some((id) => ids.includes(id))) return `it is not encrypted for ${recipient}`;
    for (const id of ids) rest.delete(id);
  }
  const [other] = rest;
  return other === undefined ? null : `it is also encrypted for key ${other}, which is not a --gpg-recipient`;
}
