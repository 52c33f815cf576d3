/** `snap-to-s3 migrate`: its flags, and what they mean to the operation. */
import { Command, Option } from 'commander';
import { CODECS, type CodecName } from '../../archive/codec.ts';
import { normalisePrefix } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { SnapError } from '../../errors.ts';
import { migrate } from '../../operations/migrate.ts';
import type { MigrateSettings } from '../../operations/settings.ts';
import type { CliContext } from '../context.ts';
import { collect, matching, wholeNumber } from '../flag-values.ts';
import { EXIT_STATUS_HELP } from '../help.ts';
import { openHost } from '../render/open-host.ts';

/** Flags as the parser hands them over. */
interface MigrateFlags {
  all?: true;
  one?: true;
  snapshots?: string[];
  tag: string;
  bucket: string;
  prefix: string;
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
  uploadStreams: number;
  dd?: true;
  compression: CodecName;
  compressionLevel?: number;
  gpgRecipient?: string[];
  replay: boolean;
  mountPoint: string;
  volumeType: string;
  kmsKeyId?: string;
  keepTempVolumes?: true;
  waitLimit: number;
  region?: string;
  profile?: string;
  endpointUrl?: string;
  dryRun?: true;
  json?: true;
  quiet?: true;
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

const VOLUME_TYPES = ['gp3', 'gp2', 'io1', 'io2', 'st1', 'sc1', 'standard'];

export function migrateCommand(context: CliContext): Command {
  const command = new Command('migrate')
    .summary('archive EBS snapshots in S3')
    .description(DESCRIPTION)
    .usage('(--all | --one | --snapshots ID...) --bucket BUCKET [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS_HELP)
    .action((_flags, self: Command) => runMigrate(self.opts<MigrateFlags>(), context));
  for (const [heading, options] of optionGroups()) {
    command.optionsGroup(heading);
    for (const option of options) command.addOption(option);
  }
  return command;
}

const DESCRIPTION = [
  'Archives EBS snapshots in S3: each becomes a temporary volume of this instance, whose partitions are mounted and',
  'stored as compressed tars (or, with --dd, as one image). The snapshot itself is never deleted. Needs root, on an EC2',
  'instance in the region of the snapshots.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 migrate --all --bucket backups.example.com
  snap-to-s3 migrate --snapshots snap-0123456789abcdef0 --bucket backups.example.com --storage-class DEEP_ARCHIVE
  snap-to-s3 migrate --one --dd --compression zstd --gpg-recipient ops@example.com --bucket backups.example.com

Restore without this program:
  aws s3 cp "s3://BUCKET/KEY.tar.lz4" - | lz4 -d | tar -x --xattrs --xattrs-include='*' --acls --numeric-owner
`;

function optionGroups(): [string, Option[]][] {
  return [
    ['Which snapshots (exactly one of these):', selectionOptions()],
    ['Where to:', destinationOptions()],
    ['What is stored:', contentOptions()],
    ['The temporary volume:', volumeOptions()],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ];
}

const selectionOptions = (): Option[] => [
  new Option('--all', 'all completed snapshots whose tag is "migrate"').conflicts(['one', 'snapshots']),
  new Option('--one', 'the oldest of those').conflicts(['all', 'snapshots']),
  new Option('--snapshots <id...>', 'these snapshots, whatever their tags say')
    .argParser(collect(matching(/^snap-(?:[0-9a-f]{8}|[0-9a-f]{17})$/, 'a snapshot id such as snap-0123456789abcdef0')))
    .conflicts(['all', 'one']),
  new Option('--tag <key>', 'tag that marks snapshots and temporary volumes')
    .argParser(matching(/^(?!aws:)[\s\S]{1,124}$/, 'a tag key of at most 124 characters'))
    .default('snap-to-s3'),
];

const destinationOptions = (): Option[] => [
  new Option('--bucket <name>', 'the bucket; it must exist')
    .argParser(matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name'))
    .makeOptionMandatory(),
  new Option('--prefix <prefix>', 'put before all keys').default(''),
  new Option('--storage-class <class>', 'of the data objects').choices(STORAGE_CLASSES).default('STANDARD'),
  new Option('--sse <mode>', "encryption by S3, if not the bucket's own").choices([
    'AES256',
    'aws:kms',
    'aws:kms:dsse',
  ]),
  new Option('--sse-kms-key-id <key>', 'KMS key for --sse aws:kms'),
  new Option('--expected-bucket-owner <account>', 'refuse a bucket of any other account').argParser(
    matching(/^\d{12}$/, 'a 12-digit account id'),
  ),
  new Option('--upload-streams <number>', 'parts on their way at once; each takes memory')
    .argParser(wholeNumber(1, 64))
    .default(4),
];

const contentOptions = (): Option[] => [
  new Option('--dd', 'one image of the whole disk, instead of a tar of each partition'),
  new Option('--compression <codec>', 'compressor').choices(['lz4', 'zstd']).default('lz4'),
  new Option('--compression-level <level>', 'lz4: 1 to 12, zstd: 1 to 19; 1 if not given').argParser(
    wholeNumber(1, 19),
  ),
  new Option('--gpg-recipient <key>', 'encrypt for this key; may be given again for others').argParser(collect(String)),
  new Option('--no-replay', 'do not replay the journals of filesystems: files synced last may be missing'),
];

const volumeOptions = (): Option[] => [
  new Option('--volume-type <type>', 'of the temporary volume').choices(VOLUME_TYPES).default('gp3'),
  new Option('--kms-key-id <key>', 'encrypt the temporary volume with this KMS key'),
  new Option('--mount-point <directory>', 'partitions are mounted below it')
    .argParser(matching(/^\//, 'an absolute path'))
    .default('/mnt'),
  new Option('--keep-temp-volumes', 'detach temporary volumes, but do not delete them'),
  new Option('--wait-limit <seconds>', 'for each change of state of a volume')
    .argParser(wholeNumber(1, 86_400))
    .default(600),
];

const awsOptions = (): Option[] => [
  new Option('--region <region>', 'must be that of this instance; it is by default').argParser(
    matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region name such as eu-west-1'),
  ),
  new Option('--profile <name>', 'profile of the AWS configuration files'),
  new Option('--endpoint-url <url>', 'endpoint of S3, for stores that speak its protocol').argParser(
    matching(/^https?:\/\/[^\s/]+/, 'an http or https URL'),
  ),
];

const outputOptions = (): Option[] => [
  new Option('--dry-run', 'show what would be stored where, and what it costs; change nothing'),
  new Option('--json', 'one JSON record a line on standard output'),
  new Option('--quiet', 'only errors'),
];

async function runMigrate(flags: MigrateFlags, context: CliContext): Promise<void> {
  const settings = toSettings(flags);
  using host = openHost(flags, context);
  const services = await awsServices(flags, host, context.process.env);
  context.finish(await migrate(settings, services, context.signal));
}

/** @throws SnapError `USAGE` for flags that do not go together. */
function toSettings(flags: MigrateFlags): MigrateSettings {
  const selection = toSelection(flags);
  if (flags.sseKmsKeyId !== undefined && !flags.sse?.startsWith('aws:kms')) {
    throw new SnapError('USAGE', '--sse-kms-key-id needs --sse aws:kms or aws:kms:dsse');
  }
  return {
    selection,
    tagKey: flags.tag,
    prefix: normalisePrefix(flags.prefix),
    layout: flags.dd ? 'image' : 'tar',
    codec: toCodec(flags),
    encryption: flags.gpgRecipient === undefined ? null : { recipients: flags.gpgRecipient },
    storageClass: flags.storageClass,
    uploadStreams: flags.uploadStreams,
    replayJournals: flags.replay,
    mountPoint: flags.mountPoint,
    volumeType: flags.volumeType,
    kmsKeyId: flags.kmsKeyId,
    keepVolumes: flags.keepTempVolumes === true,
    waitLimit: flags.waitLimit * 1000,
    dryRun: flags.dryRun === true,
  };
}

function toSelection(flags: MigrateFlags): MigrateSettings['selection'] {
  if (flags.snapshots !== undefined) return { by: 'id', ids: [...new Set(flags.snapshots)] };
  if (flags.all) return { by: 'tag', value: 'migrate', most: null };
  if (flags.one) return { by: 'tag', value: 'migrate', most: 1 };
  throw new SnapError('USAGE', 'say which snapshots: --all, --one or --snapshots ID...');
}

function toCodec(flags: MigrateFlags): MigrateSettings['codec'] {
  const { lowest, highest, standard } = CODECS[flags.compression];
  const level = flags.compressionLevel ?? standard;
  if (level < lowest || level > highest) {
    throw new SnapError(
      'USAGE',
      `--compression-level ${level} is not for ${flags.compression}: ${lowest} to ${highest}`,
    );
  }
  return { name: flags.compression, level };
}
