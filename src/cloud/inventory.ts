/** Read-only lists of what accounts have in EC2, by region. `analyze` uses them to explain the charges in a bill. */
import type { Call, Snapshot, Volume } from './ports.ts';

/** A machine image and the snapshots that it needs. */
export interface Image {
  id: string;
  snapshotIds: string[];
}

export interface Inventory {
  /** Lists the snapshots of these accounts and of the caller, as far as the caller may see them, oldest first. */
  snapshots(region: string, accounts: readonly string[], call: Call): Promise<Snapshot[]>;
  volumes(region: string, call: Call): Promise<Volume[]>;
  /** Lists the images that the caller owns. */
  images(region: string, call: Call): Promise<Image[]>;
}
