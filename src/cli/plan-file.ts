/** Plan files: lists of snapshots that `analyze --plan` writes, that users edit, and that `migrate --from` reads. */
import { readFileSync } from 'node:fs';
import type { Analysis } from '../costs/analysis.ts';
import { chosenOf } from '../costs/chosen.ts';
import { asError, SnapError } from '../errors.ts';
import { REGION_PATTERN, SNAPSHOT_ID_PATTERN } from '../lib/aws-names.ts';

interface PlannedSnapshot {
  id: string;
  /** `null`, here and below, if the line does not contain it. */
  region: string | null;
  storageClass: string | null;
}

export function planText(analysis: Analysis): string {
  const lines = chosenOf(analysis).flatMap(({ region, volume, snapshots, choice }) =>
    snapshots.map(({ id }) => [id, region, choice.storageClass, volume.id ?? 'unknown'].join('  ')),
  );
  return [...HEAD, ...lines, ''].join('\n');
}

const HEAD = [
  '# Snapshots that are worth moving to S3: snapshot id, region, storage class, volume id.',
  '# Remove or add lines as needed; only the id is required. Then run: snap-to-s3 migrate --from THIS-FILE --bucket BUCKET',
];

/** @throws SnapError `USAGE` if the file cannot be read, or a line does not begin with a snapshot id. */
function readPlan(path: string): PlannedSnapshot[] {
  const planned: PlannedSnapshot[] = [];
  for (const [at, line] of textOf(path).split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [id = '', ...words] = text.split(/\s+/);
    if (!SNAPSHOT_ID_PATTERN.test(id)) {
      throw new SnapError('USAGE', `line ${at + 1} of ${path} does not begin with a snapshot id`, {
        hint: 'write one snapshot per line: an id such as snap-0123456789abcdef0, optionally followed by region, storage class and a comment',
      });
    }
    const region = takeWord(words, REGION_PATTERN);
    planned.push({ id, region, storageClass: takeWord(words, STORAGE_CLASS) });
  }
  return planned;
}

const STORAGE_CLASS = /^[A-Z_]+$/;

/** Takes the first word if it is one of these; whatever follows is a remark. */
const takeWord = (words: string[], pattern: RegExp): string | null =>
  pattern.test(words[0] ?? '') ? (words.shift() ?? null) : null;

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SnapError('USAGE', `cannot read ${path}: ${asError(cause).message}`, { cause });
  }
}

interface PlanFlags {
  from?: string;
  region?: string;
  snapshots?: string[];
  storageClass?: string;
}

/**
 * Reads the file of `--from`, and sets its snapshots, region and storage class as if they had been given as flags.
 * @param isClassGiven whether `--storage-class` was given; it has precedence over the file.
 * @param region the region of the environment; `--region` has precedence over it.
 * @throws SnapError `USAGE` if the snapshots of the file need more than one run; `NOTHING_TO_DO` if the file has no
 *   snapshots in the region.
 */
export function withPlan<T extends PlanFlags>(flags: T, isClassGiven: boolean, region: string | undefined): T {
  if (flags.from === undefined) return flags;
  const planned = readPlan(flags.from);
  const wanted = flags.region ?? region;
  const here = planned.filter((one) => wanted === undefined || one.region === null || one.region === wanted);
  if (here.length === 0) {
    throw new SnapError(
      'NOTHING_TO_DO',
      `${flags.from} names no snapshot${wanted === undefined ? '' : ` in ${wanted}`}`,
      {
        hint: 'analyze --plan lists a snapshot only if moving it saves money; use --region for the snapshots of another region',
      },
    );
  }
  const found = onlyOne(
    'region',
    flags.from,
    here.map((one) => one.region),
  );
  const ofPlan = isClassGiven
    ? null
    : onlyOne(
        'storage-class',
        flags.from,
        here.map((one) => one.storageClass),
      );
  return {
    ...flags,
    snapshots: here.map(({ id }) => id),
    ...(wanted === undefined && found !== null ? { region: found } : {}),
    ...(ofPlan === null ? {} : { storageClass: ofPlan }),
  };
}

function onlyOne(flag: string, path: string, values: readonly (string | null)[]): string | null {
  const different = [...new Set(values)].filter((value) => value !== null).sort();
  if (different.length <= 1) return different[0] ?? null;
  const isRegion = flag === 'region';
  const what = isRegion ? 'regions' : 'storage classes';
  throw new SnapError('USAGE', `${path} names several ${what}: ${different.join(', ')}`, {
    hint: isRegion
      ? 'run the command once for each region, with --region'
      : 'select one storage class for all snapshots with --storage-class',
  });
}
