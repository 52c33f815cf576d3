/**
 * Checks whether a store honors conditions of writes and removals. Claims rely on them: if a store ignores a condition, two
 * runs can work on one snapshot. AWS documents that S3 honors them, so only other stores are tried.
 */
import { randomUUID } from 'node:crypto';
import { claimFolder } from '../../archive/claim.ts';
import type { ArchiveStore } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import { attempt, type Examination, type Finding, problem } from './findings.ts';

export async function* examineConditions({ services, settings, signal }: Examination): AsyncGenerator<Finding> {
  if (!settings.isOtherStore) return;
  const key = `${claimFolder(settings.prefix)}doctor-${randomUUID()}`;
  yield await attempt(
    CHECK,
    () => withProbe(key, services, () => findDefects(key, services.store, signal)),
    (defects) =>
      defects.length === 0
        ? 'honored in PUT and DELETE (a probe object was written and removed)'
        : problem(CHECK, `the store ${defects.join(', ')}: claims cannot keep two runs apart`, HINT),
  );
}

const CHECK = 'conditional requests';

const HINT =
  'use a store, or a version of it, that supports If-None-Match and If-Match in PUT and If-Match in DELETE; with this one, never run two commands on the same bucket and prefix at the same time';

/** Removes the probe object afterwards, without a condition: no other run knows its key. */
async function withProbe<T>(key: string, { store, examiner, host }: Services, use: () => Promise<T>): Promise<T> {
  const what = `the probe object s3://${store.bucket}/${key}`;
  const cleanupCommand = `aws s3 rm 's3://${store.bucket}/${key}'`;
  await using cleanup = new AsyncDisposableStack();
  cleanup.use({
    [Symbol.asyncDispose]: async () => {
      try {
        await examiner.removeObject(key, { signal: cleanupSignal() });
      } catch (cause) {
        throw cleanupError(what, cleanupCommand, cause);
      }
    },
  });
  using _held = host.hold({ what, cleanupCommand });
  return await use();
}

/** An ETag that no object has. */
const OTHER = '"00000000000000000000000000000000"';

/** @returns clauses about the store. */
async function findDefects(key: string, store: ArchiveStore, signal: AbortSignal): Promise<string[]> {
  const call = { signal };
  const put = (step: number, replaces: string | null) =>
    store.putSmall({ key, metadata: {}, tags: {} }, Buffer.from(`{"step":${step}}\n`), replaces, call);
  await put(1, null);
  const defects = (await isRefused(put(2, null))) ? [] : ['ignores If-None-Match in PUT'];
  if (!(await isRefused(put(3, OTHER)))) defects.push('ignores If-Match in PUT');
  const { etag } = await put(4, (await store.head(key, call))?.etag ?? OTHER);
  await store.removeIf(key, OTHER, call);
  if ((await store.head(key, call)) === null) return [...defects, 'ignores If-Match in DELETE'];
  await store.removeIf(key, etag, call);
  if ((await store.head(key, call)) !== null) defects.push('refuses DELETE with the right If-Match');
  return defects;
}

/** Whether the store refused the write because of its condition. */
async function isRefused(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return false;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ARCHIVE_EXISTS') return true;
    throw error;
  }
}
