/** Limits on paths in an archive that a restore can create. */

/** Less than PATH_MAX, because tar prepends some bytes when it sets attributes. */
export const MAX_PATH = 3500;

/** Maximum bytes of the target of a symbolic link. XFS allows 1,024. */
export const MAX_LINK_TARGET = 1000;

/**
 * Maximum number of links in one path. Linux follows 40 (MAXSYMLINKS in linux/namei.h), but it walks a path up to three
 * times, for example when anything is mounted or unmounted during the first walk, and counts the links of all walks.
 * Source: filename_lookup and pick_link in fs/namei.c.
 */
const MAX_LINKS = 13;

/** Maximum bytes of a name (linux/limits.h) and the slash before it. */
const MAX_NAME = 256;

/** Maximum bytes of the path of a shortcut. */
export const MAX_SHORTCUT = 64;

/** The longest path that can be restored, whatever the lengths of its directory names are. */
export const MAX_RESTORABLE_PATH: number = MAX_PATH + (MAX_LINKS - 1) * (MAX_LINK_TARGET - MAX_NAME - MAX_SHORTCUT);
