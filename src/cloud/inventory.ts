/** What accounts have in EC2, region by region: only looked at, so that bills can be told what they are of. */
import type { Call, Snapshot, Volume } from './ports.ts';

/** A machine image, as far as it needs snapshots. */
export interface Image {
  id: string;
  snapshotIds: string[];
}

export interface Inventory {
  /** Snapshots of these accounts (and of the caller's) that the caller may see, oldest first. */
  snapshots(region: string, accounts: readonly string[], call: Call): Promise<Snapshot[]>;
  volumes(region: string, call: Call): Promise<Volume[]>;
  /** The caller's own. */
  images(region: string, call: Call): Promise<Image[]>;
}
