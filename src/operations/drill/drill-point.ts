/** Restores a point to a scratch file, and reads the file again to compare it block by block. */
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import type { DrillRow, PackDamage } from '../../events.ts';
import { monotonic } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { type NeededPack, neededPacks } from '../reading/point/needed-packs.ts';
import { openPoint } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { PointArchive } from '../restore/point/plan-point.ts';
import { restorePoint } from '../restore/point/restore-point.ts';
import type { OnPack } from '../restore/point/write-point.ts';
import { compareImageWithIndex } from './compare-restored.ts';
import {
  assertMatches,
  type Drilling,
  note,
  restoreSettings,
  scratchDirectory,
  withoutUnfinished,
} from './drill-archive.ts';
import { pointsNeeding } from './points-needing.ts';

/**
 * Reads the blocks that the point uses, from packs of every generation that it uses. Ends at the first damaged pack.
 * @param row is updated after each pack and each step, also if a later one fails.
 * @throws SnapError `DIFFERS` if a pack is damaged or the restored data differs; the errors of the restore.
 */
export async function drillPoint(archive: PointArchive, row: DrillRow, drilling: Drilling): Promise<void> {
  const { settings, services, base, signal } = drilling;
  const check: ReadContext = { ...services, signal, streams: settings.downloadStreams, sessionKey: null };
  await using scratch = scratchDirectory(base, services.host);
  const path = join(scratch.path, 'restored');
  const started = monotonic();
  const packs = new ReadPacks();
  try {
    await restoreInto(path, archive, packs, drilling);
  } catch (failure) {
    signal.throwIfAborted();
    throw await packs.explain(failure, archive, check);
  } finally {
    packs.noteIn(row);
    row.restoring += (monotonic() - started) / 1000;
  }
  const restored = monotonic();
  const opened = await openPoint(archive.point, check);
  row.keys = neededPacks(opened).map(({ pack }) => pack.key);
  const found = await compareImageWithIndex(path, opened.table, signal);
  note(row, archive.point, 'block-lists', found.differences.kept, found.differences.count);
  row.bytes += found.bytes;
  row.comparing += (monotonic() - restored) / 1000;
  assertMatches(row);
}

async function restoreInto(
  path: string,
  { snapshotId, ...archive }: PointArchive,
  packs: ReadPacks,
  { settings, services, signal }: Drilling,
): Promise<void> {
  const target = { kind: 'file', path } as const;
  const order = { ...restoreSettings(snapshotId, { partition: null }, settings), target };
  const restoring = { ...services, host: withoutUnfinished(services.host) };
  await restorePoint({ snapshotId, ...archive }, order, restoring, signal, packs.add);
}

/** The packs that the restore of a point has read. */
class ReadPacks {
  readonly #read: { needed: NeededPack; found: ObjectFindings; damage: PackDamage | null }[] = [];

  readonly add: OnPack = (needed, found) => {
    const [first] = found.differences;
    const damage = first ? { detail: first.detail, neededBy: [], unknown: [] } : null;
    this.#read.push({ needed, found, damage });
  };

  noteIn(row: DrillRow): void {
    const packs = this.#read.map(({ needed: { pack, list, positions }, found: { fetchedBytes }, damage }) => {
      const facts = { key: pack.key, generation: list.snapshot, blocks: positions.length };
      return { ...facts, fetchedBytes, damage };
    });
    row.packs = packs.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    row.fetchedBytes += packs.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
    for (const { found } of this.#read) {
      row.differenceCount += found.differenceCount;
      row.differences.push(...found.differences.slice(0, 1).map((first) => ({ object: found.key, ...first })));
    }
  }

  /** Finds the points that need the damaged packs. @returns the failure itself if no pack is damaged. */
  async explain(failure: unknown, { point }: PointArchive, check: ReadContext): Promise<unknown> {
    for (const read of this.#read)
      if (read.damage) read.damage = { ...read.damage, ...(await pointsNeeding(read.needed, point, check)) };
    const first = this.#read.find(({ damage }) => damage !== null);
    return first?.damage ? damagedPack(first.needed, first.damage, failure) : failure;
  }
}

/** Number of points that an error names; the report names all. */
const NAMED = 5;

function damagedPack({ pack, list }: NeededPack, damage: PackDamage, cause: unknown): SnapError {
  const { detail, neededBy, unknown } = damage;
  const others = neededBy.length > NAMED ? ` and ${neededBy.length - NAMED} more` : '';
  const points = `${neededBy.slice(0, NAMED).join(', ')}${others}`;
  const unclear = unknown === null ? 'the other points of the volume' : count(unknown.length, 'other point');
  const rest = unknown?.length === 0 ? '' : `; of ${unclear} that is unknown`;
  return new SnapError(
    'DIFFERS',
    `${pack.key}, which ${list.snapshot} stored, is damaged: ${detail}; it is needed by ${points}${rest}`,
    {
      hint: 'the drill of the archive ended here, and validate --archive-only reads its other packs; look for an earlier version of the pack in the bucket; while the snapshots exist, archive them again under another --prefix',
      cause,
    },
  );
}
