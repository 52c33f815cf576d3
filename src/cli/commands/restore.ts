/** `snap-to-s3 restore`: its flags, and what they mean to the operation. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { SnapError } from '../../errors.ts';
import { restore } from '../../operations/restore.ts';
import type { RestoreSettings } from '../../operations/settings.ts';
import type { CliContext } from '../context.ts';
import { matching, wholeNumber } from '../flag-values.ts';
import { EXIT_STATUS_HELP } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  downloadStreamsOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  reportOption,
  SNAPSHOT_ID,
  sessionKeyOption,
} from '../options.ts';
import { openHost } from '../render/open-host.ts';
import { readSessionKey } from '../session-key.ts';

/** Flags as the parser hands them over. */
interface RestoreFlags extends AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  partition?: number;
  toFile?: string;
  toDevice?: string;
  toSnapshot?: true;
  encrypt?: true;
  kmsKeyId?: string;
  overwrite?: true;
  yes?: true;
  downloadStreams: number;
  gpgSessionKey?: string;
}

export function restoreCommand(context: CliContext): Command {
  const command = new Command('restore')
    .summary('give an image back, to a file, a device or a new snapshot')
    .description(DESCRIPTION)
    .usage('SNAPSHOT --bucket BUCKET (--to-file FILE | --to-device DEVICE --yes | --to-snapshot) [OPTIONS]')
    .argument('<snapshot>', 'whose archive', SNAPSHOT_ID)
    .addHelpText('after', EXAMPLES + EXIT_STATUS_HELP)
    .action((snapshotId: string, _flags, self: Command) => runRestore(snapshotId, self.opts<RestoreFlags>(), context));
  return addOptionGroups(command, [
    ['Where from:', [bucketOption(), prefixOption(), bucketOwnerOption(), downloadStreamsOption(), sessionKeyOption()]],
    ['What, and where to:', targetOptions()],
    ['AWS:', awsOptions()],
    ['Output:', [reportOption(), ...outputOptions()]],
  ]);
}

const DESCRIPTION = [
  'Writes an archived image, of a whole disk (--dd) or of one partition, to a sparse file, to a block device, or to a new',
  'EBS snapshot (by the EBS direct APIs: no volume, no root, no instance; tags and description come back). Every byte',
  'is held on the way against the hashes, checksums and lengths that the archive has; when anything differs, no file',
  'or snapshot is left, and the exit code is 12. Archives of version 0 are restored too. Archives of files are restored by tar',
  '(docs/archive-format.md).',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-file disk.img
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-device /dev/nvme2n1 --yes
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-snapshot --region eu-west-1
`;

const targetOptions = (): Option[] => [
  new Option('--to-file <file>', 'a new, sparse file').conflicts('toDevice'),
  new Option('--to-device <device>', 'a block device that nobody uses; what is on it is destroyed (--yes)').argParser(
    matching(/^\/dev\/./, 'a device such as /dev/nvme2n1'),
  ),
  new Option('--to-snapshot', 'a new EBS snapshot, in the region and account of the credentials').conflicts([
    'toFile',
    'toDevice',
    'partition',
  ]),
  new Option('--encrypt', 'the new snapshot; it is anyway where the old one was'),
  new Option('--kms-key-id <arn>', "key of the new snapshot, instead of the account's default").argParser(
    matching(/^arn:aws[\w-]*:kms:/, 'the ARN of a key, which the EBS direct APIs ask for'),
  ),
  new Option('--partition <number>', 'the image of this partition; that of the whole disk if not given').argParser(
    wholeNumber(1, 999),
  ),
  new Option('--overwrite', 'also a file that is there, or a device with something on it'),
  new Option('--yes', 'the device may be written to'),
];

async function runRestore(snapshotId: string, flags: RestoreFlags, context: CliContext): Promise<void> {
  const settings = toSettings(snapshotId, flags, context.process);
  using host = openHost(flags, context);
  const services = await awsServices({ ...flags, storageClass: 'STANDARD' }, host, context.process.env);
  context.finish(await restore(settings, services, context.signal));
}

/** @throws SnapError `USAGE` for flags that do not go together. */
function toSettings(snapshotId: string, flags: RestoreFlags, process: NodeJS.Process): RestoreSettings {
  return {
    snapshotId,
    prefix: normalisePrefix(flags.prefix),
    partition: flags.partition ?? null,
    target: toTarget(flags),
    overwrite: flags.overwrite === true,
    encrypt: flags.encrypt === true,
    kmsKeyArn: flags.kmsKeyId ?? null,
    sessionKey: readSessionKey(flags.gpgSessionKey, process),
    downloadStreams: flags.downloadStreams,
  };
}

function toTarget({ toFile, toDevice, toSnapshot, yes }: RestoreFlags): RestoreSettings['target'] {
  if (toSnapshot) return { kind: 'snapshot' };
  if (toFile !== undefined) return { kind: 'file', path: resolve(toFile) };
  if (toDevice === undefined)
    throw new SnapError('USAGE', 'say where to: --to-file FILE, --to-device DEVICE or --to-snapshot');
  if (!yes) {
    throw new SnapError('USAGE', `everything on ${toDevice} would be destroyed`, {
      hint: 'look at it with lsblk, then give --yes',
    });
  }
  return { kind: 'device', path: toDevice };
}
