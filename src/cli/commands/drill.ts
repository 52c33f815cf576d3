/** The command `snap-to-s3 drill`: converts its flags to the settings of the operation, and writes its reports. */
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { EXIT, SnapError } from '../../errors.ts';
import type { DrillReport } from '../../events.ts';
import type { DrillSettings } from '../../operations/shared/settings/drill.ts';
import { type ArchiveFilterFlags, archiveFilterOptions, toArchiveFilter } from '../archive-filter.ts';
import type { CliContext } from '../context.ts';
import { matching, wholeNumber } from '../flag-values.ts';
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
  sourceOptions,
  tagOption,
  toVolumeSettings,
  type VolumeFlags,
  volumeOptions,
  withoutManifestOption,
} from '../options.ts';
import { writeOutputFile } from '../render/output-file.ts';
import { writeReport } from '../render/report-file.ts';
import { type Operation, runOperation } from '../run-operation.ts';
import { type ThawFlags, thawOptions, toThaw } from '../thaw-options.ts';

/** The parsed flags. */
interface DrillFlags extends AwsFlags, OutputFlags, ThawFlags, ArchiveFilterFlags, Omit<VolumeFlags, 'concurrency'> {
  json?: true;
  quiet?: true;
  bucket: string;
  expectedBucketOwner?: string;
  downloadStreams: number;
  tag: string;
  sample: number;
  seed?: string;
  scratch?: string;
  thaw?: true;
  withSnapshot?: true;
  withoutManifest?: true;
  html?: string;
}

export function drillCommand(context: CliContext): Command {
  const command = new Command('drill')
    .summary('restore a random sample of archives to prove that they can be restored')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET [--sample N] [--scratch DIR] [--report FILE] [--html FILE] [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runDrill(self.opts<DrillFlags>(), context));
  return addOptionGroups(command, [
    [
      'Archives:',
      [bucketOption(), prefixOption(), bucketOwnerOption(), withoutManifestOption(), downloadStreamsOption()],
    ],
    ['Sample:', [...sampleOptions(), ...archiveFilterOptions()]],
    ['Archive storage classes:', [...archiveClassOptions(), ...thawOptions()]],
    ['Snapshot:', [...snapshotOptions(), ...sourceOptions(), noReplayOption(), tagOption()]],
    ['Temporary volume:', volumeOptions()],
    ['Claims:', [claimLifeOption()]],
    ['AWS:', awsOptions()],
    ['Output:', [...reportOptions(), ...outputOptions()]],
  ]);
}

const EXIT_STATUS = exitStatusHelp(
  [EXIT.someFailed, EXIT.nothingToDo, EXIT.claimedElsewhere, EXIT.differs, EXIT.thawing],
  {
    ...USAGE_OR_KEY,
    [EXIT.ok]: 'every archive of the sample was restored and matches',
    [EXIT.failed]:
      'failed: no archive of the sample could be restored and compared, or something could not be released',
    [EXIT.someFailed]: 'some archives could not be restored or compared, the others match',
    [EXIT.nothingToDo]: 'there is no archive to restore, or an archive or its snapshot was deleted during the drill',
    [EXIT.claimedElsewhere]:
      'with --with-snapshot: another run is working on the snapshot, or has taken over its claim',
    [EXIT.differs]: 'a restored archive differs from what was archived',
  },
);

const DESCRIPTION = [
  'Restores a random sample of the complete archives to a scratch directory, reads the restored data again, and compares it with the',
  'hashes in the index, block by block or file by file, or with the archive itself if it has no usable index. --with-snapshot also',
  'compares with the snapshot if it still exists. The scratch directory is always removed. The report records what was compared, when,',
  'by whom and for which archives. Owners, device nodes and attributes are restored only as root.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 drill --bucket backups.example.com --sample 3 --scratch /mnt/scratch --html drill.html
  snap-to-s3 drill --bucket backups.example.com --since 2026-01-01 --thaw --yes --seed 2026-Q4 --report drill.json
`;

const sampleOptions = (): Option[] => [
  new Option('--sample <number>', 'maximum number of archives to restore, 1 to 10000')
    .argParser(wholeNumber(1, 10_000))
    .default(1),
  new Option(
    '--seed <text>',
    'seed of the random sample; the same seed selects the same archives (default: random)',
  ).argParser(matching(/^[\w.:-]{1,64}$/, 'at most 64 letters, digits and . : - _')),
  new Option(
    '--scratch <directory>',
    'directory to restore to; it needs space for the largest archive (default: the directory for temporary files)',
  ),
];

const archiveClassOptions = (): Option[] => [
  new Option('--thaw', 'include archives that must be thawed first'),
  new Option('--yes', 'thaw at the price shown without asking for confirmation'),
];

const snapshotOptions = (): Option[] => [
  new Option('--with-snapshot', 'also compare with the snapshot if it still exists; needs root'),
];

const reportOptions = (): Option[] => [
  new Option('--report <file>', 'write the report to this file as JSON'),
  new Option('--html <file>', 'write the report to this file as a printable page'),
];

async function runDrill(flags: DrillFlags, context: CliContext): Promise<void> {
  const settings = toSettings(flags, context);
  const { report, html, ...others } = flags;
  const { drillPage } = await import('../render/text/drill-html.ts');
  const save = (found: DrillReport | null) => {
    if (report !== undefined) writeReport(report, found ?? UNFINISHED);
    if (html !== undefined) writeOutputFile('--html', html, found ? drillPage(found) : 'This drill is unfinished.\n');
  };
  save(null);
  const operation: Operation = async (services, signal) => {
    const { drill } = await import('../../operations/drill/drill.ts');
    return drill(settings, services, signal);
  };
  await runOperation(others, context, operation, (event) => {
    if (event.code === 'drill.finished') save(event.report);
  });
}

/** Written before the drill, so that the report of an earlier drill is not mistaken for that of this one. */
const UNFINISHED = { format: 1, kind: 'drill', verdict: 'unfinished' } as const;

/** @throws SnapError `USAGE` if flags conflict. */
function toSettings(flags: DrillFlags, context: CliContext): DrillSettings {
  if (!flags.thaw && (flags.yes || flags.wait)) throw new SnapError('USAGE', '--yes and --wait need --thaw');
  const seed = flags.seed ?? randomBytes(6).toString('hex');
  return {
    ...toArchiveFilter(flags),
    ...toVolumeSettings({ ...flags, concurrency: 1 }),
    sample: flags.sample,
    seed,
    scratch: flags.scratch === undefined ? null : resolve(flags.scratch),
    thaw: flags.thaw ? againWith(seed, flags, context) : null,
    withSnapshot: flags.withSnapshot === true,
    withoutManifest: flags.withoutManifest === true,
    user: userOf(context.process),
    tagKey: flags.tag,
    downloadStreams: flags.downloadStreams,
  };
}

/** The user name, and the user who called sudo. */
function userOf({ env, getuid }: NodeJS.Process): string {
  const sudo = env['SUDO_USER'];
  const name = nameOf(getuid?.() ?? 0);
  return sudo === undefined || sudo === name ? name : `${name} (${sudo} by sudo)`;
}

/** The name of the current user, or the uid if the user has no name, as in containers. */
function nameOf(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${uid}`;
  }
}

/** The command that resumes the drill needs the seed, because it must select the same archives. */
function againWith(seed: string, flags: DrillFlags, context: CliContext): DrillSettings['thaw'] {
  const thaw = toThaw(flags, context);
  return {
    ...thaw,
    resumeCommand: flags.seed === undefined ? `${thaw.resumeCommand} --seed ${seed}` : thaw.resumeCommand,
  };
}
