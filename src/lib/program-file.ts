/**
 * Locates the files of this package that are run as a process or thread, and files that come with them.
 *
 * The published package consists of chunks in a folder one level below the root, just like this folder
 * (scripts/build.ts).
 */
const ROOT = new URL('../', import.meta.url);

const SUFFIX = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** @param name path below `src` without the suffix, such as `streams/reading-thread`. */
export const programFile = (name: string): URL => new URL(`${name}${SUFFIX}`, ROOT);

/** @param name path below `src`, which is the same in the published package. */
export const ownFile = (name: string): URL => new URL(name, ROOT);
