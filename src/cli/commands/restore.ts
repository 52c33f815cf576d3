/** `snap-to-s3 restore`: its flags, and what they mean to the operation. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { formatBytes } from '../../lib/units.ts';
import { restore } from '../../operations/restore/restore.ts';
import type {
  DeviceTarget,
  FilesOrder,
  RestoreSettings,
  VolumeTarget,
} from '../../operations/shared/settings/restore.ts';
import { ask, canAsk } from '../ask.ts';
import type { CliContext } from '../context.ts';
import { matching, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  downloadStreamsOption,
  mountPointOption,
  newVolumeTypeOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  reportOption,
  SNAPSHOT_ID,
  sessionKeyOption,
  tagOption,
  waitLimitOption,
  withoutManifestOption,
} from '../options.ts';
import { openHost } from '../render/open-host.ts';
import { readSessionKey } from '../session-key.ts';
import { type ThawFlags, thawOptions, toThaw } from '../thaw-options.ts';

/** Flags as the parser hands them over. */
interface RestoreFlags extends AwsFlags, OutputFlags, ThawFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  partition?: number;
  toFile?: string;
  toDevice?: string;
  toSnapshot?: true;
  toVolume?: true;
  volumeSize?: number;
  volumeType: string;
  mountPoint: string;
  waitLimit: number;
  tag: string;
  toDir?: string;
  path?: string[];
  privileged?: true;
  encrypt?: true;
  kmsKeyId?: string;
  overwrite?: true;
  index: boolean;
  withoutManifest?: true;
  dryRun?: true;
  downloadStreams: number;
  gpgSessionKey?: string;
}

export function restoreCommand(context: CliContext): Command {
  const command = new Command('restore')
    .summary('restore to a directory, a file, a device, a new snapshot or a new volume')
    .description(DESCRIPTION)
    .usage(
      'SNAPSHOT --bucket BUCKET (--to-dir DIR | --to-file FILE | --to-device DEVICE | --to-snapshot | --to-volume) [OPTIONS]',
    )
    .argument('<snapshot>', 'id of the snapshot whose archive is restored', SNAPSHOT_ID)
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((snapshotId: string, _flags, self: Command) => runRestore(snapshotId, self.opts<RestoreFlags>(), context));
  return addOptionGroups(command, [
    [
      'Archive:',
      [
        bucketOption(),
        prefixOption(),
        bucketOwnerOption(),
        withoutManifestOption(),
        downloadStreamsOption(),
        sessionKeyOption(),
      ],
    ],
    ['Target:', targetOptions()],
    ['Archive storage classes:', thawOptions()],
    ['AWS:', awsOptions()],
    ['Output:', [dryRunOption(), reportOption(), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.nothingToDo, EXIT.differs, EXIT.thawing], {
  [EXIT.failed]: 'failed; the message says what remains, and the same command resumes',
  [EXIT.nothingToDo]: 'no such archive, or no such path in it',
  [EXIT.differs]: 'the archive is damaged or differs from its index',
});

const DESCRIPTION = [
  'Restores an archive. --to-dir restores files with all their attributes. --to-file and --to-device write an image of a disk or of',
  'one partition. --to-snapshot creates an EBS snapshot through the EBS direct APIs, without a volume, root or an instance, and',
  'restores tags and description. --to-volume creates an EBS volume, as root on an instance, with the partition table, filesystems,',
  'files and boot code of the original. Every byte is compared with the hashes, checksums and lengths in the archive. If anything',
  'differs, no image remains, a directory stays marked as unfinished, and the exit code is 12. Archives of version 0 can be restored too.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-dir /mnt/new
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-dir here --path etc/nginx var/www
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-file disk.img
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-device /dev/nvme2n1 --yes
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-snapshot --region eu-west-1
  snap-to-s3 restore snap-0123456789abcdef0 --bucket backups.example.com --to-volume
`;

const dryRunOption = (): Option =>
  new Option('--dry-run', 'show what would be restored, where and at what cost; change nothing');

const targetOptions = (): Option[] => [
  new Option(
    '--to-dir <directory>',
    'restore files below this directory, which must be empty or absent; owners need root',
  ).conflicts(['toFile', 'toDevice', 'toSnapshot', 'toVolume']),
  new Option(
    '--path <path...>',
    'only these files and directories, given relative to the root of the filesystem',
  ).conflicts(['toFile', 'toDevice', 'toSnapshot', 'toVolume']),
  new Option('--privileged', 'also restore device nodes, set-ID bits and file capabilities; needs root').conflicts([
    'toFile',
    'toDevice',
    'toSnapshot',
    'toVolume',
  ]),
  new Option('--no-index', 'do not use the index; read the whole object even for a few files'),
  new Option('--to-file <file>', 'write the image to this new sparse file').conflicts(['toDevice', 'toVolume']),
  new Option(
    '--to-device <device>',
    'write the image to this unused block device; its content is destroyed after confirmation',
  ).argParser(matching(/^\/dev\/./, 'a device such as /dev/nvme2n1')),
  new Option('--to-snapshot', 'create an EBS snapshot in the region and account of the credentials').conflicts([
    'toFile',
    'toDevice',
    'partition',
  ]),
  new Option('--to-volume', 'create an EBS volume in the Availability Zone of this instance').conflicts([
    'toDevice',
    'toSnapshot',
    'partition',
  ]),
  new Option(
    '--volume-size <GiB>',
    'size of the new volume in GiB (default: the original size; it cannot be smaller)',
  ).argParser(wholeNumber(1, 65_536)),
  newVolumeTypeOption(),
  mountPointOption(),
  waitLimitOption(),
  tagOption(),
  new Option('--encrypt', 'encrypt the new snapshot or volume (always on if the original was encrypted)'),
  new Option(
    '--kms-key-id <arn>',
    "KMS key of the new snapshot or volume (default: the account's default key)",
  ).argParser(matching(/^arn:aws[\w-]*:kms:/, 'the ARN of a key, which the EBS direct APIs ask for')),
  new Option(
    '--partition <number>',
    'only this partition (default: the whole disk, or every partition with files)',
  ).argParser(wholeNumber(1, 999)),
  new Option('--overwrite', 'overwrite an existing file, or a device that holds data'),
  new Option('--yes', 'do not ask: write to the device, and thaw objects at the price shown'),
];

async function runRestore(snapshotId: string, flags: RestoreFlags, context: CliContext): Promise<void> {
  const settings = toSettings(snapshotId, flags, context);
  using host = openHost(flags, context);
  const services = await awsServices({ ...flags, storageClass: 'STANDARD' }, host, context.process.env);
  context.finish(await restore(settings, services, context.signal));
}

/** @throws SnapError `USAGE` for flags that do not go together. */
function toSettings(snapshotId: string, flags: RestoreFlags, context: CliContext): RestoreSettings {
  const { process } = context;
  return {
    thaw: toThaw(flags, context),
    snapshotId,
    prefix: normalisePrefix(flags.prefix),
    partition: flags.partition ?? null,
    target: toTarget(flags, context),
    dryRun: flags.dryRun === true,
    overwrite: flags.overwrite === true,
    encrypt: flags.encrypt === true,
    kmsKeyArn: flags.kmsKeyId ?? null,
    sessionKey: readSessionKey(flags.gpgSessionKey, process),
    downloadStreams: flags.downloadStreams,
    useIndex: flags.index,
    withoutManifest: flags.withoutManifest === true,
  };
}

function toTarget(flags: RestoreFlags, context: CliContext): RestoreSettings['target'] {
  const { toDir, toFile, toDevice, toSnapshot } = flags;
  if (toDir !== undefined) return toFiles(resolve(toDir), flags, context.process);
  if (flags.path || flags.privileged) throw new SnapError('USAGE', '--path and --privileged need --to-dir');
  if (flags.toVolume) return toVolume(flags);
  if (flags.volumeSize !== undefined) throw new SnapError('USAGE', '--volume-size needs --to-volume');
  if (toSnapshot) return { kind: 'snapshot', tagKey: flags.tag };
  if (toFile !== undefined) return { kind: 'file', path: resolve(toFile) };
  if (toDevice === undefined)
    throw new SnapError(
      'USAGE',
      'say where to: --to-dir DIR, --to-file FILE, --to-device DEVICE, --to-snapshot or --to-volume',
    );
  return { kind: 'device', path: toDevice, consent: consentToDestroy(toDevice, flags, context) };
}

/** @throws SnapError `USAGE` where nobody has said yes, and nobody can be asked. */
function consentToDestroy(device: string, flags: RestoreFlags, context: CliContext): DeviceTarget['consent'] {
  if (flags.yes || flags.dryRun) return async () => true;
  if (!canAsk(flags, context)) {
    throw new SnapError('USAGE', `everything on ${device} would be destroyed`, {
      hint: 'look at it with lsblk, then give --yes',
    });
  }
  return ({ path, bytes, holds }) => {
    const what = holds === null ? 'nothing that blkid knows' : holds;
    return ask(`${path} (${formatBytes(bytes)}) holds ${what}. Destroy what is on it?`, context);
  };
}

const toVolume = ({ volumeSize, volumeType, mountPoint, waitLimit, tag }: RestoreFlags): VolumeTarget => ({
  kind: 'volume',
  sizeGiB: volumeSize ?? null,
  volumeType,
  mountPoint,
  waitLimit: waitLimit * 1000,
  tagKey: tag,
});

/** @throws SnapError `USAGE` */
function toFiles(path: string, flags: RestoreFlags, process: NodeJS.Process): FilesOrder {
  if (flags.privileged && process.getuid?.() !== 0) {
    throw new SnapError('USAGE', 'only root can make device nodes and set-ID files', {
      hint: 'leave out --privileged',
    });
  }
  return {
    kind: 'directory',
    path,
    paths: flags.path?.map(belowRoot) ?? null,
    isPrivileged: flags.privileged === true,
  };
}

/** Bytes of a name as Latin-1, as archives' names are compared. @throws SnapError `USAGE` */
function belowRoot(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) throw new SnapError('USAGE', `--path ${path}: this names no file`);
  return Buffer.from(parts.join('/')).toString('latin1');
}
