/** Points in time are parsed strictly, and are UTC without an offset. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseKey } from '../../../src/archive/key.ts';
import { date } from '../../../src/cli/flag-values.ts';
import { parseInstant } from '../../../src/lib/instant.ts';

test('dates are UTC unless they have an offset, in any time zone, and invalid dates are refused', () => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'America/New_York';
  try {
    for (const text of ['2026-01-31T10:00', '2026-01-31 10:00:00+00', '2026-01-31T05:00-05:00', '2026-01-31T10:00Z'])
      assert.equal(date(text).toISOString(), '2026-01-31T10:00:00.000Z', text);
    assert.equal(date('2026-01-31').toISOString(), '2026-01-31T00:00:00.000Z');
    assert.equal(date('2024-02-29').toISOString(), '2024-02-29T00:00:00.000Z');
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
  for (const text of [
    '2026-02-30',
    '2026-02-29',
    '2026-13-01',
    '2026-01-31T24:00',
    '2026-01-31x',
    '2026',
    'today',
    '2026-1-3',
  ])
    assert.throws(() => date(text), /must be a date/, text);
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      (instant) => {
        assert.equal(parseInstant(instant.toISOString()), instant.getTime());
      },
    ),
  );
  assert.equal(parseKey('vol-01/2017-02-30T00:00:00+00:00 snap-01.tar.lz4'), null);
});
