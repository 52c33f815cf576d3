/** Where the blocks of a served disk come from. */

/** A fetched block: its bytes, `null` for zeros, or why it cannot be read. */
export interface FetchedBlock {
  index: number;
  content: Uint8Array | Error | null;
}

export interface BlockSource {
  /** Blocks with the same number are fetched together. @returns `null` for a block that is known to be zeros. */
  groupOf(index: number): number | null;
  /** @returns all blocks of the group that are not known to be zeros. @throws SnapError if none of them can be read. */
  fetch(group: number): Promise<readonly FetchedBlock[]>;
}
