/** The keys of buckets in the order in which S3 lists them: by their UTF-8 bytes. */

interface Ordered {
  bytes: Buffer;
  key: string;
}

/** Keeps the order of a bucket until its keys change, because a listing has many pages. */
export class KeyOrder {
  readonly #buckets = new Map<string, readonly Ordered[]>();

  forget(bucket: string): void {
    this.#buckets.delete(bucket);
  }

  /** @param keys all keys of the bucket. @returns those after `after`. */
  keysAfter(bucket: string, keys: Iterable<string>, after: string): string[] {
    const ordered = this.#buckets.get(bucket) ?? inOrder(keys);
    this.#buckets.set(bucket, ordered);
    const start = after === '' ? 0 : countUpTo(ordered, Buffer.from(after));
    return ordered.slice(start).map(({ key }) => key);
  }
}

const inOrder = (keys: Iterable<string>): Ordered[] =>
  Array.from(keys, (key) => ({ bytes: Buffer.from(key), key })).sort((a, b) => Buffer.compare(a.bytes, b.bytes));

/** Counts the keys that do not follow `key`, by halving. */
function countUpTo(ordered: readonly Ordered[], key: Buffer): number {
  let [low, high] = [0, ordered.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const found = ordered[middle];
    if (found && Buffer.compare(found.bytes, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
