/** Verifies the packs that a point needs, without the snapshot. */
import { SnapError } from '../../errors.ts';
import { monotonic } from '../../lib/clock.ts';
import { inParallel } from '../../lib/parallel.ts';
import { count } from '../../lib/units.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { type NeededPack, neededPacks } from '../reading/point/needed-packs.ts';
import type { OpenPoint } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { notifyCheck } from './check-archive.ts';
import { PACKS_READ, readPack } from './examine-packs.ts';

/**
 * Reads every pack that the point needs as a whole, and compares each block with its SHA-256 in the block list. Reports all
 * findings as one event.
 * @throws SnapError `DIFFERS` if a pack is damaged, missing or was replaced; the errors of `verifyObject`.
 */
export async function checkPacks(opened: OpenPoint, services: ReadContext): Promise<void> {
  const started = monotonic();
  const { point, table } = opened;
  const packs = neededPacks(opened);
  const checks: ObjectFindings[] = [];
  await inParallel([...packs.entries()], PACKS_READ, services.signal, async ([at, needed], signal) => {
    checks[at] = await readPack(opened, needed, { ...services, signal });
  });
  const seconds = (monotonic() - started) / 1000;
  const { id } = point.content.snapshot;
  const read = { read: packs.length, readBefore: 0, unread: 0 };
  const found = notifyCheck(id, 'archive-only', { checks, missing: [], notKept: [], packs: read }, seconds, services);
  if (found === 0) return;
  const damaged = packs.filter((_needed, at) => (checks[at]?.differenceCount ?? 0) > 0);
  throw damagedPacks(id, damaged, table.blockBytes);
}

function damagedPacks(id: string, damaged: readonly NeededPack[], blockBytes: number): SnapError {
  const [first] = damaged;
  const others = damaged.length > 1 ? ` (and ${count(damaged.length - 1, 'more pack')})` : '';
  const bytes = damaged.reduce((sum, { positions }) => sum + positions.length, 0) * blockBytes;
  return new SnapError(
    'DIFFERS',
    `${first?.pack.key}${others}, which ${first?.list.snapshot} stored and ${id} needs, is damaged, missing or replaced`,
    {
      hint: `${bytes} bytes of ${id} are affected; look for an earlier version of the pack in the bucket; points that do not need it are intact; while the snapshot exists, archive it again under another --prefix`,
    },
  );
}
