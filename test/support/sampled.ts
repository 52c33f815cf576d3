/** Long suites try a part of their cases in the usual run, and all of them with SNAP_TO_S3_FULL (`npm run test:full`). */
export const FULL = process.env['SNAP_TO_S3_FULL'] !== undefined;

/** The middle one of each so many: often the first does nothing yet. */
export const oneIn = <T>(count: number, cases: readonly T[]): T[] =>
  FULL ? [...cases] : cases.filter((_, index) => index % count === Math.floor(count / 2));
