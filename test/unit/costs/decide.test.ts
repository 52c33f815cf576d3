/** The best choice for snapshots, in small cases that can be checked by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Choice, Decision, SnapshotAnalysis } from '../../../src/costs/analysis.ts';
import { BUILT_IN } from '../../../src/costs/built-in-prices.ts';
import { decide } from '../../../src/costs/decide.ts';
import { analysisOf, near, snapshotsOf, volumeOf } from '../../support/costs/analyses.ts';

const TODAY = '2026-11-25';

const decided = (...volumes: Parameters<typeof analysisOf>[0]) =>
  decide(analysisOf(volumes), BUILT_IN, { today: TODAY }).regions[0]?.volumes ?? [];

const choiceOf = (
  decision: Decision | null | undefined,
  storageClass: string | null,
  scope?: Choice['scope'],
): Choice => {
  const found = decision?.choices.find(
    (choice) => choice.form === 'full' && choice.storageClass === storageClass && (!scope || choice.scope === scope),
  );
  assert.ok(found, `no choice of ${storageClass}`);
  return found;
};

const bestOf = (decision: Decision | null | undefined): Choice | undefined => decision?.choices[decision.best];

test('a single snapshot of a deleted volume: its whole cost is saved', () => {
  const [volume] = decided(volumeOf({ sizeGiB: 100, isDeleted: true, snapshots: snapshotsOf([100], [100]) }));
  const deep = bestOf(volume?.decision);
  assert.equal(deep?.storageClass, 'DEEP_ARCHIVE');
  assert.equal(deep?.savingIs, 'exact');
  near(deep?.storedGiB, 50);
  near(deep?.saving, 5 - 50 * 0.00099, 1e-4);
  near(deep?.oneOff, 0.6144 + 6400 * 0.000005 + 0.00015, 1e-3);
  assert.equal(deep?.minimumDays, 180);
  assert.equal(deep?.breakEven, '2026-11-29');
  const tier = choiceOf(volume?.decision, null);
  near(tier.saving, 5 - 1.25);
  near(tier.restore.cost, 3);
  assert.equal(tier.restore.takes, 'up to 72 hours');
});

test('reading from volumes costs their hours; everything else is the same', () => {
  const analysis = analysisOf([volumeOf({ sizeGiB: 200, isDeleted: true, snapshots: snapshotsOf([100], [100]) })]);
  const assumptions = { ...analysis.assumptions, reading: { volumeType: 'gp2' } };
  const oneOff = (given: typeof analysis) =>
    bestOf(decide(given, BUILT_IN, { today: TODAY }).regions[0]?.volumes[0]?.decision)?.oneOff ?? 0;
  // 100 GiB are read at 3.5 MiB/s from a volume of 200 GiB.
  const hours = (100 * 1024) / 3.5 / 3600;
  near(oneOff({ ...analysis, assumptions }) - (200 * 0.1 * hours) / 730, oneOff(analysis) - 0.6144, 1e-4);
});

test('a snapshot of 500 GiB with 2 GiB of its own is kept, in any class', () => {
  const snapshots = snapshotsOf([500, 2, 2], [500, 500, 500]);
  const [volume] = decided(volumeOf({ sizeGiB: 500, snapshots }));
  const middle = volume?.snapshots[1]?.decision;
  assert.equal(middle?.best, 0);
  assert.ok(choiceOf(middle, 'STANDARD').saving < 0);
  const deep = choiceOf(middle, 'DEEP_ARCHIVE');
  assert.ok(deep.saving < 0, 'deep archive of 250 GiB costs more than 2 GiB of snapshots');
  assert.equal(deep.breakEven, null);
});

test('a volume that hardly changes is kept, with the reason', () => {
  const sizes = [
    [500, 2, 2, 2],
    [500, 500, 500, 500],
  ] as const;
  const [old] = decided(volumeOf({ sizeGiB: 500, snapshots: snapshotsOf([100, 1, 1], [100, 100, 100]) }));
  assert.equal(bestOf(old?.decision)?.scope, 'all', 'nothing is added to it: all of it can go');
  const [live] = decided(volumeOf({ sizeGiB: 500, snapshots: snapshotsOf(...sizes, '2026-11-20') }));
  assert.equal(bestOf(live?.decision)?.what, 'keep');
  assert.match(live?.decision?.reason ?? '', /only moving all of them together would save/);
  assert.match(
    live?.snapshots[1]?.decision?.reason ?? '',
    /costs more than the blocks for which only this snapshot is billed/,
  );
});

test('the example of version 0: the snapshots with many changes are moved', () => {
  const gib = [448.7, 261.7, 301.5, 275.4, 250.5, 279.3, 320.6, 218.1, 90.8, 85.2, 89.4, 93.2, 92.6, 82.8, 87.1, 39.5];
  const snapshots = snapshotsOf(
    gib,
    gib.map(() => 450),
    '2017-05-25',
  );
  const [volume] =
    decide(analysisOf([volumeOf({ sizeGiB: 500, snapshots })]), BUILT_IN, { today: '2017-05-26' }).regions[0]
      ?.volumes ?? [];
  const best = bestOf(volume?.decision);
  assert.deepEqual([best?.storageClass, best?.scope, best?.savingIs], ['DEEP_ARCHIVE', 'all-but-latest', 'exact']);
  // The latest snapshot stays, and is then billed in full; 15 archives of 450 GiB are stored, compressed 2:1.
  near(best?.saving, (3016.4 - 450) * 0.05 - 15 * 225 * 0.00099, 1e-3);
});

test('deleting the oldest snapshot leaves the blocks that the next one refers to', () => {
  // The second snapshot replaced 30 of the 100 GiB, so the other 70 are passed on to it.
  const [volume] = decided(volumeOf({ sizeGiB: 100, snapshots: snapshotsOf([100, 30], [100, 100]) }));
  const first = choiceOf(volume?.snapshots[0]?.decision, 'DEEP_ARCHIVE');
  assert.equal(first.savingIs, 'exact');
  near(first.saving, 30 * 0.05 - 50 * 0.00099, 1e-4);
  const butLatest = choiceOf(volume?.decision, 'DEEP_ARCHIVE', 'all-but-latest');
  near(butLatest.saving, 30 * 0.05 - 50 * 0.00099, 1e-4);
  const all = choiceOf(volume?.decision, 'DEEP_ARCHIVE', 'all');
  near(all.saving, 130 * 0.05 - 100 * 0.00099, 1e-4);
  const incremental = volume?.decision?.choices.find(
    ({ storageClass, form }) => storageClass === 'DEEP_ARCHIVE' && form === 'incremental',
  );
  assert.deepEqual([incremental?.scope, incremental?.storedGiB], ['all', 65]);
});

test('the saving of a snapshot in the middle is a bound', () => {
  const [volume] = decided(volumeOf({ sizeGiB: 100, snapshots: snapshotsOf([100, 60, 60], [100, 100, 100]) }));
  // At least 20 of the 100 GiB belong to no other snapshot: 60 + 60 - 100.
  const middle = choiceOf(volume?.snapshots[1]?.decision, 'DEEP_ARCHIVE');
  assert.equal(middle.savingIs, 'lower-bound');
  near(middle.saving, 20 * 0.05 - 50 * 0.00099, 1e-4);
  const standard = choiceOf(volume?.snapshots[1]?.decision, 'STANDARD');
  assert.equal(standard.savingIs, 'upper-bound');
  near(standard.saving, 60 * 0.05 - 50 * 0.023, 1e-4);
});

test('the latest snapshot of a volume with regular snapshots is kept, and the others are moved together', () => {
  const snapshots = snapshotsOf([100, 90, 90], [100, 100, 100], '2026-11-20');
  const [live] = decided(volumeOf({ sizeGiB: 100, snapshots }));
  assert.equal(live?.snapshots[2]?.decision?.best, 0);
  assert.match(live?.snapshots[2]?.decision?.reason ?? '', /if it is deleted, the next one is full/);
  assert.equal(bestOf(live?.decision)?.scope, 'all-but-latest');
  const [gone] = decided(volumeOf({ sizeGiB: 100, isDeleted: true, snapshots }));
  assert.equal(bestOf(gone?.decision)?.scope, 'all');
});

test('snapshots that images use, and archived ones, cannot be moved', () => {
  const [first, second] = snapshotsOf([10, 10], [10, 10]);
  assert.ok(first && second);
  const snapshots = [
    { ...first, images: ['ami-1'] },
    { ...second, tier: 'archive' as const },
  ];
  const [volume] = decided(volumeOf({ sizeGiB: 10, snapshots }));
  const [ofImage, ofArchive] = volume?.snapshots ?? [];
  assert.equal(ofImage?.decision?.choices.length, 1);
  assert.match(ofImage?.decision?.reason ?? '', /it is used by image ami-1$/);
  assert.match(ofArchive?.decision?.reason ?? '', /already in the EBS archive tier/);
  assert.match(volume?.decision?.reason ?? '', /none of its snapshots can be moved/);
});

test('without EC2, savings are upper bounds and nothing is recommended', () => {
  const snapshots = snapshotsOf([100, 30], [null, null]);
  const [volume] = decided(volumeOf({ id: null, sizeGiB: null, snapshots }));
  assert.equal(bestOf(volume?.decision)?.what, 'keep');
  assert.equal(choiceOf(volume?.decision, 'DEEP_ARCHIVE').savingIs, 'upper-bound');
  assert.match(volume?.decision?.reason ?? '', /their size is unknown/);
});

test('a volume created from a snapshot makes the savings of its region uncertain', () => {
  const parent = volumeOf({ id: 'vol-00000001', isDeleted: true, sizeGiB: 100, snapshots: snapshotsOf([100], [100]) });
  const child = volumeOf({ id: 'vol-00000002', sizeGiB: 100, snapshots: snapshotsOf([10], [100]) });
  const result = decide(analysisOf([parent, child]), BUILT_IN, { today: TODAY });
  const deep = choiceOf(result.regions[0]?.volumes[0]?.decision, 'DEEP_ARCHIVE');
  assert.equal(deep.savingIs, 'lower-bound');
  near(deep.saving, 10 * 0.05 - 50 * 0.00099, 1e-4);
  assert.ok(result.warnings.some(({ code }) => code === 'shared-lineage'));
});

/** Thirty monthly snapshots of 100 GiB, of which a part changes. */
const monthlyOf = (change: number, latest?: string) =>
  snapshotsOf(
    [100, ...Array.from({ length: 29 }, () => 100 * change)],
    Array.from({ length: 30 }, () => 100),
    latest,
  );

test('at a low change rate, incremental archives are recommended, with the measured rate', () => {
  const [volume] = decided(volumeOf({ isDeleted: true, snapshots: monthlyOf(0.01) }));
  const best = bestOf(volume?.decision);
  assert.deepEqual(
    [best?.storageClass, best?.form, best?.scope, best?.savingIs],
    ['DEEP_ARCHIVE', 'incremental', 'all', 'exact'],
  );
  // Bases at 0, 13 and 26 months, because a base is used for 12 months; 27 points with 1 GiB.
  near(best?.storedGiB, (3 * 100 + 27) / 2);
  assert.deepEqual(best?.chain, { bases: 3, packs: 3 * 400 + 27 * 4, mostThawedGiB: 56 });
  near(best?.saving, 129 * 0.05 - ((300 + 27) / 2) * 0.00099, 2e-3);
  near(best?.oneOff, 327 * 2.048 * 0.003 + (327 / 2) * 128 * 0.000005 + 1.308 * 0.05, 1e-2);
  assert.equal(
    volume?.decision?.reason,
    'S3 DEEP_ARCHIVE saves the most over 12 months; archives are incremental: 1% of the data changes between snapshots (measured on 29 snapshots)',
  );
  assert.deepEqual(volume?.change, { percent: 1, is: 'measured', measuredOn: 29, days: 30 });
  assert.equal(volume?.outlook, null, 'the volume is deleted');
  const single = volume?.snapshots[3]?.decision?.choices ?? [];
  assert.ok(
    single.every(({ form }) => form !== 'incremental'),
    'one snapshot alone needs no incremental archive',
  );
});

test('all but the latest snapshot can be incremental archives, too', () => {
  const [volume] = decided(volumeOf({ snapshots: monthlyOf(0.05, '2026-11-20') }));
  const best = bestOf(volume?.decision);
  assert.deepEqual([best?.form, best?.scope], ['incremental', 'all-but-latest']);
  near(best?.storedGiB, (3 * 100 + 26 * 5) / 2);
  const { ebs = 0, full = 0, incremental = 0, ...outlook } = volume?.outlook ?? {};
  assert.deepEqual(outlook, { months: 12, snapshots: 12, days: 30 });
  near(ebs, (100 + 11 * 5) * 0.05);
  near(full, 12 * 50 * 0.00099, 1e-3);
  near(incremental, ((100 + 11 * 5) / 2) * 0.00099, 1e-3);
});

test('at a high change rate, full archives are recommended, because incremental ones save hardly more', () => {
  const [volume] = decided(volumeOf({ isDeleted: true, snapshots: monthlyOf(0.5) }));
  const best = bestOf(volume?.decision);
  assert.deepEqual([best?.storageClass, best?.form], ['DEEP_ARCHIVE', 'full']);
  assert.match(
    volume?.decision?.reason ?? '',
    /would not save 5% more: 50% of the data changes between snapshots \(measured on 29/,
  );
  const choices = volume?.decision?.choices ?? [];
  assert.equal(choices[1]?.form, 'incremental', 'they are still shown as what saves the most');
});

test('if snapshots hardly change and the latest one stays, nothing is moved, with the measured rate', () => {
  const [volume] = decided(
    volumeOf({
      sizeGiB: 100,
      snapshots: snapshotsOf([100, 0.1, 0.1], [100, 100, 100], '2026-11-20').map((one, at) =>
        at === 2 ? { ...one, images: ['ami-1'] } : one,
      ),
    }),
  );
  assert.equal(bestOf(volume?.decision)?.what, 'keep');
  assert.match(
    volume?.decision?.reason ?? '',
    /^neither full nor incremental archives save more than moving .* costs: 0\.1% of the data changes between snapshots \(measured on 2/,
  );
});

test('a volume whose change cannot be measured has an assumed one, and says so', () => {
  const lone = volumeOf({ sizeGiB: 100, snapshots: snapshotsOf([80], [80], '2026-11-20') });
  const [volume] = decided(lone);
  assert.deepEqual(volume?.change, { percent: 5, is: 'assumed', measuredOn: 0, days: null });
  // Daily snapshots are assumed, too.
  const { snapshots, days, ebs } = volume?.outlook ?? {};
  assert.deepEqual([snapshots, days], [365, 1]);
  near(ebs, (80 + 364 * 4) * 0.05);
  const analysis = analysisOf([lone]);
  const given = decide(
    { ...analysis, assumptions: { ...analysis.assumptions, change: { percent: 2, is: 'given' } } },
    BUILT_IN,
    { today: TODAY },
  ).regions[0]?.volumes[0];
  assert.deepEqual([given?.change?.percent, given?.change?.is], [2, 'given']);
  near(given?.outlook?.ebs, (80 + 364 * 1.6) * 0.05);
  const unrelated = [
    volumeOf({ id: null, snapshots: monthlyOf(0.5) }),
    volumeOf({ id: 'vol-ffffffff', snapshots: monthlyOf(0.5) }),
    volumeOf({
      snapshots: monthlyOf(0.5).map((one, at) => ({
        ...one,
        tier: at === 0 ? ('standard' as const) : ('archive' as const),
      })),
    }),
  ];
  for (const found of unrelated.map((one) => decided(one)[0])) {
    assert.equal(found?.change?.is, 'assumed');
    assert.ok(found?.decision?.choices.every(({ form }) => form !== 'incremental'));
  }
});

test('a bill in another currency scales the prices; an unknown region is reported', () => {
  const analysis = analysisOf([volumeOf({ isDeleted: true, snapshots: snapshotsOf([100], [100]) })]);
  const [region] = analysis.regions;
  assert.ok(region);
  const yuan = { ...region, region: 'cn-north-1', currency: 'CNY' };
  const result = decide({ ...analysis, regions: [yuan] }, BUILT_IN, { today: TODAY });
  assert.deepEqual(
    result.warnings.map(({ code }) => code),
    ['prices-estimated', 'currency-scaled'],
  );
  assert.match(result.warnings[0]?.text ?? '', /cn-north-1 are not known; those of us-east-1/);
});

test('a bill in another currency never uses dollar prices: archived snapshots convert them, or there are no choices', () => {
  const archived = (monthly: number) =>
    snapshotsOf([100], [100]).map((snapshot) => ({ ...snapshot, tier: 'archive' as const, monthly }));
  const decided = (snapshots: SnapshotAnalysis[]) => {
    const [region] = analysisOf([volumeOf({ isDeleted: true, snapshots })]).regions;
    assert.ok(region);
    const analysis = { ...analysisOf([]), regions: [{ ...region, currency: 'CNY' }] };
    return decide(analysis, BUILT_IN, { today: TODAY });
  };
  const scaled = decided(archived(8.75));
  assert.deepEqual(
    scaled.warnings.map(({ code, text }) => [code, /multiplied by (\S+),/.exec(text)?.[1]]),
    [['currency-scaled', '7.0000']],
  );
  for (const snapshots of [archived(0), snapshotsOf([100], [100]).map((one) => ({ ...one, monthly: 0 }))]) {
    const unknown = decided(snapshots);
    assert.deepEqual(
      unknown.warnings.map(({ code }) => code),
      ['currency-unknown'],
    );
    const [volume] = unknown.regions[0]?.volumes ?? [];
    assert.deepEqual([volume?.decision, volume?.snapshots[0]?.decision], [null, null]);
  }
});
