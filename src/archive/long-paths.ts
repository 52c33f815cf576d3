/** How long the paths of an archive can be, so that a restore can make them. */

/** Less than PATH_MAX, with room for what tar puts before it where it sets attributes. */
export const MAX_PATH = 3500;

/** Of the target of a link: xfs takes 1,024 bytes. */
export const MAX_STEP = 1000;

/** Links that Linux follows in one path. Source: MAXSYMLINKS in linux/namei.h. */
const MAX_LINKS = 40;

/** Bytes of a name (linux/limits.h), and the slash before it. */
const MAX_NAME = 256;

/** Bytes of the path of a shortcut. */
export const MAX_SHORTCUT = 64;

/** What can be reached whatever the directories on the way are called. */
export const MAX_REACHED: number = MAX_PATH + (MAX_LINKS - 1) * (MAX_STEP - MAX_NAME - MAX_SHORTCUT);
