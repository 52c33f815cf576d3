/** Manifests of earlier versions record only a time, and nothing counts as read that the manifest does not say was read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isValidationOrNothing,
  type PointValidation,
  validationOf,
} from '../../../../src/archive/points/point-validation.ts';

const AT = '2026-01-01T00:00:00.000Z';

test('an earlier manifest says when a point was compared, but not that its packs were read', () => {
  assert.equal(validationOf({ validatedAt: null }), null);
  assert.deepEqual(validationOf({ validatedAt: AT }), { at: AT, packs: 'not-read' });
});

test('only the word for it counts as read', () => {
  assert.deepEqual(validationOf({ validatedAt: AT, validation: { at: AT, packs: 'read' } }), { at: AT, packs: 'read' });
  const later = { at: AT, packs: 'sampled' } as unknown as PointValidation;
  assert.deepEqual(validationOf({ validatedAt: AT, validation: later }), { at: AT, packs: 'not-read' });
});

test('a damaged record is refused', () => {
  for (const value of [undefined, { at: AT, packs: 'read' }])
    assert.ok(isValidationOrNothing(value as PointValidation));
  for (const value of [null, 'read', {}, { at: 1 }])
    assert.ok(!isValidationOrNothing(value as unknown as PointValidation));
});
