/** Checks that run before anything is created. */
import { SnapError } from '../../errors.ts';
import { checkRecipients, checkSecretKeys } from '../../host/gpg-keys.ts';
import { requireTools } from '../../host/tools.ts';
import { isByCommand } from '../../indexing/lz4-command.ts';
import type { Services } from './services.ts';
import type { MigrateSettings } from './settings/migrate.ts';
import type { SourceChoice } from './settings/volume.ts';

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
  const { answeredAt } = await services.store.check({ signal });
  await checkLock(settings, services, { from: answeredAt, signal });
  if (!settings.dryRun && settings.source === 'volume') await services.instance();
}

/** A dry run needs no permission to write. */
async function checkLock(
  { lock, prefix, dryRun }: MigrateSettings,
  { store }: Services,
  { from, signal }: { from: Date; signal: AbortSignal },
): Promise<void> {
  if (lock === null) return;
  await store.assertLockable({ signal });
  if (dryRun) return;
  const until = new Date(from.getTime() + lock.days * 86_400_000);
  await store.tryLock(`${prefix}.snap-to-s3/lock-check`, { mode: lock.mode, until }, { signal });
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

/** The programs that may be started. `test/migrate/tools.test.ts` proves that no other one is needed. */
function toolsFor({ layout, source, codec, encryption, validate }: MigrateSettings): string[] {
  const isTar = layout === 'tar';
  // Only an image from direct reads can be compressed and uploaded without a pipe.
  const hasPipes = isTar || source !== 'direct' || encryption !== null || validate;
  // Objects are read back with the command if our own threads do not decode them: zstd, encrypted and damaged ones.
  const isCodecStarted = validate || isByCommand(codec);
  return [
    'blkid',
    'sfdisk',
    ...(hasPipes ? ['mkfifo'] : []),
    ...(isCodecStarted ? [codec.name] : []),
    ...(isTar ? ['tar', ...toolsForFiles(source)] : []),
    ...(isTar && validate ? ['getfattr'] : []),
    ...(encryption ? ['gpg'] : []),
  ];
}

/** The programs with which the files of a disk are made accessible. Direct reads serve the disk as a device. */
export const toolsForFiles = (source: SourceChoice): string[] => [
  ...['mount', 'umount', 'losetup'],
  ...(source === 'volume' ? [] : ['env', 'blockdev']),
];
