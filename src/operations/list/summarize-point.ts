/** What a point stores itself, and what it shares with other points, from its manifest alone. */
import type { PointManifest } from '../../archive/points/point-manifest.ts';
import { validationOf } from '../../archive/points/point-validation.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { PointSummary, ShownPoint } from '../../events.ts';
import { printable } from '../../lib/printable.ts';
import { sum } from '../../lib/sum.ts';

/** A manifest is untrusted input: text is made printable. */
export function summarizePoint({ snapshot, disk, point, ...manifest }: PointManifest): PointSummary {
  const validation = validationOf(manifest);
  const others = point.generations.filter((generation) => generation.snapshot !== snapshot.id);
  return {
    diskBytes: disk.bytes,
    how: point.how,
    parent: point.parent === null ? null : printable(point.parent),
    base: printable(point.base),
    packs: point.own.packs,
    ownBytes: point.own.storedBytes,
    sharedBytes: sum(others.map(({ used }) => used)) * BLOCK_BYTES,
    sharedWith: others.length,
    validatedAt: validation?.packs === 'read' ? printable(validation.at) : null,
    validation: validation && { ...validation, at: printable(validation.at) },
  };
}

/** The same with each generation. */
export const showPoint = (content: PointManifest): ShownPoint => ({
  ...summarizePoint(content),
  reason: content.point.reason === null ? null : printable(String(content.point.reason)),
  storageClass: printable(String(content.point.storageClass)),
  codec: content.point.codec,
  cipher: content.point.cipher,
  generations: content.point.generations.map(({ snapshot, used }) => ({
    snapshot: printable(snapshot),
    usedBytes: used * BLOCK_BYTES,
  })),
});
