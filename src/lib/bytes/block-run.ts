/** A run of consecutive blocks of a disk: `from` up to but not including `to`. */
export interface BlockRun {
  from: number;
  to: number;
  /** Whether the object stream contains the blocks. If not, they are zeros. */
  isFetched: boolean;
  /** Whether the stream contains the blocks although they are not wanted (default: no). */
  isDropped?: boolean;
}
