/** Objects that Object Lock protects, which are never removed: the versions would remain, be billed, and not be found. */
import type { ListedObject } from '../../cloud/ports.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { ExpiryContext } from './expiry-context.ts';

/** Maximum number of objects that are looked up at the same time. */
const CONCURRENCY = 16;

/** @returns until when the last of these objects is locked; `null` if none is. */
export async function lockedUntil(
  objects: readonly ListedObject[],
  { services, signal, clock }: ExpiryContext,
): Promise<Date | null> {
  let latest: Date | null = null;
  await inParallel(objects, CONCURRENCY, signal, async ({ key }, working) => {
    const until = (await services.store.head(key, { signal: working }))?.lockedUntil ?? null;
    if (until !== null && until > clock() && (latest === null || until > latest)) latest = until;
  });
  return latest;
}
