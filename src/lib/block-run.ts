/** Blocks of a disk, `from` up to, not including, `to`. */
export interface BlockRun {
  from: number;
  to: number;
  /** Whether a stream has them; else they are zeros. */
  isFetched: boolean;
}
