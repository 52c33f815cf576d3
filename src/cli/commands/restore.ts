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
    .summary('give files or images back: to a directory, a file, a device, a new snapshot or volume')
    .description(DESCRIPTION)
    .usage(
      'SNAPSHOT --bucket BUCKET (--to-dir DIR | --to-file FILE | --to-device DEVICE | --to-snapshot | --to-volume) [OPTIONS]',
    )
    .argument('<snapshot>', 'whose archive', SNAPSHOT_ID)
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((snapshotId: string, _flags, self: Command) => runRestore(snapshotId, self.opts<RestoreFlags>(), context));
  return addOptionGroups(command, [
    [
      'Where from:',
      [
        bucketOption(),
        prefixOption(),
        bucketOwnerOption(),
        withoutManifestOption(),
        downloadStreamsOption(),
        sessionKeyOption(),
      ],
    ],
    ['What, and where to:', targetOptions()],
    ['Objects in archive classes:', thawOptions()],
    ['AWS:', awsOptions()],
    ['Output:', [dryRunOption(), reportOption(), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.nothingToDo, EXIT.differs, EXIT.thawing], {
  [EXIT.failed]: 'failed; what the message says is left can be resumed by the same command',
  [EXIT.nothingToDo]: 'no archive, or no such path in it',
  [EXIT.differs]: 'what was read is not what was archived',
});

const DESCRIPTION = [
  'Makes the files of an archive anew below a directory, with all their attributes; or writes an archived image, of a whole',
  'disk (--dd) or of one partition, to a sparse file, to a block device, or to a new EBS snapshot (by the EBS direct APIs:',
  'no volume, no root, no instance; tags and description come back). As root on an instance it makes a new EBS volume:',
  'with the image; or with partition table, filesystems, files and boot code as they were. Every byte is held on the way against the hashes,',
  'checksums and lengths that the archive has; when anything differs, no image is left, a directory stays marked as',
  'unfinished, and the exit code is 12. Archives of version 0 are restored too.',
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
  new Option('--dry-run', 'show what would be restored where, and what that takes and costs; change nothing');

const targetOptions = (): Option[] => [
  new Option(
    '--to-dir <directory>',
    'files, below a directory that is empty or not there; as root with their owners',
  ).conflicts(['toFile', 'toDevice', 'toSnapshot', 'toVolume']),
  new Option(
    '--path <path...>',
    'only these files and directories, as named from the root of the filesystem',
  ).conflicts(['toFile', 'toDevice', 'toSnapshot', 'toVolume']),
  new Option('--privileged', 'also device nodes, set-ID bits and file capabilities; takes root').conflicts([
    'toFile',
    'toDevice',
    'toSnapshot',
    'toVolume',
  ]),
  new Option('--no-index', 'read the whole object, also for a few files, and do not use its index'),
  new Option('--to-file <file>', 'a new, sparse file').conflicts(['toDevice', 'toVolume']),
  new Option(
    '--to-device <device>',
    'a block device that nobody uses; what is on it is destroyed, once somebody has said yes',
  ).argParser(matching(/^\/dev\/./, 'a device such as /dev/nvme2n1')),
  new Option('--to-snapshot', 'a new EBS snapshot, in the region and account of the credentials').conflicts([
    'toFile',
    'toDevice',
    'partition',
  ]),
  new Option('--to-volume', 'a new EBS volume in the zone of this instance, with all that the disk had').conflicts([
    'toDevice',
    'toSnapshot',
    'partition',
  ]),
  new Option('--volume-size <GiB>', 'of the new volume, where it is to be larger than the old one').argParser(
    wholeNumber(1, 65_536),
  ),
  newVolumeTypeOption(),
  mountPointOption(),
  waitLimitOption(),
  tagOption(),
  new Option('--encrypt', 'the new snapshot or volume; it is anyway where the old one was'),
  new Option('--kms-key-id <arn>', "key of the new snapshot or volume, instead of the account's default").argParser(
    matching(/^arn:aws[\w-]*:kms:/, 'the ARN of a key, which the EBS direct APIs ask for'),
  ),
  new Option(
    '--partition <number>',
    'this partition only; the whole disk, or all partitions with files, if not given',
  ).argParser(wholeNumber(1, 999)),
  new Option('--overwrite', 'also a file that is there, or a device with something on it'),
  new Option(
    '--yes',
    'without asking: the device may be written to, and objects may be thawed at the price that is told',
  ),
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
  if (flags.path || flags.privileged) throw new SnapError('USAGE', '--path and --privileged go with --to-dir');
  if (flags.toVolume) return toVolume(flags);
  if (flags.volumeSize !== undefined) throw new SnapError('USAGE', '--volume-size goes with --to-volume');
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
