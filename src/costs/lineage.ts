/**
 * The size that remains billed after some snapshots of a volume are deleted.
 *
 * EBS stores a block once and bills it to the oldest snapshot that refers to it. If that snapshot is deleted, the next
 * snapshot that refers to the block is billed for it. The saving of a set is therefore its cost less that of the blocks that
 * the remaining snapshots refer to, and it is only as exact as the known sizes of those snapshots.
 * Sources: "How snapshots work" and "Delete an Amazon EBS snapshot" in the EBS user guide.
 */
import { sum } from '../lib/sum.ts';

/** The bounds of an amount, which are equal if it is known exactly. */
export interface Range {
  min: number;
  max: number;
}

export interface Link {
  /** GiB that the snapshot is billed for. */
  gib: number;
  /** GiB that the snapshot refers to. */
  full: Range;
}

export interface Lineage {
  /** Oldest first. */
  links: readonly Link[];
  /** Maximum GiB that the oldest snapshot refers to and that are billed to snapshots of other volumes. */
  foreign: number;
  /** Whether each snapshot is incremental to the previous one; `false` for copies, whose volume is unknown. */
  isChain: boolean;
}

export const exactly = (amount: number): Range => ({ min: amount, max: amount });

const add = (a: Range, b: Range): Range => ({ min: a.min + b.min, max: a.max + b.max });

/** GiB that are billed in the standard tier if only the kept snapshots remain. */
export function remaining(lineage: Lineage, isKept: (index: number) => boolean): Range {
  const kept = [...lineage.links.keys()].filter(isKept);
  if (!lineage.isChain) return remainingOfUnrelated(lineage.links, kept);
  return kept.map((index, place) => newIn(lineage, kept[place - 1] ?? null, index)).reduce<Range>(add, exactly(0));
}

/** GiB that each of these snapshots adds to the previous one of them; the first one adds all that it refers to. */
export const additions = (lineage: Lineage, indexes: readonly number[]): Range[] =>
  indexes.map((index, place) => {
    const before = indexes[place - 1];
    return before === undefined ? (lineage.links[index] as Link).full : newIn(lineage, before, index);
  });

/** GiB of one snapshot that other snapshots are billed for after it is deleted. */
export function handedOn(lineage: Lineage, index: number): Range {
  const { links, isChain } = lineage;
  const next = links[index + 1];
  if (!isChain) return { min: 0, max: links.length > 1 ? (links[index] as Link).gib : 0 };
  if (!next) return exactly(0);
  const { min, max } = newIn(lineage, index === 0 ? null : index - 1, index + 1);
  return { min: min - next.gib, max: max - next.gib };
}

/** Computes what remains of snapshots of unknown volumes, any of which may share blocks with any other. */
function remainingOfUnrelated(links: readonly Link[], kept: readonly number[]): Range {
  const billed = sum(kept.map((index) => links[index]?.gib ?? 0));
  if (kept.length === 0 || kept.length === links.length) return exactly(billed);
  const referred = sum(kept.map((index) => links[index]?.full.max ?? 0));
  return { min: billed, max: Math.min(sum(links.map(({ gib }) => gib)), Math.max(billed, referred)) };
}

/** GiB of a kept snapshot that the previous kept one does not contain. @param before `null` for the first kept snapshot. */
function newIn({ links, foreign }: Lineage, before: number | null, index: number): Range {
  const link = links[index] as Link;
  if (index === 0 || before === index - 1) return exactly(link.gib);
  const start = before === null ? 0 : before + 1;
  const max = Math.min(sum(links.slice(start, index + 1).map(({ gib }) => gib)), link.full.max);
  const min = before === null ? link.full.min - foreign : minimumOver(links, before, index);
  return { min: Math.min(Math.max(link.gib, min), Math.max(max, link.gib)), max: Math.max(max, link.gib) };
}

/** The minimum: blocks that it shares with its deleted predecessor and that the previous kept snapshot cannot contain. */
function minimumOver(links: readonly Link[], before: number, index: number): number {
  const link = links[index] as Link;
  const previous = links[index - 1] as Link;
  const oldest = Math.min((links[before] as Link).full.max, previous.full.max - previous.gib);
  return link.gib + Math.max(0, link.full.min - link.gib - oldest);
}
