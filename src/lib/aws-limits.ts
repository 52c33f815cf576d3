/** Limits of AWS that several layers use. */

/** Maximum number of blocks that a call of ListSnapshotBlocks or ListChangedBlocks returns. */
export const BLOCKS_PER_PAGE = 10_000;
