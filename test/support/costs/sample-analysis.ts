/** Builds realistic analyses of any size. The same parameters result in the same analysis. */
import type {
  Analysis,
  Choice,
  Decision,
  RegionAnalysis,
  SnapshotAnalysis,
  VolumeAnalysis,
} from '../../../src/costs/analysis.ts';

const SNAPSHOT_GB_MONTH = 0.05;

interface Wanted {
  volumes?: number;
  /** The maximum number of snapshots of a volume. Most volumes have fewer. */
  snapshots?: number;
  months?: number;
  /** Texts that are used in turn as names, descriptions, regions, sources and warnings. */
  hostile?: readonly string[];
  seed?: number;
}

const REGIONS = [
  { region: 'us-east-1', factor: 1 },
  { region: 'eu-west-1', factor: 1 },
  { region: 'eu-central-1', factor: 1.08 },
  { region: 'ap-southeast-2', factor: 1.1 },
  { region: 'sa-east-1', factor: 1.36 },
];

const ROLES = ['web', 'db-primary', 'db-replica', 'jenkins', 'mail', 'warehouse', 'files', 'bastion', 'analytics'];
const PLACES = ['prod', 'staging', 'dev', 'legacy', 'acme-migration-2019'];
const LATEST = '2026-10-31';
const DAY = 86_400_000;

export function sampleAnalysis(wanted: Wanted = {}): Analysis {
  const { volumes: volumeCount = 60, months = 14 } = wanted;
  const hostile = wanted.hostile?.join('');
  const random = randomOf(wanted.seed ?? 7);
  const shares = REGIONS.map((_, index) => Math.max(1, Math.round((volumeCount * 0.5 ** (index + 1)) / 0.97)));
  const regions = REGIONS.map((place, index) => regionOf(place, shares[index] ?? 1, wanted, random)).sort(
    (a, b) => b.monthly - a.monthly,
  );
  const cost = sumOf(regions, ({ monthly }) => monthly);
  const gib = sumOf(regions, (region) => region.gib);
  const snapshotCount = sumOf(regions, (region) => region.snapshotCount);
  return {
    format: 1,
    tool: { name: 'snap-to-s3', version: '1.0.0' },
    madeAt: '2026-11-03T09:30:00Z',
    basis: {
      kind: 'report',
      sources: [
        {
          name: hostile ?? 's3://acme-billing/cur/hourly/20261001-20261101/',
          format: 'legacy-cur',
          granularity: 'hourly',
        },
      ],
      firstDay: '2025-09-01',
      latestDay: LATEST,
      rows: { read: 10_482_113, understood: 10_482_110, ofSnapshots: snapshotCount * 30, broken: 3 },
      charges: [
        {
          currency: 'USD',
          inReport: cost * months + 12.5,
          explained: cost * months + 12,
          storage: cost * months,
          others: [{ what: hostile ?? 'EBS:SnapshotArchiveRetrieval', cost: 12 }],
        },
      ],
      isJoined: true,
    },
    prices: { source: 'built-in', asOf: '2026-11-01', note: 'List prices of each region; no negotiated rates.' },
    assumptions: {
      compression: 2,
      compressionIs: 'measured',
      measuredOn: { bucket: hostile ?? 'acme-backups', prefix: 'ebs/', archives: 57 },
      reading: 'direct',
      keepMonths: 24,
    },
    regions,
    trend: Array.from({ length: months }, (_, index) => {
      const share = 1 - (months - 1 - index) * 0.035 + (random() - 0.5) * 0.02;
      return {
        month: monthBefore(months - 1 - index),
        currency: 'USD',
        gib: gib * share,
        cost: cost * share,
        snapshotCount: Math.round(snapshotCount * share),
      };
    }),
    warnings: [
      { code: 'broken-rows', text: '3 rows of the report could not be read; they are not in these sums.' },
      {
        code: 'region-not-asked',
        text: hostile ?? 'EC2 did not answer in sa-east-1, so that names there are missing.',
      },
    ],
  };
}

function regionOf(
  { region, factor }: (typeof REGIONS)[number],
  count: number,
  wanted: Wanted,
  random: () => number,
): RegionAnalysis {
  const volumes = Array.from({ length: count }, (_, index) => volumeOf(factor, index, wanted, random)).sort(
    (a, b) => b.monthly - a.monthly,
  );
  return {
    region: `${region}${wanted.hostile?.at(-1) ?? ''}`,
    currency: 'USD',
    accounts: ['111122223333', '444455556666'],
    gib: sumOf(volumes, ({ gib }) => gib),
    monthly: sumOf(volumes, ({ monthly }) => monthly),
    isBilled: true,
    snapshotCount: sumOf(volumes, ({ snapshots }) => snapshots.length),
    volumes,
  };
}

function volumeOf(factor: number, place: number, wanted: Wanted, random: () => number): VolumeAnalysis {
  const { snapshots: most = 40 } = wanted;
  const hostile = wanted.hostile?.[place % wanted.hostile.length];
  const sizeGiB = [8, 20, 50, 100, 200, 500, 1000, 2000, 4000][Math.floor(random() ** 1.6 * 9)] ?? 8;
  const change = random() ** 3 * 60;
  const count = 1 + Math.floor(random() ** 2 * most);
  const name = `${pick(PLACES, random)}-${pick(ROLES, random)}-${1 + Math.floor(random() * 9)}`;
  const oldest = 30 + Math.floor(random() ** 2 * 2600);
  const snapshots = Array.from({ length: count }, (_, index) => {
    const gib = index === 0 ? sizeGiB * (0.3 + random() * 0.6) : (sizeGiB * change * (0.4 + random())) / 100;
    const age = Math.round((oldest * (count - index)) / count);
    return snapshotOf({ gib, age, index, sizeGiB, factor, text: hostile ?? `Nightly of ${name}` }, random);
  });
  const gib = sumOf(snapshots, (snapshot) => snapshot.gib);
  const isJudged = random() > 0.08;
  return {
    id: `vol-${hex(random)}`,
    sizeGiB,
    name: hostile ?? (random() > 0.15 ? name : null),
    isDeleted: random() < 0.3,
    gib,
    monthly: gib * SNAPSHOT_GB_MONTH * factor,
    averageChange: count === 1 ? null : change,
    change:
      count === 1
        ? { percent: 5, is: 'assumed', measuredOn: 0, days: null }
        : { percent: change, is: 'measured', measuredOn: count - 1, days: oldest / count },
    outlook:
      place % 3 === 0
        ? { months: 24, snapshots: 730, days: 1, ebs: gib * 0.1, full: gib * 0.3, incremental: gib * 0.002 }
        : null,
    measured: place % 2 === 0 ? { compression: 2.4137931, archives: 3 } : null,
    snapshots,
    decision: isJudged ? decisionOf(gib, count, factor, 'exact') : null,
  };
}

interface Made {
  gib: number;
  age: number;
  index: number;
  sizeGiB: number;
  factor: number;
  text: string;
}

function snapshotOf({ gib, age, index, sizeGiB, factor, text }: Made, random: () => number): SnapshotAnalysis {
  return {
    id: `snap-${hex(random)}`,
    account: '111122223333',
    startedAt: new Date(Date.parse(LATEST) - age * DAY).toISOString(),
    description: random() < 0.8 ? text : null,
    tier: random() < 0.03 ? 'archive' : 'standard',
    gib,
    monthly: gib * SNAPSHOT_GB_MONTH * factor,
    share: index === 0 ? null : (gib / sizeGiB) * 100,
    fullGiB: sizeGiB * 0.7,
    images: random() < 0.04 ? [`ami-${hex(random)}`] : [],
    decision: decisionOf(gib, 1, factor, 'upper-bound'),
  };
}

/** Returns numbers of a realistic size for the page. They do not come from the cost model of the program. */
function decisionOf(gib: number, count: number, factor: number, savingIs: Choice['savingIs']): Decision {
  const monthly = gib * SNAPSHOT_GB_MONTH * factor;
  const kept = choice(
    { what: 'keep', storedGiB: gib, monthly, restore: { cost: 0, takes: 'at once' } },
    monthly,
    savingIs,
  );
  const others = [
    choice(
      {
        what: 'ebs-archive',
        form: 'full',
        storedGiB: gib * 1.4,
        monthly: gib * 1.4 * 0.0125 * factor,
        oneOff: 0,
        minimumDays: 90,
      },
      monthly,
      'upper-bound',
    ),
    ...[
      { storageClass: 'STANDARD_IA', price: 0.0125, minimumDays: 30, takes: 'at once' },
      { storageClass: 'GLACIER_IR', price: 0.004, minimumDays: 90, takes: 'at once' },
      { storageClass: 'GLACIER', price: 0.0036, minimumDays: 90, takes: '3 to 5 hours' },
      { storageClass: 'DEEP_ARCHIVE', price: 0.00099, minimumDays: 180, takes: 'up to 12 hours' },
    ].map(({ storageClass, price, minimumDays, takes }) =>
      choice(
        {
          what: 's3',
          storageClass,
          form: count > 3 ? 'incremental' : 'full',
          storedGiB: gib / 2,
          monthly: (gib / 2) * price * factor,
          oneOff: gib * 0.009 * factor + count * 0.02,
          minimumDays,
          restore: { cost: gib * 0.01 * factor, takes },
        },
        monthly,
        savingIs,
      ),
    ),
  ].sort((a, b) => b.saving - a.saving);
  const choices = [kept, ...others];
  const best = monthly < 0.4 ? 0 : ([2, 0, 4, 1, 5, 3, 4][Math.floor(gib) % 7] ?? 0);
  const reason =
    best === 0
      ? 'It costs so little that moving it would not pay within the time it is kept.'
      : 'All of it moves, so that nothing of it stays billed as a snapshot; it pays for itself within months.';
  return { choices, best, reason };
}

function choice(given: Partial<Choice>, kept: number, savingIs: Choice['savingIs']): Choice {
  const { what = 's3', monthly = 0, oneOff = 0 } = given;
  const saving = what === 'keep' ? 0 : kept - monthly;
  return {
    what,
    storageClass: null,
    form: null,
    storedGiB: 0,
    monthly,
    oneOff,
    minimumDays: 0,
    restore: { cost: 0, takes: '24 to 72 hours' },
    saving,
    savingIs: what === 'keep' ? 'exact' : savingIs,
    breakEven: what === 'keep' || saving < 1e-4 ? null : dayAfter(LATEST, (oneOff / saving) * 30),
    ...given,
  };
}

const dayAfter = (day: string, days: number): string =>
  new Date(Date.parse(day) + Math.ceil(days) * DAY).toISOString().slice(0, 10);

const monthBefore = (months: number): string => new Date(Date.UTC(2026, 9 - months, 1)).toISOString().slice(0, 7);

const sumOf = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((total, item) => total + value(item), 0);

const pick = (from: readonly string[], random: () => number): string => from[Math.floor(random() * from.length)] ?? '';

const hex = (random: () => number): string =>
  Array.from({ length: 17 }, () => Math.floor(random() * 16).toString(16)).join('');

/** The linear congruential generator of Numerical Recipes. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
