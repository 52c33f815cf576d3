/** A disk and its partition table, which is read before any partition is mounted. */
import type { Host } from '../../events.ts';
import type { FoundDevice } from '../../host/devices/block-devices.ts';
import { type PartitionTable, readPartitionTable } from '../../host/disks/partition-table.ts';

export interface Disk {
  device: FoundDevice;
  table: PartitionTable;
}

export async function readDisk(snapshot: string, device: FoundDevice, host: Host, signal: AbortSignal): Promise<Disk> {
  const table = await readPartitionTable(device.path, signal);
  const partitions = table.partitions.map(({ number, size }) => ({ number, filesystem: null, bytes: size }));
  host.notify({ code: 'disk.read', snapshot, device: device.path, bytes: device.size, table: table.kind, partitions });
  return { device, table };
}
