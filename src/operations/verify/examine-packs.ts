/**
 * Examines the packs that a point needs: looks up all of them, and reads those that no validation has read yet. A pack is read
 * by the validation of the point that stored it, so that the validation of each point of a chain reads only what is new.
 */
import { manifestKey, parseGenerationKey } from '../../archive/key.ts';
import type { GenerationNote } from '../../archive/points/point-manifest.ts';
import { validationOf } from '../../archive/points/point-validation.ts';
import type { ObjectHead } from '../../cloud/ports.ts';
import type { PackCounts } from '../../events.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { inParallel } from '../../lib/parallel.ts';
import { readManifest } from '../reading/find-archive.ts';
import { NOTHING_READ, type ObjectFindings } from '../reading/object/object-findings.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import { type NeededPack, neededPacks } from '../reading/point/needed-packs.ts';
import type { OpenPoint } from '../reading/point/open-point.ts';
import { packAsObject, tableOfPack } from '../reading/point/pack-stream.ts';
import type { ReadContext } from '../reading/read-context.ts';

export interface ExaminedPacks {
  /** The findings about each pack, in the order of `neededPacks`. */
  checks: ObjectFindings[];
  counts: PackCounts;
}

/** @throws SnapError the reason why packs cannot be looked up or read. */
export async function examinePacks(opened: OpenPoint, services: ReadContext): Promise<ExaminedPacks> {
  const packs = neededPacks(opened);
  const found = await lookUp(packs, opened.table.blockBytes, services);
  const checks = found.map(({ findings }) => findings);
  const proved = await provedGenerations(opened, services);
  const wanted = [...packs.entries()].filter(([, { list }]) => !proved.has(list.snapshot));
  const readBefore = packs.length - wanted.length;
  if (wanted.some(([at]) => found[at]?.isFrozen))
    return { checks, counts: { read: 0, readBefore, unread: wanted.length } };
  const present = wanted.filter(([at]) => checks[at]?.differenceCount === 0);
  await inParallel(present, PACKS_READ, services.signal, async ([at, needed], signal) => {
    checks[at] = await readPack(opened, needed, { ...services, signal });
  });
  return { checks, counts: { read: wanted.length, readBefore, unread: 0 } };
}

/** Maximum number of packs that are read at the same time. */
export const PACKS_READ = 2;

/** Reads a pack as a whole, and compares each of its blocks with its SHA-256 in the block list. */
export const readPack = (
  { point }: Pick<OpenPoint, 'point'>,
  needed: NeededPack,
  services: ReadContext,
): Promise<ObjectFindings> => {
  const reference = { kind: 'blocks', table: tableOfPack(needed) } as const;
  return verifyObject(packAsObject(needed, point), needed.list.snapshot, reference, services);
};

interface LookedUp {
  findings: ObjectFindings;
  /** Whether the pack must be thawed before it can be read. */
  isFrozen: boolean;
}

/** Maximum number of objects that are looked up at the same time. */
const LOOKUPS = 16;

async function lookUp(
  packs: readonly NeededPack[],
  blockBytes: number,
  { store, signal }: ReadContext,
): Promise<LookedUp[]> {
  const found: LookedUp[] = [];
  await inParallel([...packs.entries()], LOOKUPS, signal, async ([at, needed], working) => {
    const head = await store.head(needed.pack.key, { signal: working });
    const problem = problemOf(needed, head);
    const detail = `${needed.pack.key}, which ${needed.list.snapshot} stored, ${problem}`;
    const differences = problem === null ? [] : [{ kind: 'stored-bytes' as const, path: '', detail }];
    const facts = { key: needed.pack.key, plainBytes: needed.positions.length * blockBytes, seconds: 0 };
    found[at] = {
      findings: { ...NOTHING_READ, ...facts, differences, differenceCount: differences.length },
      isFrozen: head?.restore === 'needed' || head?.restore === 'ongoing',
    };
  });
  return found;
}

/** @returns a clause; `null` if the bucket has the pack that was stored. */
function problemOf({ pack }: NeededPack, head: ObjectHead | null): string | null {
  if (head === null) return 'is not in the bucket';
  const isSameBody = head.etag === pack.etag || (pack.crc32 !== null && head.crc32 === pack.crc32);
  return head.bytes === pack.bytes && isSameBody ? null : 'is not the object that was stored';
}

/** @returns the snapshots of other generations whose packs were read. None if a difference of this point is to be cleared up. */
async function provedGenerations({ point }: OpenPoint, context: ReadContext): Promise<Set<string>> {
  const { snapshot, differedAt, point: facts } = point.content;
  const proved = new Set<string>();
  if (differedAt !== undefined) return proved;
  const others = facts.generations.filter((note) => note.snapshot !== snapshot.id);
  await inParallel(others, LOOKUPS, context.signal, async (note, signal) => {
    const isProved = await isReadByItsPoint(note, { ...context, signal }).catch((thrown) => {
      failureOfOne(thrown);
      return false;
    });
    if (isProved) proved.add(note.snapshot);
  });
  return proved;
}

async function isReadByItsPoint(
  { snapshot, blocks }: GenerationNote,
  { store, signal }: ReadContext,
): Promise<boolean> {
  const name = parseGenerationKey(blocks.key);
  if (!name) return false;
  const { point } = await readManifest(manifestKey(name), snapshot, store, signal);
  if (!point || point.content.differedAt !== undefined) return false;
  const { own } = point.content.point;
  const isSameList = own.list?.key === blocks.key && own.list.etag === blocks.etag;
  return isSameList && validationOf(point.content)?.packs === 'read';
}
