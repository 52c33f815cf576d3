/** Looks up what a point needs, without reading its packs. */
import { chainLock } from '../../../archive/points/point-manifest.ts';
import { SnapError } from '../../../errors.ts';
import { inParallel } from '../../../lib/parallel.ts';
import type { FoundPoint } from '../../reading/point/found-point.ts';
import { neededPacks } from '../../reading/point/needed-packs.ts';
import { isAsStored, type OpenPoint, openPoint } from '../../reading/point/open-point.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { lockProblem } from '../locks.ts';

/** Maximum number of packs that are looked up at the same time. */
const CONCURRENCY = 16;

/**
 * @returns a clause about the first pack that is missing or was replaced; `null` if there is none.
 * @throws the errors of the store.
 */
export async function missingPack(opened: OpenPoint, { store, signal }: ReadContext): Promise<string | null> {
  const found: string[] = [];
  await inParallel(neededPacks(opened), CONCURRENCY, signal, async ({ pack }, working) => {
    const head = await store.head(pack.key, { signal: working });
    if (!isAsStored(head, pack)) found.push(`${pack.key} is ${head ? 'not the object that was stored' : 'missing'}`);
  });
  return found.sort()[0] ?? null;
}

/**
 * Looks up the locks of the packs and block lists that the point needs.
 * @returns a clause about the first object that is not locked as its chain is; `null` if there is none.
 */
export async function unlockedIn(opened: OpenPoint, { store, signal }: ReadContext): Promise<string | null> {
  const { chain, generations } = opened.point.content.point;
  const lock = chainLock(chain);
  if (lock === null) return null;
  const keys = [...neededPacks(opened).map(({ pack }) => pack.key), ...generations.map(({ blocks }) => blocks.key)];
  const found: string[] = [];
  await inParallel(keys, CONCURRENCY, signal, async (key, working) => {
    const head = await store.head(key, { signal: working });
    const problem = head ? lockProblem(head, lock) : 'it is missing';
    if (problem !== null) found.push(`${key} should be locked as its chain is, and ${problem}`);
  });
  return found.sort()[0] ?? null;
}

/**
 * @returns a clause about an object that is missing, damaged or was replaced; `null` if there is none; `unknown` if the
 *   map and the block lists cannot be decrypted here.
 * @throws SnapError the errors of the store.
 */
export async function missingIn(point: FoundPoint, context: ReadContext): Promise<string | 'unknown' | null> {
  try {
    return await missingPack(await openPoint(point, context), context);
  } catch (error) {
    if (!(error instanceof SnapError)) throw error;
    if (error.code === 'GPG_KEY') return 'unknown';
    if (error.code === 'DIFFERS') return error.message;
    throw error;
  }
}
