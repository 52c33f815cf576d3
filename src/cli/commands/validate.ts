/** The command `snap-to-s3 validate`: converts its flags to the settings of the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT, SnapError } from '../../errors.ts';
import type { Selection } from '../../operations/shared/settings/selection.ts';
import type { ValidateSettings } from '../../operations/shared/settings/validate.ts';
import type { CliContext } from '../context.ts';
import { collect } from '../flag-values.ts';
import { exitStatusHelp, USAGE_OR_KEY } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  claimLifeOption,
  downloadStreamsOption,
  noReplayOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  reportOption,
  type SelectionFlags,
  selectionOptions,
  sessionKeyOption,
  sourceOptions,
  toSelection,
  toVolumeSettings,
  type VolumeFlags,
  volumeOptions,
  withoutManifestOption,
} from '../options.ts';
import { withPlan } from '../plan-file.ts';
import { runOperation } from '../run-operation.ts';
import { readSessionKey } from '../session-key.ts';

/** The parsed flags. */
interface ValidateFlags extends SelectionFlags, VolumeFlags, AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  downloadStreams: number;
  contentOnly?: true;
  archiveOnly?: true;
  withoutManifest?: true;
  gpgSessionKey?: string;
}

export function validateCommand(context: CliContext): Command {
  const command = new Command('validate')
    .summary('prove that archives match their snapshots')
    .description(DESCRIPTION)
    .usage('(--all | --one | --snapshots ID... | --from FILE) --bucket BUCKET [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) =>
      runValidate(withPlan(self.opts<ValidateFlags>(), true, context.process.env['AWS_REGION']), context),
    );
  return addOptionGroups(command, [
    [
      'Snapshots (exactly one of the first four is required):',
      selectionOptions('all completed snapshots whose tag is "migrated"'),
    ],
    ['Archives:', archiveOptions()],
    ['Comparison:', comparisonOptions()],
    ['Source:', sourceOptions()],
    ['Temporary volume:', volumeOptions()],
    ['Claims:', [claimLifeOption()]],
    ['AWS:', awsOptions()],
    ['Output:', [reportOption(), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.someFailed, EXIT.nothingToDo, EXIT.claimedElsewhere, EXIT.differs], {
  ...USAGE_OR_KEY,
  [EXIT.ok]: 'every archive matches its snapshot or, with --archive-only, its manifest and index',
  [EXIT.failed]: 'failed: no archive was compared completely, or something could not be released',
  [EXIT.someFailed]: 'some archives could not be compared, the others match',
  [EXIT.nothingToDo]: 'no snapshot has the tag or is in the file of --from, or a snapshot or its archive was not found',
  [EXIT.differs]: 'an archive is damaged or differs',
});

const DESCRIPTION = [
  'Reads archives back from S3 and compares them with a temporary volume created from the snapshot: tars member by member,',
  'images byte by byte. The manifest records how the archive was stored, so no flags for that are needed. Snapshots whose archives match',
  'are tagged "validated", or "content-validated" with --content-only. With --archive-only, compares an archive with its own manifest',
  'and index, which needs neither the snapshot nor an instance nor root.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 validate --all --bucket backups.example.com
  snap-to-s3 validate --snapshots snap-0123456789abcdef0 --gpg-session-key @key.txt --bucket backups.example.com
  snap-to-s3 validate --all --archive-only --bucket backups.example.com
`;

const archiveOptions = (): Option[] => [
  bucketOption(),
  prefixOption(),
  bucketOwnerOption(),
  withoutManifestOption(),
  downloadStreamsOption(),
];

const comparisonOptions = (): Option[] => [
  new Option('--content-only', 'compare only the names and contents of files; tags snapshots "content-validated"'),
  new Option(
    '--archive-only',
    'compare with the manifest and the index, without the snapshot; --all selects every archive',
  ).conflicts(['contentOnly', 'one']),
  sessionKeyOption(),
  noReplayOption(),
  ...LEGACY_FLAGS.map((flag) => new Option(flag).hideHelp()),
  new Option('--gpg-recipient <key>').argParser(collect(String)).hideHelp(),
];

/** Flags of version 0 for what the manifest records now. They are accepted and ignored. */
const LEGACY_FLAGS = [
  '--dd',
  '--compression <codec>',
  '--compression-level <level>',
  '--sse <mode>',
  '--sse-kms-key-id <key>',
  '--upload-streams <number>',
];

async function runValidate(flags: ValidateFlags, context: CliContext): Promise<void> {
  const settings = toSettings(flags, context.process);
  await runOperation(flags, context, async (services, signal) => {
    const { validate } = await import('../../operations/validate/validate.ts');
    return validate(settings, services, signal);
  });
}

/** @throws SnapError `USAGE` if flags conflict. */
function toSettings(flags: ValidateFlags, process: NodeJS.Process): ValidateSettings {
  const selection = toSelection(flags, { value: 'migrated', inProgress: 'validating' });
  const sessionKey = readSessionKey(flags.gpgSessionKey, process);
  if (sessionKey !== null && !isForOne(selection)) {
    throw new SnapError('USAGE', 'a session key opens only one archive', {
      hint: 'select the snapshot of this archive with --snapshots ID or --one',
    });
  }
  return {
    ...toVolumeSettings(flags),
    selection,
    tagKey: flags.tag,
    prefix: normalisePrefix(flags.prefix),
    contentOnly: flags.contentOnly === true,
    archiveOnly: flags.archiveOnly === true,
    withoutManifest: flags.withoutManifest === true,
    sessionKey,
    downloadStreams: flags.downloadStreams,
  };
}

const isForOne = (selection: Selection): boolean =>
  selection.by === 'id' ? selection.ids.length === 1 : selection.limit === 1;
