/**
 * Where a program of this package lies that a process or a thread runs, and other files beside them.
 * What is published is in chunks, in a folder that is one below `src` as this one is (scripts/build.ts).
 */
const ROOT = new URL('../', import.meta.url);

const SUFFIX = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** @param name its place below `src` without the suffix, such as `streams/reading-thread` */
export const programFile = (name: string): URL => new URL(`${name}${SUFFIX}`, ROOT);

/** @param name its place below `src`, the same in the sources and in what is published */
export const ownFile = (name: string): URL => new URL(name, ROOT);
