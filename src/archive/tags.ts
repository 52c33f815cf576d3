/** Converts the tags of a snapshot to S3 object tags, which are fewer and have a smaller alphabet. */

/** S3 allows 10 tags per object, EC2 allows 50. */
const MAX_TAGS = 10;
const MAX_KEY_LENGTH = 128;
const MAX_VALUE_LENGTH = 256;

/** S3 allows letters and digits of any script, spaces and `+ - = . _ : / @`. */
const FORBIDDEN = /[^\p{L}\p{N}\p{Z}+\-=._:/@]/gu;

export interface ObjectTags {
  tags: Record<string, string>;
  /** Keys of tags that did not fit. The manifest has all of them. */
  dropped: string[];
}

/** @param stateTagKey key of the state tag. It, `<state tag key>-id` and `aws:*` are left out. */
export function objectTags(snapshotTags: Record<string, string>, stateTagKey: string): ObjectTags {
  const tags = new Map<string, string>();
  const dropped: string[] = [];
  for (const [key, value] of Object.entries(snapshotTags)) {
    if (key.startsWith('aws:') || key === stateTagKey || key === `${stateTagKey}-id`) continue;
    const name = cut(key.replace(FORBIDDEN, '_'), MAX_KEY_LENGTH);
    if (name === '' || /^aws:/i.test(name) || tags.has(name) || tags.size >= MAX_TAGS) {
      dropped.push(key);
    } else {
      tags.set(name, cut(value.replace(FORBIDDEN, '_'), MAX_VALUE_LENGTH));
    }
  }
  return { tags: Object.fromEntries(tags), dropped };
}

/** Version 0 replaced these characters. */
const FORBIDDEN_IN_VERSION_0 = /[^a-zA-Z0-9+=._:/\s-]/g;

/**
 * Returns the forms in which an object may have a key or value: unchanged, or as this program or version 0 wrote it.
 */
export const carriedForms = (text: string): string[] => [
  text,
  cut(text.replace(FORBIDDEN, '_'), MAX_KEY_LENGTH),
  cut(text.replace(FORBIDDEN, '_'), MAX_VALUE_LENGTH),
  text.replace(FORBIDDEN_IN_VERSION_0, '_').slice(0, MAX_VALUE_LENGTH),
];

/** Cuts a text to a number of UTF-16 units, which AWS counts, without splitting a character. */
export function cut(text: string, units: number): string {
  const short = text.slice(0, units);
  return /[\uD800-\uDBFF]$/.test(short) ? short.slice(0, -1) : short;
}
