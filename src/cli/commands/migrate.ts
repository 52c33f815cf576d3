/** The command `snap-to-s3 migrate`: converts its flags to the settings of the operation. */
import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { CODECS, type CodecName } from '../../archive/codec.ts';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT, SnapError } from '../../errors.ts';
import type { MigrateSettings } from '../../operations/shared/settings/migrate.ts';
import type { CliContext } from '../context.ts';
import { wholeNumber } from '../flag-values.ts';
import { exitStatusHelp, USAGE_OR_KEY } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  claimLifeOption,
  compressionOption,
  gpgRecipientOption,
  noReplayOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  reportOption,
  type SelectionFlags,
  SSE_MODES,
  selectionOptions,
  sourceOptions,
  toSelection,
  toVolumeSettings,
  type VolumeFlags,
  volumeOptions,
} from '../options.ts';
import { withPlan } from '../plan-file.ts';
import { runOperation } from '../run-operation.ts';

/** The parsed flags. */
interface MigrateFlags extends SelectionFlags, VolumeFlags, AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
  lockMode?: 'governance' | 'compliance';
  lockDays?: number;
  uploadStreams: number;
  dd?: true;
  incremental?: boolean;
  baseEvery?: number;
  compression: CodecName;
  compressionLevel?: number;
  partitionConcurrency?: number;
  partitionsAtOnce?: number;
  gpgRecipient?: string[];
  validate?: true;
  strict?: true;
  replace?: true;
  dryRun?: true;
}

const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
];

/** Storage classes whose objects must be thawed for hours before they can be read. */
const ARCHIVE_CLASSES = ['GLACIER', 'DEEP_ARCHIVE'];

export function migrateCommand(context: CliContext): Command {
  const command = new Command('migrate')
    .summary('archive EBS snapshots in S3')
    .description(DESCRIPTION)
    .usage('(--all | --one | --snapshots ID... | --from FILE) --bucket BUCKET [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runMigrate(withPlanOf(self, context), context));
  return addOptionGroups(command, [
    [
      'Snapshots (exactly one of the first four is required):',
      selectionOptions('all completed snapshots whose tag is "migrate"'),
    ],
    ['Destination:', destinationOptions()],
    ['Content:', contentOptions()],
    ['Source:', sourceOptions()],
    ['Temporary volume:', volumeOptions()],
    ['Claims:', [claimLifeOption()]],
    ['AWS:', awsOptions()],
    ['Output:', [dryRunOption(), reportOption(), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.someFailed, EXIT.nothingToDo, EXIT.claimedElsewhere, EXIT.differs], {
  ...USAGE_OR_KEY,
  [EXIT.failed]: 'failed: this run archived no snapshot, or could not release something',
  [EXIT.nothingToDo]: 'no snapshot has the tag or is in the file of --from, or a snapshot was not found',
  [EXIT.differs]: 'the index of an existing archive was replaced or, with --validate, an archive is damaged or differs',
});

const DESCRIPTION = [
  'Archives EBS snapshots in S3. Creates a temporary volume from each snapshot, attaches it to this instance, mounts its partitions, and',
  'stores each of them as a compressed tar; with --dd, stores the whole disk as one image. Never deletes the snapshot itself. Needs',
  'root on an EC2 instance in the region of the snapshots; --source direct needs no instance.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 migrate --all --validate --bucket backups.example.com
  snap-to-s3 migrate --snapshots snap-0123456789abcdef0 --bucket backups.example.com --storage-class DEEP_ARCHIVE
  snap-to-s3 migrate --one --dd --compression zstd --gpg-recipient ops@example.com --bucket backups.example.com

Restore without this program:
  aws s3 cp "s3://BUCKET/KEY.tar.lz4" - | lz4 -d | tar -xp --numeric-owner --xattrs --xattrs-include='*'
`;

const destinationOptions = (): Option[] => [
  bucketOption(),
  prefixOption(),
  new Option('--storage-class <class>', 'storage class of the data objects')
    .choices(STORAGE_CLASSES)
    .default('STANDARD'),
  new Option('--sse <mode>', "server-side encryption (default: the bucket's own setting)").choices(SSE_MODES),
  new Option('--sse-kms-key-id <key>', 'KMS key for --sse aws:kms or aws:kms:dsse'),
  bucketOwnerOption(),
  new Option(
    '--lock-mode <mode>',
    'lock the objects of archives by Object Lock of S3; with governance, some users may remove the lock, with compliance nobody',
  ).choices(['governance', 'compliance']),
  new Option(
    '--lock-days <number>',
    'with --lock-mode, days for which objects are locked, 1 to 36500; docs/object-lock.md says when they end',
  ).argParser(wholeNumber(1, 36_500)),
  new Option('--upload-streams <number>', 'parts in flight, 1 to 64; each takes at least 8 MiB of memory')
    .argParser(wholeNumber(1, 64))
    .default(4),
];

const PARTITIONS = wholeNumber(1, 16);

const contentOptions = (): Option[] => [
  new Option('--dd', 'store one image of the whole disk instead of a tar of each partition'),
  new Option(
    '--incremental',
    'store the whole disk as one image, but only the blocks that changed since the previous snapshot of the volume',
  ),
  new Option('--no-incremental', 'with --from, archive only the lines of full archives (default: what the lines say)'),
  new Option(
    '--base-every <number>',
    'with --incremental, store all blocks of every <number>th snapshot of a volume, 1 to 10000 (default: decided by size and age)',
  ).argParser(wholeNumber(1, 10_000)),
  compressionOption(),
  compressionLevelOption(),
  gpgRecipientOption(),
  new Option('--validate', 'read each archive back and compare it with the snapshot'),
  new Option('--replace', 'replace archives that are already complete with the same settings (default: keep them)'),
  new Option('--strict', 'fail if a filesystem cannot be archived as files, instead of storing it as an image'),
  noReplayOption(),
  new Option(
    '--partition-concurrency <number>',
    'partitions of a disk processed at the same time, 1 to 16 (default: one per two processors, at most 4)',
  ).argParser(PARTITIONS),
  // The earlier name, for scripts.
  new Option('--partitions-at-once <number>').argParser(PARTITIONS).conflicts('partitionConcurrency').hideHelp(),
];

function compressionLevelOption(): Option {
  const codecs = Object.values(CODECS);
  const [lowest, highest] = [codecs.map(({ lowest }) => lowest), codecs.map(({ highest }) => highest)];
  const levels = ofEachCodec(({ lowest, highest }) => `${lowest} to ${highest}`);
  const standard = ofEachCodec(({ standard }) => String(standard));
  return new Option('--compression-level <level>', `compression level, ${levels} (default: ${standard})`).argParser(
    wholeNumber(Math.min(...lowest), Math.max(...highest)),
  );
}

/** @returns the text of each codec with its name, or only the text if it is the same for all. */
function ofEachCodec(textOf: (codec: (typeof CODECS)[CodecName]) => string): string {
  const texts = Object.entries(CODECS).map(([name, codec]) => ({ name, text: textOf(codec) }));
  const [first = '', ...others] = new Set(texts.map(({ text }) => text));
  return others.length === 0 ? first : texts.map(({ name, text }) => `${text} for ${name}`).join(', ');
}

const dryRunOption = (): Option =>
  new Option('--dry-run', 'show what would be stored, where and at what cost; change nothing');

function withPlanOf(command: Command, { process }: CliContext): MigrateFlags {
  const isClassGiven = command.getOptionValueSource('storageClass') !== 'default';
  const flags = withPlan(command.opts<MigrateFlags>(), isClassGiven, process.env['AWS_REGION']);
  if (STORAGE_CLASSES.includes(flags.storageClass)) return flags;
  throw new SnapError('USAGE', `${flags.from} names an unknown storage class: ${flags.storageClass}`, {
    hint: `use one of ${STORAGE_CLASSES.join(', ')}`,
  });
}

async function runMigrate(flags: MigrateFlags, context: CliContext): Promise<void> {
  const settings = toSettings(flags);
  await runOperation(flags, context, async (services, signal) => {
    const { migrate } = await import('../../operations/migrate/migrate.ts');
    return migrate(settings, services, signal);
  });
}

/**
 * More partitions at the same time than half of the processors gain nothing, because each one compresses in several
 * threads.
 */
const defaultPartitions = (concurrency: number): number =>
  Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2 / concurrency)));

/** @throws SnapError `USAGE` if flags conflict. */
function toSettings(flags: MigrateFlags): MigrateSettings {
  const selection = toSelection(flags, { value: 'migrate', inProgress: 'migrating' });
  assertConsistent(flags);
  return {
    ...toVolumeSettings(flags),
    selection,
    tagKey: flags.tag,
    concurrentPartitions: flags.partitionConcurrency ?? flags.partitionsAtOnce ?? defaultPartitions(flags.concurrency),
    prefix: normalisePrefix(flags.prefix),
    layout: flags.dd || flags.incremental ? 'image' : 'tar',
    incremental: flags.incremental ? { baseEvery: flags.baseEvery ?? null } : null,
    codec: toCodec(flags),
    encryption: flags.gpgRecipient === undefined ? null : { recipients: flags.gpgRecipient },
    storageClass: flags.storageClass,
    lock: toLock(flags),
    uploadStreams: flags.uploadStreams,
    validate: flags.validate === true,
    strict: flags.strict === true,
    replace: flags.replace === true,
    dryRun: flags.dryRun === true,
  };
}

function assertConsistent(flags: MigrateFlags): void {
  if (flags.sseKmsKeyId !== undefined && !flags.sse?.startsWith('aws:kms')) {
    throw new SnapError('USAGE', '--sse-kms-key-id needs --sse aws:kms or aws:kms:dsse');
  }
  if (flags.baseEvery !== undefined && !flags.incremental) {
    throw new SnapError('USAGE', '--base-every needs --incremental');
  }
  if (flags.incremental && flags.replace) {
    throw new SnapError('USAGE', '--incremental never replaces an archive, because others may depend on it', {
      hint: 'use another --prefix, or leave out --replace',
    });
  }
  if (flags.validate && ARCHIVE_CLASSES.includes(flags.storageClass)) {
    throw new SnapError('USAGE', `--validate cannot read archives back from the storage class ${flags.storageClass}`, {
      hint: 'use --storage-class STANDARD or GLACIER_IR with --validate, and move the objects with a lifecycle rule later',
    });
  }
}

/** @throws SnapError `USAGE` if only one of the two flags is given. */
function toLock({ lockMode, lockDays }: MigrateFlags): MigrateSettings['lock'] {
  if (lockMode !== undefined && lockDays !== undefined)
    return { mode: lockMode === 'governance' ? 'GOVERNANCE' : 'COMPLIANCE', days: lockDays };
  if (lockMode !== undefined) throw new SnapError('USAGE', '--lock-mode needs --lock-days');
  if (lockDays !== undefined) throw new SnapError('USAGE', '--lock-days needs --lock-mode');
  return null;
}

function toCodec(flags: MigrateFlags): MigrateSettings['codec'] {
  const { lowest, highest, standard } = CODECS[flags.compression];
  const level = flags.compressionLevel ?? standard;
  if (level < lowest || level > highest) {
    throw new SnapError(
      'USAGE',
      `--compression-level ${level} is out of range: ${flags.compression} has levels ${lowest} to ${highest}`,
    );
  }
  return { name: flags.compression, level };
}
