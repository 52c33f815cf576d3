/** Plan files: lists of snapshots that `analyze --plan` writes, that users edit, and that `migrate --from` reads. */
import { readFileSync } from 'node:fs';
import type { Analysis, Choice } from '../costs/analysis.ts';
import { chosenOf } from '../costs/chosen.ts';
import { asError, SnapError } from '../errors.ts';
import { REGION_PATTERN, SNAPSHOT_ID_PATTERN } from '../lib/aws-names.ts';

interface PlannedSnapshot {
  id: string;
  /** `null`, here and below, if the line does not contain it. */
  region: string | null;
  storageClass: string | null;
  form: Choice['form'];
}

export function planText(analysis: Analysis): string {
  const lines = chosenOf(analysis).flatMap(({ region, volume, snapshots, choice }) =>
    snapshots.map(({ id }) => [id, region, choice.storageClass, choice.form, volume.id ?? 'unknown'].join('  ')),
  );
  return [...HEAD, ...commands(analysis), ...lines, ''].join('\n');
}

const HEAD = [
  '# Snapshots that are worth moving to S3: snapshot id, region, storage class, form of the archive, volume id.',
  '# Remove or add lines as needed; only the id is required. Then run:',
];

/** A run archives snapshots of one form, and selects their lines by the flag if the file has both. */
function commands(analysis: Analysis): string[] {
  const forms = new Set(chosenOf(analysis).map(({ choice }) => choice.form));
  const source = analysis.assumptions.reading === 'direct' ? ' --source direct' : '';
  const command = `#   snap-to-s3 migrate --from THIS-FILE --bucket BUCKET${source}`;
  return forms.size > 1 ? [`${command} --incremental`, `${command} --no-incremental`] : [command];
}

/** @throws SnapError `USAGE` if the file cannot be read, or a line does not begin with a snapshot id. */
function readPlan(path: string): PlannedSnapshot[] {
  const planned: PlannedSnapshot[] = [];
  for (const [at, line] of textOf(path).split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [id = '', ...words] = text.split(/\s+/);
    if (!SNAPSHOT_ID_PATTERN.test(id)) {
      throw new SnapError('USAGE', `line ${at + 1} of ${path} does not begin with a snapshot id`, {
        hint: 'write one snapshot per line: an id such as snap-0123456789abcdef0, optionally followed by region, storage class, full or incremental, and a comment',
      });
    }
    const region = takeWord(words, REGION_PATTERN);
    const storageClass = takeWord(words, STORAGE_CLASS);
    planned.push({ id, region, storageClass, form: takeWord(words, FORM) as Choice['form'] });
  }
  return planned;
}

const STORAGE_CLASS = /^[A-Z_]+$/;

const FORM = /^(full|incremental)$/;

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
  incremental?: boolean;
  dd?: true;
}

/**
 * Reads the file of `--from`, and sets its snapshots, region, storage class and form as if they had been given as flags.
 * `--incremental` and `--no-incremental` select the lines of this form, and lines without a form.
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
  const found = onlyOne('region', flags.from, here);
  const selected = ofForm(here, flags.from, flags);
  const ofPlan = isClassGiven ? null : onlyOne('storageClass', flags.from, selected);
  const form = onlyOne('form', flags.from, selected);
  if (form === 'incremental') assertNotWhole(flags);
  return {
    ...flags,
    snapshots: selected.map(({ id }) => id),
    ...(wanted === undefined && found !== null ? { region: found } : {}),
    ...(ofPlan === null ? {} : { storageClass: ofPlan }),
    ...(form === 'incremental' ? { incremental: true } : {}),
  };
}

/** The lines that the flag selects; all if there is none. */
function ofForm(lines: readonly PlannedSnapshot[], path: string, { incremental }: PlanFlags): PlannedSnapshot[] {
  if (incremental === undefined) return [...lines];
  const wanted = incremental ? 'incremental' : 'full';
  const selected = lines.filter(({ form }) => form === null || form === wanted);
  if (selected.length > 0) return selected;
  throw new SnapError('NOTHING_TO_DO', `${path} names no snapshot for ${wanted} archives`, {
    hint: 'leave out --incremental and --no-incremental to archive the snapshots as the file says',
  });
}

function assertNotWhole({ dd, from }: PlanFlags): void {
  if (!dd) return;
  throw new SnapError('USAGE', `--dd stores full images, but ${from} names incremental archives`, {
    hint: 'leave out --dd, or remove the word incremental from the lines of the file',
  });
}

type Key = 'region' | 'storageClass' | 'form';

/** What the values of a key are called, and what to do if there are several. */
const SEVERAL: Record<Key, { names: string; hint: string }> = {
  region: { names: 'regions', hint: 'run the command once for each region, with --region' },
  storageClass: {
    names: 'storage classes',
    hint: 'select one storage class for all snapshots with --storage-class',
  },
  form: {
    names: 'forms of archives',
    hint: 'run the command once with --incremental and once with --no-incremental: each archives its own lines',
  },
};

function onlyOne(key: Key, path: string, lines: readonly PlannedSnapshot[]): string | null {
  const different = [...new Set(lines.map((line) => line[key]))].filter((value) => value !== null).sort();
  if (different.length <= 1) return different[0] ?? null;
  const { names, hint } = SEVERAL[key];
  throw new SnapError('USAGE', `${path} names several ${names}: ${different.join(', ')}`, { hint });
}
