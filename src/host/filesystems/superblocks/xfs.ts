/** Parses the superblock of XFS, versions 4 and 5. Source: "Superblocks" in "XFS Algorithms & Data Structures". */
import type { Geometry } from './geometry.ts';

const LENGTH = 264;

/** Bits of `sb_versionnum`. */
const VERSION = { attr: 0x10, logV2: 0x400, caseless: 0x4000, more: 0x8000 };
/** Bits of `sb_features2`. */
const MORE = { lazyCount: 0x2, attr2: 0x8, parent: 0x10, projid32bit: 0x80, ftype: 0x200 };
/** Bits of `sb_features_ro_compat` and `sb_features_incompat`, by their names in mkfs.xfs. */
const READ_ONLY = ['finobt', 'rmapbt', 'reflink', 'inobtcount'];
const INCOMPATIBLE = ['ftype', 'sparse', null, 'bigtime', null, 'nrext64', 'exchange', 'parent', 'metadir', 'zoned'];

/** @param device first bytes of the device. @returns `null` if it is no XFS filesystem */
export function xfsGeometry(device: Buffer): Geometry | null {
  if (device.length < LENGTH || device.toString('latin1', 0, 4) !== 'XFSB') return null;
  const blockBytes = device.readUInt32BE(4);
  const versions = device.readUInt16BE(100);
  const isNew = (versions & 15) === 5;
  const made: Record<string, number | string> = {
    version: versions & 15,
    blocks: Number(device.readBigUInt64BE(8)),
    realtimeBlocks: Number(device.readBigUInt64BE(16)),
    groupBlocks: device.readUInt32BE(84),
    groups: device.readUInt32BE(88),
    logBlocks: device.readUInt32BE(96),
    // Zero if the log is on another device.
    logStart: Number(device.readBigUInt64BE(48)),
    logVersion: versions & VERSION.logV2 ? 2 : 1,
    sectorBytes: device.readUInt16BE(102),
    inodePercent: device.readUInt8(127),
    stripeBlocks: device.readUInt32BE(184),
    widthBlocks: device.readUInt32BE(188),
    directoryBytes: blockBytes * 2 ** device.readUInt8(192),
  };
  const features = isNew ? featuresOfFive(device) : featuresOfFour(device, versions);
  if (versions & VERSION.caseless) features.push('ascii-ci=1');
  return { blockBytes, inodeBytes: device.readUInt16BE(104), inodes: null, features, made };
}

function featuresOfFive(device: Buffer): string[] {
  const [readOnly, incompatible] = [device.readUInt32BE(212), device.readUInt32BE(216)];
  return ['crc=1', ...flags(readOnly, READ_ONLY), ...flags(incompatible, INCOMPATIBLE)];
}

function featuresOfFour(device: Buffer, versions: number): string[] {
  const more = versions & VERSION.more ? device.readUInt32BE(200) : 0;
  const flag = (name: string, bit: number): string => `${name}=${more & bit ? 1 : 0}`;
  const attr = versions & VERSION.attr ? [`attr=${more & MORE.attr2 ? 2 : 1}`] : [];
  const known = [flag('ftype', MORE.ftype), flag('lazy-count', MORE.lazyCount), flag('projid32bit', MORE.projid32bit)];
  return ['crc=0', ...known, ...attr];
}

const flags = (mask: number, names: readonly (string | null)[]): string[] => [
  ...names.flatMap((name, bit) => (name === null ? [] : [`${name}=${(mask >>> bit) & 1}`])),
  ...(mask >>> names.length === 0 ? [] : ['unknown=1']),
];
