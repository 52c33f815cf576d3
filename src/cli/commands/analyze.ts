/** The command `snap-to-s3 analyze`: converts its flags to settings, and writes the analysis in the requested formats. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import type { Analysis } from '../../costs/analysis.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { REGION_PATTERN } from '../../lib/aws-names.ts';
import type { AnalyzeServices } from '../../operations/shared/services.ts';
import type { AnalyzeSettings, RatioChoice } from '../../operations/shared/settings/analyze.ts';
import type { CliContext } from '../context.ts';
import { collect, decimal, matching, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp, INTERRUPTED_ONLY } from '../help.ts';
import { type AwsFlags, addOptionGroups, awsOptions, BUCKET_NAME, REGION_NAME, volumeTypeOption } from '../options.ts';
import { type PriceFlags, priceOptions } from '../price-flags.ts';
import type { AnalysisOutput } from '../render/analysis-output.ts';
import { checkOutputFile } from '../render/output-file.ts';
import { keepHeapSmall } from '../small-heap.ts';

/** The parsed flags. */
interface AnalyzeFlags extends AwsFlags, AnalysisOutput, Pick<PriceFlags, 'prices' | 'refreshPrices'> {
  offline?: true;
  live?: true;
  regions?: string[];
  accounts?: string[];
  months: number;
  ratio?: number;
  ratioFrom?: string;
  prefix?: string;
  source: 'direct' | 'volume';
  volumeType: string;
  keepMonths: number;
  change?: number;
  quiet?: true;
}

export function analyzeCommand(context: CliContext): Command {
  const command = new Command('analyze')
    .summary('show what snapshots cost, and which are worth moving to S3')
    .description(DESCRIPTION)
    .usage('[FILE... | - | s3://BUCKET/PREFIX] [OPTIONS]')
    .argument('[reports...]', 'report files, - for standard input, or s3://BUCKET/PREFIX')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((inputs: string[], _flags, self: Command) => runAnalyze(inputs, self.opts<AnalyzeFlags>(), context));
  return addOptionGroups(command, [
    ['Input:', inputOptions()],
    ['Assumptions:', [...assumptionOptions(), ...priceOptions()]],
    [
      'AWS:',
      awsOptions(
        'region of --live, and for the first call to S3 (default: AWS_REGION, AWS_DEFAULT_REGION, or the region of the profile)',
      ),
    ],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.nothingToDo], {
  ...INTERRUPTED_ONLY,
  [EXIT.failed]: 'failed: a report cannot be read to its end, or a call failed',
  [EXIT.usage]: 'invalid usage, there is no supported report, or --ratio-from finds no archive to measure',
  [EXIT.nothingToDo]: 'no snapshot is billed on the latest day of the report or, with --live, none is in EC2',
});

const DESCRIPTION = [
  'Shows what each EBS snapshot costs, by region and volume, from a Cost and Usage Report (CSV, gz, zip or Parquet), a CUR 2.0 export',
  'or a FOCUS 1.0 or 1.2 export with resource ids, and recommends which snapshots to move to S3. Volumes, names and dates come from EC2',
  'in every region that the report names. Changes nothing. Needs neither root nor an instance.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 analyze costreport-00001.csv.gz
  snap-to-s3 analyze s3://cost-reports.example.com/billing/daily/ --months 3
  snap-to-s3 analyze costreport-00001.csv.gz --ratio-from backups.example.com
  snap-to-s3 analyze --live --regions eu-west-1 us-east-1
  aws s3 cp s3://cost-reports.example.com/costreport-1.csv.gz - | snap-to-s3 analyze
`;

const ACCOUNT = matching(/^\d{12}$/, 'a 12-digit account id');

const inputOptions = (): Option[] => [
  new Option('--months <number>', 'billing months to read from a report in S3, counted from the newest, 1 to 120')
    .argParser(wholeNumber(1, 120))
    .default(2),
  new Option(
    '--regions <region...>',
    'only snapshots in these regions (default: all; with --live: --region or AWS_REGION)',
  ).argParser(collect(REGION_NAME)),
  new Option('--accounts <id...>', 'only snapshots of these accounts (default: all)').argParser(collect(ACCOUNT)),
  new Option(
    '--live',
    'analyze without a report, with sizes from EC2 and the EBS direct APIs; their requests are billed',
  ).conflicts('offline'),
  new Option('--offline', 'do not call EC2; volumes, names and dates are then unknown'),
];

/** The compression ratio that is assumed if none is given or measured. */
const DEFAULT_RATIO = 2;

const assumptionOptions = (): Option[] => [
  new Option(
    '--ratio <number>',
    `compression ratio of archives, such as 1.8 for 1.8:1, 0.1 to 1000 (default: ${DEFAULT_RATIO})`,
  ).argParser(decimal(0.1, 1000)),
  new Option(
    '--ratio-from <bucket>',
    'measure the compression ratio of the archives in this bucket; also with --offline',
  )
    .argParser(BUCKET_NAME)
    .conflicts('ratio'),
  new Option('--prefix <prefix>', 'key prefix of the archives in the --ratio-from bucket'),
  new Option('--source <source>', 'how snapshots would be read: through the EBS direct APIs or from temporary volumes')
    .choices(['direct', 'volume'])
    .default('direct'),
  volumeTypeOption(),
  new Option('--keep-months <number>', 'months for which archives are kept, 1 to 1200')
    .argParser(wholeNumber(1, 1200))
    .default(12),
  new Option(
    '--change <percent>',
    'percentage of the data that changes between snapshots, where it cannot be measured, 0 to 100 (default: 5)',
  ).argParser(decimal(0, 100)),
];

const outputOptions = (): Option[] => [
  new Option('--json', 'write the analysis to standard output as one JSON document'),
  new Option('--csv <file>', 'write a table of the snapshots to this file'),
  new Option('--html <file>', 'write a self-contained HTML page to this file'),
  new Option('--plan <file>', 'write the snapshots worth moving to S3 to this file, for migrate --from'),
  new Option('--quiet', 'print only the result and errors'),
];

/** Loads its modules only here, because help and usage errors need none of them. */
async function runAnalyze(inputs: string[], flags: AnalyzeFlags, context: CliContext): Promise<void> {
  keepHeapSmall();
  const settings = toSettings(inputs, flags, context);
  for (const [flag, path] of filesOf(flags)) checkOutputFile(flag, path);
  const { openHost } = await import('../render/open-host.ts');
  const { awsAnalyzeServices } = await import('../../aws-services.ts');
  const { pricesOf } = await import('../chosen-prices.ts');
  const { writeAnalysis } = await import('../render/analysis-output.ts');
  using host = openHost(flags.quiet ? { quiet: true } : {}, context);
  // Refuses an invalid price file before the report is read.
  let prices = await pricesOf(flags.prices === undefined ? {} : { prices: flags.prices }, [], host, context);
  const services = {
    ...(await awsAnalyzeServices(flags, host, context.process.env)),
    prices: async (regions: readonly string[]) => {
      prices = await pricesOf(
        flags,
        regions.filter((name) => REGION_PATTERN.test(name)),
        host,
        context,
      );
      return prices;
    },
  };
  const analysis = await analyzed(flags, settings, services, context.signal);
  await writeAnalysis(analysis, prices, flags, context);
  context.finish(analysis.regions.length === 0 ? EXIT.nothingToDo : EXIT.ok);
}

async function analyzed(
  { live }: AnalyzeFlags,
  settings: AnalyzeSettings,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<Analysis> {
  if (live) return (await import('../../operations/analyze/analyze-live.ts')).analyzeLive(settings, services, signal);
  return (await import('../../operations/analyze/analyze.ts')).analyze(settings, services, signal);
}

/** @throws SnapError `USAGE` if there is no report and standard input is a terminal, or if flags conflict. */
function toSettings(inputs: readonly string[], flags: AnalyzeFlags, { process }: CliContext): AnalyzeSettings {
  if (flags.live) return { ...always(flags, process), inputs: [], regions: liveRegions(inputs, flags, process.env) };
  if (inputs.length === 0 && process.stdin.isTTY) {
    throw new SnapError('USAGE', 'no billing report specified', {
      hint: 'specify report files or s3://BUCKET/PREFIX, pipe a report to standard input, or use --live',
    });
  }
  if (inputs.filter((input) => input === '-').length > 1)
    throw new SnapError('USAGE', 'standard input (-) can be specified only once');
  const given = inputs.length === 0 ? ['-'] : inputs;
  return { ...always(flags, process), inputs: given, regions: flags.regions ?? [] };
}

const always = (flags: AnalyzeFlags, process: NodeJS.Process) => ({
  input: process.stdin,
  months: flags.months,
  accounts: flags.accounts ?? [],
  isOffline: flags.offline === true,
  ratio: toRatio(flags),
  reading: flags.source === 'direct' ? ('direct' as const) : { volumeType: flags.volumeType },
  keepMonths: flags.keepMonths,
  ...(flags.change === undefined ? {} : { change: { is: 'given', percent: flags.change } as const }),
});

/** @throws SnapError `USAGE` for `--prefix` without `--ratio-from`. */
function toRatio({ ratio, ratioFrom: bucket, prefix }: AnalyzeFlags): RatioChoice {
  if (bucket !== undefined) return { is: 'measured', bucket, prefix: normalisePrefix(prefix ?? '') };
  if (prefix !== undefined) {
    throw new SnapError('USAGE', '--prefix needs --ratio-from', { hint: 'specify --ratio-from BUCKET' });
  }
  return ratio === undefined ? { is: 'assumed', compression: DEFAULT_RATIO } : { is: 'given', compression: ratio };
}

function liveRegions(inputs: readonly string[], flags: AnalyzeFlags, env: NodeJS.ProcessEnv): string[] {
  if (inputs.length > 0) {
    throw new SnapError('USAGE', '--live cannot be combined with a report', {
      hint: 'omit either the report files or --live',
    });
  }
  const regions =
    flags.regions ?? [flags.region, env['AWS_REGION']].filter((region) => region !== undefined).slice(0, 1);
  if (regions.length > 0) return regions;
  throw new SnapError('USAGE', '--live needs at least one region', {
    hint: 'specify --regions REGION..., or set AWS_REGION',
  });
}

const filesOf = ({ csv, html, plan }: AnalyzeFlags): [string, string][] =>
  Object.entries({ '--csv': csv, '--html': html, '--plan': plan }).flatMap(([flag, path]) =>
    path === undefined ? [] : [[flag, path]],
  );
