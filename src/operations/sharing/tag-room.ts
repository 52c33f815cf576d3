/** How many tags EC2 keeps of a resource. */

/** Tags of AWS itself, `aws:...`, do not count. */
export const MAX_TAGS = 50;

export const isFullOfTags = (tags: Readonly<Record<string, string>>): boolean =>
  Object.keys(tags).filter((key) => !key.startsWith('aws:')).length >= MAX_TAGS;

/** Setting a tag that is there already takes no room. */
export const hasRoomForTag = (tags: Readonly<Record<string, string>>, key: string): boolean =>
  key in tags || !isFullOfTags(tags);
