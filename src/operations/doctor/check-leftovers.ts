/** Checks for what interrupted runs left behind: stuck state tags, claims, uploads, and objects of no archive. */
import type { SnapError } from '../../errors.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { count } from '../../lib/units.ts';
import { findTraces, leftoversOf } from '../leftovers/find-leftovers.ts';
import type { Leftover, Survey, Trace } from '../leftovers/leftover.ts';
import { bucketPrices } from '../shared/bucket-prices.ts';
import { storeClock } from '../shared/store-clock.ts';
import { type Examination, type Finding, ok, warning } from './findings.ts';

/** Maximum number of snapshots that are examined. Each takes a few calls. */
const MAX_SNAPSHOTS = 100;

/** Maximum number of leftovers that a finding names. */
const SHOWN = 5;

/** Other checks cover leftover volumes and new snapshots. */
const CHECKS: { kind: Leftover['kind']; check: string; describe: (found: number) => string }[] = [
  {
    kind: 'tag',
    check: 'state tags',
    describe: (found) => `${count(found, 'snapshot')} stuck at migrating or validating`,
  },
  { kind: 'claim', check: 'claims', describe: (found) => `${count(found, 'claim')} of interrupted runs` },
  { kind: 'upload', check: 'uploads', describe: (found) => `${count(found, 'unfinished upload')} of interrupted runs` },
  { kind: 'object', check: 'objects', describe: (found) => `${count(found, 'object')} that no archive contains` },
];

interface FoundLeftover {
  snapshotId: string;
  leftover: Leftover;
}

/** Changes nothing. Whatever cannot be examined becomes a warning, because leftovers do not prevent a migration. */
export async function* examineLeftovers({ services, settings, signal }: Examination): AsyncGenerator<Finding> {
  const { tagKey, prefix } = settings;
  try {
    const clock = await storeClock(services.store, signal);
    const { prices } = await bucketPrices(services, signal);
    const facts = { instanceId: null, clock, bucketPrices: prices };
    const survey: Survey = { settings: { tagKey, prefix, olderThan: 0 }, services, signal, ...facts };
    const { traces, failures: unreadable, total } = await findTraces(survey, MAX_SNAPSHOTS);
    const { found, failures } = await examineEach(traces, survey);
    const all = [...unreadable.map(({ error }) => error), ...failures];
    const findings = CHECKS.map((check) => findingOf(check, found));
    // Nothing is called clean if a snapshot was not examined.
    yield* findings.filter(({ verdict }) => verdict !== 'ok' || all.length === 0);
    yield* gaps({ examined: traces.length + unreadable.length, total, failures: all });
  } catch (error) {
    yield notChecked('leftovers', failureOfOne(error));
  }
}

async function examineEach(traces: readonly Trace[], survey: Survey) {
  const found: FoundLeftover[] = [];
  const failures: SnapError[] = [];
  for (const trace of traces) {
    try {
      const leftovers = await leftoversOf(trace, survey);
      found.push(...leftovers.map((leftover) => ({ snapshotId: trace.snapshotId, leftover })));
    } catch (error) {
      failures.push(failureOfOne(error));
    }
  }
  return { found, failures };
}

function findingOf({ kind, check, describe }: (typeof CHECKS)[number], found: readonly FoundLeftover[]): Finding {
  const own = found.filter(({ leftover }) => leftover.kind === kind);
  if (own.length === 0) return ok(check, describe(0));
  const rest = own.length > SHOWN ? `, and ${own.length - SHOWN} more` : '';
  return warning(check, `${describe(own.length)}: ${own.slice(0, SHOWN).map(nameOf).join(', ')}${rest}`, HINT);
}

const HINT =
  'run the interrupted command again, which resumes the work, or list and remove the leftovers with: snap-to-s3 clean';

function nameOf({ snapshotId, leftover: { kind, id, what, obstacle } }: FoundLeftover): string {
  const name = kind === 'object' || kind === 'upload' ? id : snapshotId;
  const detail = kind === 'tag' ? `${id}; ${what}` : what;
  return `${name} (${detail}${obstacle === null ? '' : `; ${obstacle}`})`;
}

interface Extent {
  examined: number;
  total: number;
  failures: readonly SnapError[];
}

/** Reports snapshots that were not examined, so that they are not assumed to be clean. */
function* gaps({ examined, total, failures: [first, ...others] }: Extent): Generator<Finding> {
  if (first) {
    const { detail, hint } = notChecked('leftovers', first);
    const also = others.length === 0 ? '' : `, and ${count(others.length, 'other snapshot')}`;
    yield warning('leftovers', `${detail}${also}`, hint ?? HINT);
  }
  if (examined < total) {
    const detail = `only ${examined} of ${count(total, 'snapshot')} with a claim, volume or state tag were examined`;
    yield warning('leftovers', detail, 'list all leftovers with: snap-to-s3 clean');
  }
}

const notChecked = (check: string, { message, hint }: SnapError): Finding =>
  warning(check, `not checked: ${message}`, hint ?? 'correct the cause, and run the same command again');
