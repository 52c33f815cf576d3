/** Objects that Object Lock protects, which are never removed: the versions would remain, be billed, and not be found. */
import type { ListedObject } from '../../cloud/ports.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { ExpiryContext } from './expiry-context.ts';

/** Maximum number of objects that are looked up at the same time. */
const CONCURRENCY = 16;

/**
 * S3 reports locks only to callers with `s3:GetObjectRetention`, so the lock in the manifest counts, too.
 * @returns until when the last of these objects is locked; `null` if none is.
 */
export async function lockedUntil(
  recorded: Date | null,
  objects: readonly ListedObject[],
  { services, signal, clock }: ExpiryContext,
): Promise<Date | null> {
  if (objects.length === 0) return null;
  let latest = recorded !== null && recorded > clock() ? recorded : null;
  await inParallel(objects, CONCURRENCY, signal, async ({ key }, working) => {
    const until = (await services.store.head(key, { signal: working }))?.lockedUntil ?? null;
    if (until !== null && until > clock() && (latest === null || until > latest)) latest = until;
  });
  return latest;
}
