/** Retries depend on the error and name it, and throttling lowers the block rate. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ObservedRetryStrategy, type Retry } from '../../../../src/cloud/aws/retries.ts';
import { BlockRateLimiter } from '../../../../src/transfer/rate-limiter.ts';

/** The type of errors in the SDK's retry strategies. */
type NamedError = Error & { cause?: Error };

/** @returns the retries that are reported until the strategy gives up. */
async function attemptsAfter(
  error: NamedError,
  errorType: 'TRANSIENT' | 'CLIENT_ERROR',
  most: number,
): Promise<Retry[]> {
  const told: Retry[] = [];
  const strategy = new ObservedRetryStrategy((retry) => told.push(retry));
  let token = await strategy.acquireInitialRetryToken('');
  try {
    while (told.length < most) token = await strategy.refreshRetryTokenForRetry(token, { error, errorType });
  } catch {}
  return told;
}

const errorWith = (facts: Record<string, string>): NamedError =>
  Object.assign(new Error('getaddrinfo failed'), facts) as NamedError;

test('errors are reported by an informative name', async () => {
  for (const [facts, name] of [
    [{ code: 'ENOTFOUND' }, 'ENOTFOUND'],
    [{ code: 'ECONNRESET', name: 'TimeoutError' }, 'ECONNRESET'],
    [{}, 'getaddrinfo failed'],
    [{ name: 'SlowDown' }, 'SlowDown'],
    [
      { name: 'RequestThrottledException', Reason: 'ACCOUNT_THROTTLED' },
      'RequestThrottledException (ACCOUNT_THROTTLED)',
    ],
  ] as const) {
    const [told] = await attemptsAfter(errorWith(facts), 'TRANSIENT', 1);
    assert.equal(told?.because, name);
  }
});

test('requests damaged in transit are repeated a few times, and other refusals are final', async () => {
  const damaged = [{ name: 'XAmzContentSHA256Mismatch' }, { name: 'ValidationException', Reason: 'INVALID_BLOCK' }];
  const counts = await Promise.all(damaged.map((facts) => attemptsAfter(errorWith(facts), 'CLIENT_ERROR', 20)));
  assert.deepEqual(
    counts.map(({ length }) => length),
    [4, 4],
  );
  const refused = errorWith({ name: 'ValidationException', Reason: 'INVALID_PARAMETER_VALUE' });
  assert.deepEqual(await attemptsAfter(refused, 'CLIENT_ERROR', 20), []);
});

test('a missing object is not asked for again because the clock of this machine is wrong', async () => {
  for (const httpStatusCode of [404, 412]) {
    const facts = { $metadata: { httpStatusCode, clockSkewCorrected: true } };
    const error = Object.assign(errorWith({ name: 'NotFound' }), facts, { $fault: 'client' });
    assert.deepEqual(await attemptsAfter(error, 'TRANSIENT', 20), []);
    const stalled = Object.assign(errorWith({ name: 'TimeoutError' }), facts);
    assert.notDeepEqual(await attemptsAfter(stalled, 'TRANSIENT', 1), []);
  }
});

test('a refusal never raises the rate, however small it is', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 2000, noNaN: true }), (most) => {
      const rate = new BlockRateLimiter(most).reportThrottling('snap-1', 'account');
      assert.ok(rate !== null && rate > 0 && rate < most, `${rate}`);
    }),
  );
});
