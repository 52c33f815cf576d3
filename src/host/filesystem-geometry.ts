/** How a filesystem was made, as its own tools tell it: for whoever makes it anew. */

import { SnapError } from '../errors.ts';
import { runTool, ToolError } from '../transfer/process.ts';

export interface Geometry {
  blockBytes: number | null;
  inodeBytes: number | null;
  inodes: number | null;
  features: string[];
}

/** Of ext: what says in which state it is, not how it was made. */
const STATES = new Set(['needs_recovery', 'orphan_present', 'recover', 'FEATURE_R16']);

/**
 * @param root where it is mounted.
 * @returns `null` where the filesystem has nothing to tell, or its tool is not here or cannot read it: an archive is
 *   none the worse for it.
 */
export async function readGeometry(
  type: string,
  device: string,
  root: string,
  signal: AbortSignal,
): Promise<Geometry | null> {
  try {
    if (/^ext[234]$/.test(type)) return extGeometry((await runTool(['dumpe2fs', '-h', device], { signal })).stdout);
    if (type === 'xfs') return xfsGeometry((await runTool(['xfs_info', root], { signal })).stdout);
    if (type === 'vfat') return await fatGeometry(device, signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError || (error instanceof SnapError && error.code === 'TOOL_MISSING')) return null;
    throw error;
  }
}

/** `Inode size:               256` */
export function extGeometry(text: string): Geometry {
  const field = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(text)?.[1] ?? '';
  return {
    blockBytes: Number(field('Block size')) || null,
    inodeBytes: Number(field('Inode size')) || null,
    inodes: Number(field('Inode count')) || null,
    features: field('Filesystem features')
      .split(/\s+/)
      .filter((name) => /^\w+$/.test(name) && !STATES.has(name)),
  };
}

/** Which of what xfs_info prints are features: `crc=1        finobt=1, sparse=1`, and of names `ftype=1`. */
const XFS_FEATURES = /\b(crc|finobt|sparse|rmapbt|reflink|bigtime|inobtcount|nrext64|ftype)=([01])\b/g;

export function xfsGeometry(text: string): Geometry {
  return {
    blockBytes: Number(/^data\s.*?bsize=(\d+)/m.exec(text)?.[1]) || null,
    inodeBytes: Number(/isize=(\d+)/.exec(text)?.[1]) || null,
    inodes: null,
    features: [...text.matchAll(XFS_FEATURES)].map(([, name, value]) => `${name}=${value}`),
  };
}

async function fatGeometry(device: string, signal: AbortSignal): Promise<Geometry> {
  const argv = ['blkid', '--probe', '--output', 'value', '--match-tag', 'VERSION', '--', device];
  const version = (await runTool(argv, { signal })).stdout.trim();
  return { blockBytes: null, inodeBytes: null, inodes: null, features: /^FAT\d+$/.test(version) ? [version] : [] };
}
