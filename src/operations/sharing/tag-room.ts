/** The maximum number of tags that EC2 stores per resource. */

/** System tags, `aws:...`, do not count. */
export const MAX_TAGS = 50;

export const isFullOfTags = (tags: Readonly<Record<string, string>>): boolean =>
  Object.keys(tags).filter((key) => !key.startsWith('aws:')).length >= MAX_TAGS;

/** A new value of an existing tag takes no room. */
export const hasRoomForTag = (tags: Readonly<Record<string, string>>, key: string): boolean =>
  key in tags || !isFullOfTags(tags);
