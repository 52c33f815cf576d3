/**
 * Finds what drivers of FAT omit or show in different ways. grub-mount silently ends a directory at a read error, so
 * this module counts the names without a driver.
 */
import type { FilesystemSurvey } from '../survey.ts';
import { type Entry, NamesOfDirectory, peculiarityOf } from './peculiarities.ts';
import { ENTRY_BYTES, FatDamage, FatVolume } from './volume.ts';

export async function surveyFat(device: string, signal: AbortSignal): Promise<FilesystemSurvey> {
  try {
    await using volume = await FatVolume.open(device);
    return await surveyDirectories(volume, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FatDamage) return damaged(error.message);
    if (error instanceof RangeError) return damaged('a table ends too early');
    throw error;
  }
}

async function surveyDirectories(volume: FatVolume, signal: AbortSignal): Promise<FilesystemSurvey> {
  const found: FilesystemSurvey & { names: number } = { obstacle: null, names: 0 };
  if (volume.activeTable > 0)
    found.obstacle = 'only its second allocation table is valid, and drivers read the first one';
  const directories = new Set([0]);
  for (const directory of directories) {
    signal.throwIfAborted();
    const names = new NamesOfDirectory();
    for (const entry of entriesOf(await volume.directory(directory))) {
      found.names++;
      found.obstacle ??= peculiarityOf(entry) ?? names.clashWith(entry);
      if (!entry.isDirectory) continue;
      const first = volume.bits === 32 ? entry.first : entry.first & 0xffff;
      if (directories.has(first)) throw new FatDamage('a directory appears in two places');
      directories.add(first);
    }
  }
  return found;
}

const damaged = (why: string): FilesystemSurvey => ({
  obstacle: `its directories cannot be read: ${why}`,
  names: null,
});

const ATTRIBUTE = { label: 0x08, directory: 0x10, partOfLongName: 0x0f } as const;
const [END, DELETED, DOT] = [0x00, 0xe5, 0x2e];

function* entriesOf(directory: Buffer): Generator<Entry> {
  let parts: Buffer[] = [];
  for (let at = 0; at + ENTRY_BYTES <= directory.length; at += ENTRY_BYTES) {
    const bytes = directory.subarray(at, at + ENTRY_BYTES);
    const [lead, attributes] = [bytes.readUInt8(0), bytes.readUInt8(11)];
    if (lead === END) return;
    const isPart = (attributes & 0x3f) === ATTRIBUTE.partOfLongName && lead !== DELETED;
    if (isPart) {
      parts.push(bytes);
      continue;
    }
    const short = bytes.subarray(0, 11);
    const long = longName(parts.reverse(), short);
    parts = [];
    if (lead === DELETED || lead === DOT || attributes & ATTRIBUTE.label) continue;
    const first = bytes.readUInt16LE(20) * 0x10000 + bytes.readUInt16LE(26);
    const modified = { time: bytes.readUInt16LE(22), date: bytes.readUInt16LE(24) };
    yield { short, long, attributes, modified, first, isDirectory: (attributes & ATTRIBUTE.directory) !== 0 };
  }
}

/** @param parts entries of 13 characters each, in order. @returns `null` if they do not belong to this short name */
function longName(parts: readonly Buffer[], short: Buffer): string | null {
  const sum = short.reduce((before, byte) => (((before & 1) << 7) + (before >> 1) + byte) & 0xff, 0);
  if (parts.length === 0 || parts.some((part) => part.readUInt8(13) !== sum)) return null;
  const pieces = parts.flatMap((part) => [part.subarray(1, 11), part.subarray(14, 26), part.subarray(28, 32)]);
  const text = Buffer.concat(pieces).toString('utf16le');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
