/**
 * What is left to pay when some snapshots of a volume are deleted.
 *
 * A block is stored once and billed to the oldest snapshot that refers to it. Deleting that one hands the block, and its
 * bill, to the next snapshot that refers to it: so the savings of a set are the bill less what those that stay refer to,
 * and can be told only as well as the sizes of those are known.
 * Sources: "How snapshots work" and "Delete an Amazon EBS snapshot" of the EBS user guide.
 */

/** Bounds of an amount; equal where it is known. */
export interface Range {
  least: number;
  most: number;
}

export interface Link {
  /** GiB that it is billed for. */
  gib: number;
  /** GiB that it refers to. */
  full: Range;
}

export interface Lineage {
  /** Oldest first. */
  links: readonly Link[];
  /** GiB, at most, that the oldest refers to and that are billed to snapshots of other volumes. */
  foreign: number;
  /** Whether each is incremental to the one before; not so of copies, whose volume is not known. */
  isChain: boolean;
}

export const exactly = (amount: number): Range => ({ least: amount, most: amount });

export const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);

const add = (a: Range, b: Range): Range => ({ least: a.least + b.least, most: a.most + b.most });

/** GiB billed in the standard tier after all but the kept snapshots are gone. */
export function remaining(lineage: Lineage, isKept: (index: number) => boolean): Range {
  const kept = [...lineage.links.keys()].filter(isKept);
  if (!lineage.isChain) return remainingOfStrangers(lineage.links, kept);
  return kept.map((index, place) => newIn(lineage, kept[place - 1] ?? null, index)).reduce<Range>(add, exactly(0));
}

/** GiB of one snapshot's bill that other snapshots are billed for when it is gone. */
export function handedOn(lineage: Lineage, index: number): Range {
  const { links, isChain } = lineage;
  const next = links[index + 1];
  if (!isChain) return { least: 0, most: links.length > 1 ? (links[index] as Link).gib : 0 };
  if (!next) return exactly(0);
  const { least, most } = newIn(lineage, index === 0 ? null : index - 1, index + 1);
  return { least: least - next.gib, most: most - next.gib };
}

/** Any of them may share data with any other. */
function remainingOfStrangers(links: readonly Link[], kept: readonly number[]): Range {
  const billed = sum(kept.map((index) => links[index]?.gib ?? 0));
  if (kept.length === 0 || kept.length === links.length) return exactly(billed);
  const referred = sum(kept.map((index) => links[index]?.full.most ?? 0));
  return { least: billed, most: Math.min(sum(links.map(({ gib }) => gib)), Math.max(billed, referred)) };
}

/** GiB of a snapshot that the one kept before it does not hold; `before` is `null` for the first of those kept. */
function newIn({ links, foreign }: Lineage, before: number | null, index: number): Range {
  const link = links[index] as Link;
  if (index === 0 || before === index - 1) return exactly(link.gib);
  const start = before === null ? 0 : before + 1;
  const most = Math.min(sum(links.slice(start, index + 1).map(({ gib }) => gib)), link.full.most);
  const least = before === null ? link.full.least - foreign : minimumOver(links, before, index);
  return { least: Math.min(Math.max(link.gib, least), Math.max(most, link.gib)), most: Math.max(most, link.gib) };
}

/** What it took over from the one just before it, and cannot have come from the one kept. */
function minimumOver(links: readonly Link[], before: number, index: number): number {
  const link = links[index] as Link;
  const previous = links[index - 1] as Link;
  const oldest = Math.min((links[before] as Link).full.most, previous.full.most - previous.gib);
  return link.gib + Math.max(0, link.full.least - link.gib - oldest);
}
