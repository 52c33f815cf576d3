/** A snapshot's tags as S3 object tags: fewer are allowed, of a smaller alphabet. */

/** S3 keeps at most 10 tags an object; EC2 allows 50. */
const MAX_TAGS = 10;
const LONGEST_KEY = 128;
const LONGEST_VALUE = 256;

/** S3's alphabet: letters and digits of any script, spaces and `+ - = . _ : / @`. */
const FORBIDDEN = /[^\p{L}\p{N}\p{Z}+\-=._:/@]/gu;

export interface ObjectTags {
  tags: Record<string, string>;
  /** Keys of the snapshot's tags that did not fit; the manifest holds them all. */
  dropped: string[];
}

/**
 * @param ours key of the tag that marks snapshots for this program; it and `<ours>-id` are left out, as is `aws:*`.
 */
export function objectTags(snapshotTags: Record<string, string>, ours: string): ObjectTags {
  const tags = new Map<string, string>();
  const dropped: string[] = [];
  for (const [key, value] of Object.entries(snapshotTags)) {
    if (key.startsWith('aws:') || key === ours || key === `${ours}-id`) continue;
    const name = cut(key.replace(FORBIDDEN, '_'), LONGEST_KEY);
    if (name === '' || /^aws:/i.test(name) || tags.has(name) || tags.size >= MAX_TAGS) {
      dropped.push(key);
    } else {
      tags.set(name, cut(value.replace(FORBIDDEN, '_'), LONGEST_VALUE));
    }
  }
  return { tags: Object.fromEntries(tags), dropped };
}

/** What version 0 left as it was. */
const FORBIDDEN_IN_VERSION_0 = /[^a-zA-Z0-9+=._:/\s-]/g;

/** How an object may carry a key or a value: as it is, or as this program or version 0 wrote it. */
export const carriedForms = (text: string): string[] => [
  text,
  cut(text.replace(FORBIDDEN, '_'), LONGEST_KEY),
  cut(text.replace(FORBIDDEN, '_'), LONGEST_VALUE),
  text.replace(FORBIDDEN_IN_VERSION_0, '_').slice(0, LONGEST_VALUE),
];

/** Cut to a number of UTF-16 units, which is how AWS counts, without halving a character. */
export function cut(text: string, units: number): string {
  const short = text.slice(0, units);
  return /[\uD800-\uDBFF]$/.test(short) ? short.slice(0, -1) : short;
}
