/** Flags that several commands share. They are declared once, so that they have the same meaning everywhere. */
import { type Command, Option } from 'commander';
import { MAX_LIFE_SECONDS } from '../archive/claim.ts';
import { CODECS } from '../archive/codec.ts';
import { SnapError } from '../errors.ts';
import { REGION_PATTERN, SNAPSHOT_ID_PATTERN } from '../lib/aws-names.ts';
import type { Selection } from '../operations/shared/settings/selection.ts';
import type { SourceChoice, VolumeSettings } from '../operations/shared/settings/volume.ts';
import { collect, matching, wholeNumber } from './flag-values.ts';
import { makeMandatory } from './mandatory.ts';

/** The parsed values of `selectionOptions`. */
export interface SelectionFlags {
  all?: true;
  one?: true;
  snapshots?: string[];
  from?: string;
  tag: string;
}

export interface VolumeFlags {
  concurrency: number;
  source: SourceChoice;
  blockStreams: number;
  maxBlockRate: number;
  replay: boolean;
  mountPoint: string;
  volumeType: string;
  kmsKeyId?: string;
  keepTempVolumes?: true;
  waitLimit: number;
  claimLife: number;
}

export interface AwsFlags {
  region?: string;
  profile?: string;
  endpointUrl?: string;
  callTimeout: number;
}

export interface OutputFlags {
  json?: true;
  quiet?: true;
  report?: string;
}

/** Adds groups of options, each with its heading in the help. */
export function addOptionGroups(command: Command, groups: readonly (readonly [string, readonly Option[]])[]): Command {
  for (const [heading, options] of groups) {
    command.optionsGroup(heading);
    for (const option of options) command.addOption(option);
  }
  return command;
}

export const SNAPSHOT_ID = matching(SNAPSHOT_ID_PATTERN, 'a snapshot id such as snap-0123456789abcdef0');

export const REGION_NAME = matching(REGION_PATTERN, 'a region name such as eu-west-1');

/** @param tagged the description of `--all`, e.g. `all completed snapshots whose tag is "migrate"`. */
export const selectionOptions = (tagged: string): Option[] => [
  new Option('--all', tagged).conflicts(['one', 'snapshots']),
  new Option('--one', 'only the oldest of these snapshots').conflicts(['all', 'snapshots']),
  new Option('--snapshots <id...>', 'these snapshots, whatever their tags are')
    .argParser(collect(SNAPSHOT_ID))
    .conflicts(['all', 'one']),
  new Option('--from <file>', 'the snapshots that this file lists, such as one written by analyze --plan').conflicts([
    'all',
    'one',
    'snapshots',
  ]),
  tagOption(),
  new Option(
    '--concurrency <number>',
    'snapshots processed at the same time, 1 to 64; each needs memory and processors',
  )
    .argParser(wholeNumber(1, 64))
    .default(1),
];

export const tagOption = (
  description = 'key of the tag that holds the state of snapshots and marks temporary volumes',
): Option =>
  new Option('--tag <key>', description)
    .argParser(matching(/^(?!aws:)[\s\S]{1,124}$/, 'a tag key of at most 124 characters'))
    .default('snap-to-s3');

/** @throws SnapError `USAGE` if no snapshots are selected. */
export function toSelection(flags: SelectionFlags, states: { value: string; inProgress: string }): Selection {
  if (flags.snapshots !== undefined) return { by: 'id', ids: [...new Set(flags.snapshots)] };
  if (flags.all) return { by: 'tag', ...states, limit: null };
  if (flags.one) return { by: 'tag', ...states, limit: 1 };
  throw new SnapError('USAGE', 'select the snapshots with --all, --one, --snapshots ID... or --from FILE');
}

export const BUCKET_NAME = matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name');

export const bucketOption = (): Option =>
  makeMandatory(new Option('--bucket <name>', 'bucket of the archives, which must exist').argParser(BUCKET_NAME));

export const prefixOption = (): Option =>
  new Option('--prefix <prefix>', 'prefix of all object keys').default('', 'none');

export const bucketOwnerOption = (): Option =>
  new Option('--expected-bucket-owner <account>', 'refuse a bucket that another account owns').argParser(
    matching(/^\d{12}$/, 'a 12-digit account id'),
  );

export const withoutManifestOption = (): Option =>
  new Option('--without-manifest', 'accept an archive without a manifest, which may be incomplete');

export const SSE_MODES = ['AES256', 'aws:kms', 'aws:kms:dsse'];

/** EC2 creates io1 and io2 only with a number of IOPS, which no flag gives. */
const VOLUME_TYPES = ['gp3', 'gp2', 'st1', 'sc1', 'standard'];

export const volumeTypeOption = (): Option =>
  new Option('--volume-type <type>', 'type of the temporary volume').choices(VOLUME_TYPES).default('gp3');

export const newVolumeTypeOption = (): Option =>
  new Option('--volume-type <type>', 'type of the new volume').choices(VOLUME_TYPES).default('gp3');

export const volumeOptions = (): Option[] => [
  volumeTypeOption(),
  new Option('--kms-key-id <key>', 'encrypt the temporary volume with this KMS key'),
  mountPointOption(),
  new Option('--keep-temp-volumes', 'detach temporary volumes without deleting them'),
  waitLimitOption(),
];

export const sourceOption = (): Option =>
  new Option(
    '--source <source>',
    'read snapshots from a temporary volume (volume), through the EBS direct APIs without an instance (direct), or by whichever works here (auto)',
  )
    .choices(['volume', 'direct', 'auto'])
    .default('volume');

export const sourceOptions = (): Option[] => [
  sourceOption(),
  new Option('--block-streams <number>', 'blocks in flight, 1 to 512; each takes 0.5 MiB of memory')
    .argParser(wholeNumber(1, 512))
    .default(64),
  new Option(
    '--max-block-rate <number>',
    'maximum number of blocks read per second, 1 to 10000; leaves part of the quota to other programs',
  )
    .argParser(wholeNumber(1, 10_000))
    .default(900),
];

export const mountPointOption = (): Option =>
  new Option('--mount-point <directory>', 'directory below which partitions are mounted')
    .argParser(matching(/^\//, 'an absolute path'))
    .default('/mnt');

export const waitLimitOption = (): Option =>
  new Option('--wait-limit <seconds>', 'how long to wait for a volume to change state, 1 to 86400 seconds')
    .argParser(wholeNumber(1, 86_400))
    .default(600);

export const claimLifeOption = (): Option =>
  new Option(
    '--claim-life <seconds>',
    `how long a claim lasts without renewal, 3 to ${MAX_LIFE_SECONDS} seconds; afterwards, another host may take over the snapshot`,
  )
    .argParser(wholeNumber(3, MAX_LIFE_SECONDS))
    .default(900);

export const noReplayOption = (): Option =>
  new Option('--no-replay', 'do not replay filesystem journals; the files that were written last may be missing');

export const toVolumeSettings = (flags: VolumeFlags): VolumeSettings => ({
  concurrency: flags.concurrency,
  source: flags.source,
  blockStreams: flags.blockStreams,
  replayJournals: flags.replay,
  mountPoint: flags.mountPoint,
  volumeType: flags.volumeType,
  kmsKeyId: flags.kmsKeyId,
  keepVolumes: flags.keepTempVolumes === true,
  waitLimit: flags.waitLimit * 1000,
  claimLife: flags.claimLife,
});

export const profileOption = (): Option =>
  new Option(
    '--profile <name>',
    'profile in the AWS configuration files (default: AWS_PROFILE, AWS_DEFAULT_PROFILE, or "default")',
  );

/** The places at which the region is looked for if `--region` does not name it. */
export const REGION_SOURCES =
  'default: AWS_REGION, AWS_DEFAULT_REGION, the region of the profile, or the region of this instance';

export const REGION_OF_LIST = `region of the snapshots (${REGION_SOURCES})`;

const REGION_OF_SNAPSHOTS = `region of the snapshots (${REGION_SOURCES}; a volume can be used only in the region of its instance)`;

/** @param ofRegion the description of `--region`. */
export const awsOptions = (ofRegion = REGION_OF_SNAPSHOTS): Option[] => [
  new Option('--region <region>', ofRegion).argParser(REGION_NAME),
  profileOption(),
  new Option('--endpoint-url <url>', 'endpoint of S3, or of a store with the same API (default: AWS)').argParser(
    matching(/^https?:\/\/[^\s/]+/, 'an http or https URL'),
  ),
  new Option(
    '--call-timeout <seconds>',
    'retry a call that transfers nothing for this many seconds, 1 to 3600; part uploads get ten times as long',
  )
    .argParser(wholeNumber(1, 3600))
    .default(30),
];

export const compressionOption = (): Option =>
  new Option('--compression <codec>', 'compression format').choices(Object.keys(CODECS)).default('lz4');

export const gpgRecipientOption = (): Option =>
  new Option('--gpg-recipient <key>', 'encrypt for this gpg key; can be given several times').argParser(
    collect(String),
  );

/** @param outcome what the report contains. */
export const reportOption = (outcome = 'the outcome of each snapshot'): Option =>
  new Option('--report <file>', `write ${outcome} to this file as JSON`);

export const outputOptions = (): Option[] => [
  new Option('--json', 'write JSON lines to standard output'),
  new Option('--quiet', 'print only errors'),
];

export const downloadStreamsOption = (): Option =>
  new Option('--download-streams <number>', 'byte ranges in flight, 1 to 64; each takes 8 MiB of memory')
    .argParser(wholeNumber(1, 64))
    .default(4);

export const sessionKeyOption = (): Option =>
  new Option(
    '--gpg-session-key <key>',
    'session key of one encrypted archive: @FILE, - for standard input, or the key itself',
  );
