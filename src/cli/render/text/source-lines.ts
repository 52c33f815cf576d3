/** Events of the disk of a snapshot as lines of text. */
import type { SourceEvent } from '../../../events.ts';
import { count, formatBytes } from '../../../lib/units.ts';
import { dollars, type EventOf, type Lines } from './line.ts';

export const SOURCE_LINES: Lines<SourceEvent> = {
  'source.chosen': describeSource,
  'blocks.slowed': (event) =>
    `EBS throttles reads of ${THROTTLED[event.limit]}: continuing with ${Math.round(event.blocksPerSecond)} blocks per second`,
  'volume.requested': (event) => `creating a ${event.type} volume in ${event.availabilityZone}`,
  'volume.created': (event) => `volume ${event.volume} created`,
  'volume.reused': (event) => `reusing temporary volume ${event.volume} of an earlier run`,
  'volume.discarded': (event) => `deleting ${event.volume} instead of reusing it: ${event.reason}`,
  'volume.attaching': (event) => `attaching ${event.volume} as ${event.device}`,
  'volume.attached': (event) => `${event.volume} attached as ${event.device}`,
  'device.proved': (event) => `${event.device} verified: ${count(event.blocks, 'block')} compared with the snapshot`,
  'device.unproved': describeUnproved,
  'volume.detached': (event) => `${event.volume} detached`,
  'volume.deleted': (event) => `${event.volume} deleted`,
  'volume.kept': (event) => `${event.volume} kept (--keep-temp-volumes); AWS bills it until you delete it`,
  'disk.read': (event) =>
    `${event.device}: ${formatBytes(event.bytes)}, ${describeTable(event.table, event.partitions.length)}`,
};

function describeSource(event: EventOf<'source.chosen'>): string {
  const { volume, direct } = event.dollars;
  const how = event.source === 'direct' ? 'through the EBS direct APIs' : 'from a temporary volume';
  return `reading ${how} (${event.reason}); estimated cost: ${dollars(direct)} with direct reads, ${dollars(volume)} with a volume`;
}

const THROTTLED = { snapshot: 'this snapshot', account: 'the account' } as const;

function describeUnproved({ device, identifiedBy, reason }: EventOf<'device.unproved'>): string {
  const known = identifiedBy === 'serial' ? 'its serial number' : 'ITS NAME AND SIZE';
  return `WARNING: ${device} is identified only by ${known}; its blocks could not be compared with the snapshot: ${reason}`;
}

const describeTable = (table: string, partitions: number): string =>
  table === 'none' ? 'no partition table' : `${table} with ${count(partitions, 'partition')}`;
