/** Converts AWS lists of `{ Key, Value }` to plain records and back. */

interface Tag {
  Key?: string | undefined;
  Value?: string | undefined;
}

export const fromTagList = (list: readonly Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((list ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? '']));

export const toTagList = (tags: Record<string, string>): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
