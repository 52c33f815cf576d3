/** Lists of snapshots between `analyze --plan` and `migrate --from`: lines that a person may read, cut and add to. */
import { readFileSync } from 'node:fs';
import type { Analysis } from '../costs/analysis.ts';
import { chosenOf } from '../costs/chosen.ts';
import { asError, SnapError } from '../errors.ts';
import { REGION_PATTERN, SNAPSHOT_ID_PATTERN } from '../lib/aws-names.ts';

interface PlannedSnapshot {
  id: string;
  /** `null` where the line does not say. */
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
  '# Snapshots that snap-to-s3 analyze would move to S3: id, region, storage class, volume.',
  '# Take lines out or put some in; an id alone will do. Then: snap-to-s3 migrate --from THIS-FILE --bucket BUCKET',
];

/** @throws SnapError `USAGE` for a file that is not there, or lines that are not of snapshots. */
function readPlan(path: string): PlannedSnapshot[] {
  const planned: PlannedSnapshot[] = [];
  for (const [at, line] of textOf(path).split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [id = '', ...words] = text.split(/\s+/);
    if (!SNAPSHOT_ID_PATTERN.test(id)) {
      throw new SnapError('USAGE', `line ${at + 1} of ${path} does not begin with the id of a snapshot`, {
        hint: 'a line is an id such as snap-0123456789abcdef0, and may go on with region, storage class and remarks',
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
 * What a plan says, as if it had been said by flags: snapshots, their region and their storage class.
 * @param isClassGiven whether `--storage-class` was; then that counts.
 * @throws SnapError `USAGE` for plans that need several runs, `NOTHING_TO_DO` for one without snapshots of the region.
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
        hint: 'analyze --plan writes none where nothing would be saved; see --region for others',
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
  throw new SnapError('USAGE', `${path} names several: ${different.join(', ')}`, {
    hint: `say which by --${flag}${flag === 'region' ? ', in one run for each' : ', which then counts for all'}`,
  });
}
