/** Checks that run before anything is created. */
import { SnapError } from '../../errors.ts';
import { checkRecipients, checkSecretKeys } from '../../host/gpg-keys.ts';
import { requireTools } from '../../host/tools.ts';
import type { Services } from './services.ts';
import type { MigrateSettings } from './settings/migrate.ts';

/**
 * Checks the requirements of a migration.
 * @throws SnapError `TOOL_MISSING`, `NOT_SUPPORTED_HERE`, `NOT_ON_INSTANCE`, `GPG_KEY`, `BUCKET` or `ACCESS_DENIED`.
 */
export async function preflight(settings: MigrateSettings, services: Services, signal: AbortSignal): Promise<void> {
  requireLinux();
  // Direct reads of an image need no root, because they mount nothing and use no block device.
  const needsRoot = settings.source === 'volume' || settings.layout === 'tar';
  if (!settings.dryRun && needsRoot) requireRoot();
  requireTools(toolsFor(settings), services.searchPath);
  if (settings.encryption) {
    await checkRecipients(settings.encryption.recipients, signal);
    if (settings.validate) await checkSecretKeys(settings.encryption.recipients, signal);
  }
  await services.store.check({ signal });
  if (!settings.dryRun && settings.source === 'volume') await services.instance();
}

function requireLinux(): void {
  if (process.platform === 'linux') return;
  throw new SnapError('NOT_SUPPORTED_HERE', 'this command works only on Linux');
}

/** @throws SnapError `NOT_SUPPORTED_HERE` if the process is not running on Linux as root. */
export function requireRoot(): void {
  requireLinux();
  if (process.getuid?.() === 0) return;
  throw new SnapError('NOT_SUPPORTED_HERE', 'mounting volumes and reading block devices needs root', {
    hint: 'run the same command with sudo',
  });
}

function toolsFor(settings: MigrateSettings): string[] {
  const always = ['mkfifo', 'blkid', 'sfdisk', settings.codec.name];
  const forTar = settings.layout === 'tar' ? ['tar', 'mount', 'umount', 'losetup', 'blockdev'] : [];
  const forProof = settings.validate && settings.layout === 'tar' ? ['getfattr'] : [];
  return [...always, ...forTar, ...forProof, ...(settings.encryption ? ['gpg'] : [])];
}
