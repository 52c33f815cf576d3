/**
 * Parses the boot sectors of FAT and NTFS. Sources: "FAT: General Overview of On-Disk Format" 1.03 of Microsoft;
 * ntfs(5).
 */
import type { Geometry } from './geometry.ts';

const SECTOR = 512;

/** @param device first bytes of the device. @returns `null` if it is no FAT filesystem */
export function fatGeometry(device: Buffer): Geometry | null {
  if (device.length < SECTOR) return null;
  const sectorBytes = device.readUInt16LE(11);
  const clusterSectors = device.readUInt8(13);
  const reservedSectors = device.readUInt16LE(14);
  const tables = device.readUInt8(16);
  const rootEntries = device.readUInt16LE(17);
  if (![512, 1024, 2048, 4096].includes(sectorBytes) || clusterSectors === 0 || tables === 0) return null;
  const sectors = device.readUInt16LE(19) || device.readUInt32LE(32);
  const tableSectors = device.readUInt16LE(22) || device.readUInt32LE(36);
  const rootSectors = Math.ceil((rootEntries * 32) / sectorBytes);
  const dataSectors = sectors - reservedSectors - tables * tableSectors - rootSectors;
  const clusters = Math.floor(dataSectors / clusterSectors);
  return {
    blockBytes: sectorBytes * clusterSectors,
    inodeBytes: null,
    inodes: null,
    features: [`FAT${bitsOf(device, clusters)}`],
    made: {
      sectorBytes,
      clusterSectors,
      reservedSectors,
      tables,
      rootEntries,
      sectors,
      tableSectors,
      hiddenSectors: device.readUInt32LE(28),
      media: device.readUInt8(21),
    },
  };
}

/** The number of clusters decides. Only FAT32 stores the length of its tables in another field. */
function bitsOf(device: Buffer, clusters: number): 12 | 16 | 32 {
  if (device.readUInt16LE(22) === 0) return 32;
  return clusters < 4085 ? 12 : 16;
}

/** @param device first bytes of the device. @returns `null` if it is no NTFS filesystem */
export function ntfsGeometry(device: Buffer): Geometry | null {
  if (device.length < SECTOR || device.toString('latin1', 3, 11) !== 'NTFS    ') return null;
  const sectorBytes = device.readUInt16LE(11);
  const clusterSectors = sectorsPerCluster(device);
  return {
    blockBytes: sectorBytes * clusterSectors,
    inodeBytes: null,
    inodes: null,
    features: [],
    made: { sectorBytes, clusterSectors, sectors: Number(device.readBigUInt64LE(40)) },
  };
}

/** Values above 128 are negative numbers: the exponent of a power of two. @param boot a boot sector of NTFS */
export function sectorsPerCluster(boot: Buffer): number {
  const value = boot.readUInt8(13);
  return value > 128 ? 2 ** (256 - value) : value;
}
