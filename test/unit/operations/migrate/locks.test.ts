/** The dates of locks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectLock } from '../../../../src/cloud/object-lock.ts';
import {
  isLongEnough,
  lockOfArchive,
  lockOfChain,
  lockProblem,
  obstacleToJoining,
} from '../../../../src/operations/migrate/locks.ts';

const DAY = 86_400_000;
const FROM = new Date('2026-11-30T10:00:00.250Z');

const termsFor = (days: number, later = 0) =>
  ({ mode: 'GOVERNANCE', days, from: new Date(FROM.getTime() + later * DAY) }) as const;

const daysOf = ({ until }: ObjectLock) => (until.getTime() - FROM.getTime()) / DAY;

const rounded = (lock: ObjectLock) => Math.round(daysOf(lock));

test('the span in which points may join a chain is as long as the lock, within 30 and 365 days', () => {
  for (const [days, sum] of [
    [1, 31],
    [30, 60],
    [100, 200],
    [365, 730],
    [3650, 4015],
  ] as const)
    assert.equal(rounded(lockOfChain(termsFor(days))), sum);
});

test('no lock is longer than 100 years, and it is long enough for those who asked for them', () => {
  for (const lock of [lockOfChain(termsFor(36_500)), lockOfArchive(termsFor(36_500))]) {
    assert.equal(rounded(lock), 36_500);
    assert.ok(isLongEnough(lock, termsFor(36_500)));
    assert.ok(!isLongEnough(lock, termsFor(36_500, 1)));
  }
});

test('dates are whole seconds, and never earlier than was asked for', () => {
  const { until } = lockOfArchive(termsFor(5));
  assert.equal(until.getMilliseconds(), 0);
  assert.ok(daysOf({ mode: 'GOVERNANCE', until }) >= 12);
});

test('an interrupted archive can be resumed with its lock for a week, not longer', () => {
  const lock = lockOfArchive(termsFor(5));
  assert.ok(isLongEnough(lock, termsFor(5, 7)));
  assert.ok(!isLongEnough(lock, termsFor(5, 7.001)));
});

test('a point joins a chain with the same mode until the end of the span', () => {
  const chain = lockOfChain(termsFor(100));
  assert.equal(obstacleToJoining(chain, termsFor(100, 100)), null);
  assert.match(obstacleToJoining(chain, termsFor(100, 101)) ?? '', /ends .*, in less than 100 days/);
  assert.equal(obstacleToJoining(chain, termsFor(50, 150)), null);
  assert.match(obstacleToJoining({ ...chain, mode: 'COMPLIANCE' }, termsFor(1)) ?? '', /mode COMPLIANCE/);
  assert.match(obstacleToJoining(chain, null) ?? '', /no lock was asked for/);
  assert.match(obstacleToJoining(null, termsFor(1)) ?? '', /not locked/);
  assert.equal(obstacleToJoining(null, null), null);
});

test('an object is locked if its mode is not weaker and its date not earlier', () => {
  const until = new Date('2027-01-01T00:00:00Z');
  const lock = { mode: 'GOVERNANCE', until } as const;
  assert.equal(lockProblem({ lockMode: 'GOVERNANCE', lockedUntil: until }, lock), null);
  assert.equal(lockProblem({ lockMode: 'COMPLIANCE', lockedUntil: new Date(until.getTime() + 1) }, lock), null);
  assert.match(lockProblem({ lockMode: null, lockedUntil: null }, lock) ?? '', /does not report/);
  assert.match(lockProblem({ lockMode: 'GOVERNANCE', lockedUntil: new Date(0) }, lock) ?? '', /only until 1970/);
  const weaker = { lockMode: 'GOVERNANCE', lockedUntil: until } as const;
  assert.match(lockProblem(weaker, { mode: 'COMPLIANCE', until }) ?? '', /mode GOVERNANCE, not COMPLIANCE/);
});
