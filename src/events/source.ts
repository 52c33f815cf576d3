/** Events of the disk of a snapshot: volumes, devices and direct reads. */

export type SourceEvent =
  | { code: 'source.chosen'; snapshot: string; source: 'volume' | 'direct'; reason: string; dollars: ReadingCost }
  | { code: 'blocks.slowed'; snapshot: string; limit: 'snapshot' | 'account'; blocksPerSecond: number }
  | { code: 'volume.requested'; snapshot: string; type: string; availabilityZone: string }
  | { code: 'volume.created'; snapshot: string; volume: string }
  | { code: 'volume.reused'; snapshot: string; volume: string }
  /** The volume of an earlier run is not reused but deleted. */
  | { code: 'volume.discarded'; snapshot: string; volume: string; reason: string }
  | { code: 'volume.attaching'; snapshot: string; volume: string; device: string }
  | { code: 'volume.attached'; snapshot: string; volume: string; device: string }
  /** The device was verified: `blocks` of its blocks match the snapshot. */
  | { code: 'device.proved'; snapshot: string; device: string; identifiedBy: 'serial' | 'name'; blocks: number }
  | { code: 'device.unproved'; snapshot: string; device: string; identifiedBy: 'serial' | 'name'; reason: string }
  | { code: 'volume.detached'; snapshot: string; volume: string }
  | { code: 'volume.deleted'; snapshot: string; volume: string }
  | { code: 'volume.kept'; snapshot: string; volume: string }
  | { code: 'disk.read'; snapshot: string; device: string; bytes: number; table: string; partitions: PartitionNote[] };

/** The cost of reading a snapshot in US dollars, by source; `null` if unknown. */
export interface ReadingCost {
  volume: number | null;
  direct: number | null;
}

export interface PartitionNote {
  /** `null` for a disk without a partition table. */
  number: number | null;
  filesystem: string | null;
  bytes: number;
}
