/** The command `snap-to-s3 restore`: converts its flags to the settings of the operation. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { formatBytes } from '../../lib/units.ts';
import type {
  DeviceTarget,
  FilesOrder,
  RestoreSettings,
  VolumeTarget,
} from '../../operations/shared/settings/restore.ts';
import { ask, canAsk } from '../ask.ts';
import type { CliContext } from '../context.ts';
import { matching, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp, USAGE_OR_KEY } from '../help.ts';
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
  REGION_SOURCES,
  reportOption,
  SNAPSHOT_ID,
  sessionKeyOption,
  tagOption,
  waitLimitOption,
  withoutManifestOption,
} from '../options.ts';
import { runOperation } from '../run-operation.ts';
import { readSessionKey } from '../session-key.ts';
import { type ThawFlags, thawOptions, toThaw } from '../thaw-options.ts';

/** The parsed flags. */
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
    .summary('restore an archive to a directory, a file, a device, a new snapshot or a new volume')
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
    ['AWS:', awsOptions(REGION_OF_RESULT)],
    ['Output:', [dryRunOption(), reportOption('the outcome'), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.nothingToDo, EXIT.claimedElsewhere, EXIT.differs, EXIT.thawing], {
  ...USAGE_OR_KEY,
  [EXIT.failed]: 'failed; if the message says that data is kept, the same command resumes',
  [EXIT.nothingToDo]:
    'the archive, or a path in it, was not found; or --to-volume cannot rebuild the disk from what the archive records',
  [EXIT.claimedElsewhere]: 'with --to-snapshot: another run took over the unfinished snapshot',
  [EXIT.differs]: 'the archive is damaged or differs from its index',
});

const DESCRIPTION = [
  'Restores an archive. --to-dir restores files with all their attributes; out of an image, it reads only the blocks that they need,',
  'through FUSE, as root. --to-file and --to-device write an image of a disk or of one partition. --to-snapshot creates an EBS snapshot through the EBS direct APIs, without a volume, root or an instance, and',
  'restores tags and description. --to-volume creates an EBS volume, as root on an instance, with the partition table, filesystems,',
  'files and boot code of the original. Every byte is compared with the hashes, checksums and lengths in the archive. If anything',
  'differs, the exit code is 12: an image is deleted, and a directory stays marked as unfinished. Archives of version 0 can be restored',
  'too.',
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

const REGION_OF_RESULT = `region of the new snapshot or volume, and for the first call to S3 (${REGION_SOURCES}; a volume can be used only in the region of its instance)`;

const dryRunOption = (): Option =>
  new Option('--dry-run', 'show what would be restored, where and at what cost; change nothing');

const OWN_TAG =
  'key of the state tag, which is not copied to the new snapshot or volume; it also marks an unfinished volume';

const targetOptions = (): Option[] => [
  new Option(
    '--to-dir <directory>',
    'restore files to this directory, which must be empty or not exist (see --overwrite); restoring owners needs root',
  ).conflicts(['toFile', 'toDevice', 'toSnapshot', 'toVolume']),
  new Option(
    '--path <path...>',
    'only these files and directories; paths are relative to the root of the filesystem',
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
    'write the image to this unused block device; its content is destroyed, after confirmation',
  ).argParser(matching(/^\/dev\/./, 'a device such as /dev/nvme2n1')),
  new Option('--to-snapshot', 'create an EBS snapshot in --region, in the account of the credentials').conflicts([
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
    'size of the new volume in GiB, at most 65536 (default: the original size, which is also the minimum)',
  ).argParser(wholeNumber(1, 65_536)),
  newVolumeTypeOption(),
  mountPointOption(),
  waitLimitOption(),
  tagOption(OWN_TAG),
  new Option('--encrypt', 'encrypt the new snapshot or volume (always on if the original was encrypted)'),
  new Option(
    '--kms-key-id <arn>',
    "KMS key of the new snapshot or volume (default: the account's default key)",
  ).argParser(matching(/^arn:aws[\w-]*:kms:/, 'the ARN of a KMS key')),
  new Option(
    '--partition <number>',
    'only this partition, 1 to 999 (default: the whole disk, or every partition with files)',
  ).argParser(wholeNumber(1, 999)),
  new Option('--overwrite', 'overwrite existing files, or a device that holds data'),
  new Option('--yes', 'overwrite the device, and thaw objects at the price shown, without asking for confirmation'),
];

async function runRestore(snapshotId: string, flags: RestoreFlags, context: CliContext): Promise<void> {
  const settings = toSettings(snapshotId, flags, context);
  await runOperation(flags, context, async (services, signal) => {
    const { restore } = await import('../../operations/restore/restore.ts');
    return restore(settings, services, signal);
  });
}

/** @throws SnapError `USAGE` if flags conflict. */
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
      'specify the target: --to-dir DIR, --to-file FILE, --to-device DEVICE, --to-snapshot or --to-volume',
    );
  return { kind: 'device', path: toDevice, consent: consentToDestroy(toDevice, flags, context) };
}

/** @throws SnapError `USAGE` if `--yes` is missing and the user cannot be prompted. */
function consentToDestroy(device: string, flags: RestoreFlags, context: CliContext): DeviceTarget['consent'] {
  if (flags.yes || flags.dryRun) return async () => true;
  if (!canAsk(flags, context)) {
    throw new SnapError('USAGE', `writing to ${device} destroys its content and needs --yes`, {
      hint: `check the device with: lsblk ${device}`,
    });
  }
  return ({ path, bytes, holds }) => {
    const what = holds === null ? 'nothing that blkid recognizes' : holds;
    return ask(`${path} (${formatBytes(bytes)}) holds ${what}. Destroy its content?`, context);
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

/** @throws SnapError `USAGE` for `--privileged` without root, or an invalid path. */
function toFiles(path: string, flags: RestoreFlags, process: NodeJS.Process): FilesOrder {
  if (flags.privileged && process.getuid?.() !== 0) {
    throw new SnapError('USAGE', '--privileged needs root, to create device nodes and set-ID files', {
      hint: 'run the command as root, or omit --privileged',
    });
  }
  return {
    kind: 'directory',
    path,
    paths: flags.path?.map(belowRoot) ?? null,
    isPrivileged: flags.privileged === true,
  };
}

/**
 * The path in the form that indexes use: its bytes as Latin-1.
 * @throws SnapError `USAGE` if it is the root or contains `..`.
 */
function belowRoot(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..'))
    throw new SnapError('USAGE', `--path ${path}: a path must name a file or directory below the root, without ..`);
  return Buffer.from(parts.join('/')).toString('latin1');
}
