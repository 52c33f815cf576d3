/** Everything that can be refused before anything is created. */
import { basename } from 'node:path';
import { compressCommand } from '../archive/codec.ts';
import { SnapError } from '../errors.ts';
import { checkRecipients } from '../host/gpg-keys.ts';
import { requireTools } from '../host/tools.ts';
import type { MigrateSettings, Services } from './settings.ts';

/** @throws SnapError `TOOL_MISSING`, `NOT_SUPPORTED_HERE`, `GPG_KEY`, `BUCKET` or `ACCESS_DENIED` */
export async function preflight(settings: MigrateSettings, services: Services, signal: AbortSignal): Promise<void> {
  if (process.platform !== 'linux') {
    throw new SnapError('NOT_SUPPORTED_HERE', 'temporary volumes can be read on Linux only');
  }
  if (process.getuid?.() !== 0 && !settings.dryRun) {
    throw new SnapError('NOT_SUPPORTED_HERE', 'mounting volumes and reading block devices needs root', {
      hint: 'run the same command with sudo',
    });
  }
  requireTools(toolsFor(settings), services.searchPath);
  if (settings.encryption) await checkRecipients(settings.encryption.recipients, signal);
  await services.store.check({ signal });
  if (!settings.dryRun) await services.instance();
}

function toolsFor(settings: MigrateSettings): string[] {
  const compressor = basename(compressCommand(settings.codec)[0] ?? '');
  const always = ['mkfifo', 'blkid', 'sfdisk', compressor];
  const forTar = settings.layout === 'tar' ? ['tar', 'mount', 'umount', 'losetup'] : [];
  return [...always, ...forTar, ...(settings.encryption ? ['gpg'] : [])];
}
