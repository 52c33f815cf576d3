/** Thousands of objects are looked up in their order, a few at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { ObjectHead } from '../../../../src/cloud/ports.ts';
import { headsOf } from '../../../../src/operations/thaw/archived-objects.ts';

test('lookups in flight are limited, and their answers have the order of the keys', async () => {
  let [inFlight, most] = [0, 0];
  const head = async (key: string): Promise<ObjectHead | null> => {
    most = Math.max(most, ++inFlight);
    await setImmediate();
    inFlight--;
    return key.endsWith('7') ? null : ({ key } as ObjectHead);
  };
  const keys = Array.from({ length: 2000 }, (_, at) => `pack ${at}`);
  const heads = await headsOf(keys, { head }, new AbortController().signal);
  assert.deepEqual(
    heads.map((found) => found?.key ?? null),
    keys.map((key) => (key.endsWith('7') ? null : key)),
  );
  assert.ok(most <= 16, `${most} in flight`);
});

test('the first failure ends the lookups', async () => {
  let asked = 0;
  const head = async (): Promise<null> => {
    asked++;
    throw new Error('refused');
  };
  const keys = Array.from({ length: 2000 }, (_, at) => `pack ${at}`);
  await assert.rejects(headsOf(keys, { head }, new AbortController().signal), /refused/);
  assert.ok(asked <= 16, `${asked} asked`);
});
