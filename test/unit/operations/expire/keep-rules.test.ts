import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DatedArchive, reasonsToKeep } from '../../../../src/operations/expire/keep-rules.ts';
import type { KeepRules } from '../../../../src/operations/shared/settings/expire.ts';

const NONE: KeepRules = {
  last: 0,
  periods: { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 },
  within: null,
  tags: [],
};

const archive = (startTime: string, tags: Record<string, string> = {}): DatedArchive => ({
  id: startTime,
  startTime: new Date(startTime),
  hasTag: ({ key, value }) => Object.hasOwn(tags, key) && (value === null || tags[key] === value),
});

const kept = (times: readonly (string | DatedArchive)[], rules: Partial<KeepRules>) =>
  Object.fromEntries(
    reasonsToKeep(
      times.map((time) => (typeof time === 'string' ? archive(time) : time)),
      { ...NONE, ...rules },
    ),
  );

const periods = (some: Partial<KeepRules['periods']>) => ({ periods: { ...NONE.periods, ...some } });

const LATEST = 'the latest of its volume';

test('the last archives are kept, each with its number', () => {
  const times = ['2026-01-01T00:00Z', '2026-01-03T00:00Z', '2026-01-02T00:00Z'];
  assert.deepEqual(kept(times, { last: 2 }), {
    '2026-01-03T00:00Z': [LATEST, 'last (1 of 2)'],
    '2026-01-02T00:00Z': ['last (2 of 2)'],
  });
});

test('the latest archive of each period is kept, and only periods that have one count', () => {
  const times = ['2026-03-31T23:59Z', '2026-03-31T01:00Z', '2026-01-15T00:00Z', '2025-12-01T00:00Z'];
  assert.deepEqual(kept(times, periods({ daily: 2, monthly: 3, yearly: 1 })), {
    '2026-03-31T23:59Z': [LATEST, 'daily 2026-03-31 (1 of 2)', 'monthly 2026-03 (1 of 3)', 'yearly 2026 (1 of 1)'],
    '2026-01-15T00:00Z': ['daily 2026-01-15 (2 of 2)', 'monthly 2026-01 (2 of 3)'],
    '2025-12-01T00:00Z': ['monthly 2025-12 (3 of 3)'],
  });
});

test('weeks begin on Mondays, and belong to the year of their Thursday', () => {
  const weekOf = (time: string) => kept([time], periods({ weekly: 1 }))[time]?.[1]?.split(' ')[1];
  for (const [time, week] of [
    ['2026-11-29T23:59:59Z', '2026-W48'],
    ['2026-11-30T00:00:00Z', '2026-W49'],
    ['2027-01-01T00:00:00Z', '2026-W53'],
    ['2027-01-04T00:00:00Z', '2027-W01'],
    ['2024-12-30T12:00:00Z', '2025-W01'],
    ['2021-01-03T12:00:00Z', '2020-W53'],
    ['1969-12-29T12:00:00Z', '1970-W01'],
  ] as const)
    assert.equal(weekOf(time), week, time);
});

test('the time within which archives are kept ends at the latest archive, not now', () => {
  const times = ['2019-01-31T00:00:00Z', '2019-01-01T00:00:00Z', '2018-12-31T23:59:59Z'];
  assert.deepEqual(kept(times, { within: 30 * 86_400 }), {
    '2019-01-31T00:00:00Z': [LATEST, 'within 30d of the latest'],
    '2019-01-01T00:00:00Z': ['within 30d of the latest'],
  });
});

test('archives are kept by a tag with any value or with one value', () => {
  const times = [
    archive('2026-01-04T00:00Z'),
    archive('2026-01-03T00:00Z', { Keep: 'no' }),
    archive('2026-01-02T00:00Z', { Keep: 'yes' }),
  ];
  assert.deepEqual(Object.keys(kept(times, { tags: [{ key: 'Keep', value: null }] })).length, 3);
  assert.deepEqual(kept(times, { tags: [{ key: 'Keep', value: 'yes' }] }), {
    '2026-01-04T00:00Z': [LATEST],
    '2026-01-02T00:00Z': ['tag Keep=yes'],
  });
});

const START = Date.parse('2026-01-01T00:00:00Z');

test('property: rules only add; their order of archives does not matter; each period keeps at most one more', () => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 400 * 24 }), { maxLength: 60 });
  const count = fc.integer({ min: 0, max: 5 });
  fc.assert(
    fc.property(times, count, count, count, (hours, last, daily, monthly) => {
      const names = hours.map((hour) => new Date(START + hour * 3_600_000).toISOString());
      const rules = { last, ...periods({ daily, monthly }) };
      const all = kept(names, rules);
      assert.deepEqual(kept(names.toReversed(), rules), all);
      for (const part of [{ last }, periods({ daily }), periods({ monthly })])
        for (const id of Object.keys(kept(names, part))) assert.ok(id in all, id);
      const many = Object.keys(all).length;
      assert.ok(many <= Math.max(1, last + daily + monthly));
      assert.ok(many >= Math.min(names.length, Math.max(1, last)));
      const days = new Set(names.map((name) => name.slice(0, 10)));
      const ofDays = Object.values(all).filter((reasons) => reasons.some((reason) => reason.startsWith('daily')));
      assert.equal(ofDays.length, Math.min(daily, days.size));
    }),
  );
});
