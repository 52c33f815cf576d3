/**
 * What an NTFS volume holds that no driver shows as files. ntfs-3g makes dangling links of reparse points that it does
 * not know, absolute links of those that it does, and leaves alternate streams out; none of the drivers replays the
 * journal. An archive of files would lack all that, and a comparison by the same driver would find nothing missing.
 */
import { printable } from '../../lib/printable.ts';
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage } from './records.ts';
import { isContent, NtfsVolume, RECORD } from './volume.ts';

/** @returns why the files alone would not be all that is there; else `null`. */
export async function obstacleOnNtfs(device: string, signal: AbortSignal): Promise<string | null> {
  try {
    await using volume = await NtfsVolume.open(device);
    return (await unsettledState(volume)) ?? (await firstHidden(volume, signal));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NtfsDamage) return `its file table cannot be read: ${error.message}`;
    if (error instanceof RangeError) return 'its file table cannot be read: a record contradicts itself';
    throw error;
  }
}

const IS_DIRTY = 1;

/** Snapshots are taken of running machines. */
async function unsettledState(volume: NtfsVolume): Promise<string | null> {
  const information = (await volume.record(RECORD.volume))?.attributes.find(
    ({ type }) => type === ATTRIBUTE.volumeInformation,
  );
  if (!information?.value) throw new NtfsDamage('it does not tell its state');
  if (information.value.readUInt16LE(10) & IS_DIRTY) return 'Windows has marked it as dirty';
  const journal = (await volume.record(RECORD.logFile))?.attributes.find(isContent);
  if (!journal) throw new NtfsDamage('it has no journal');
  const isSettled = isJournalClean(await volume.beginningOf(journal, JOURNAL_HEAD));
  return isSettled ? null : 'its journal holds changes that only Windows can replay';
}

/** Two restart pages; pages have 4 KiB, or more on some processors. */
const JOURNAL_HEAD = 8192;
const NO_CLIENTS = 0xffff;
const WAS_CLEAN = 2;

/** As ntfs-3g's ntfs_is_logfile_clean() decides: emptied, or of a volume that was unmounted. */
export function isJournalClean(head: Buffer): boolean {
  if (head.every((byte) => byte === 0xff)) return true;
  const areas = [0, 4096].flatMap((at) => restartAreaAt(head, at));
  const latest = areas.toSorted((one, other) => Number(other.sequence - one.sequence))[0];
  return latest !== undefined && (latest.clients === NO_CLIENTS || (latest.flags & WAS_CLEAN) !== 0);
}

function restartAreaAt(head: Buffer, page: number): { sequence: bigint; clients: number; flags: number }[] {
  if (head.toString('latin1', page, page + 4) !== 'RSTR') return [];
  const area = page + head.readUInt16LE(page + 24);
  return [
    {
      sequence: head.readBigUInt64LE(area),
      clients: head.readUInt16LE(area + 12),
      flags: head.readUInt16LE(area + 14),
    },
  ];
}

async function firstHidden(volume: NtfsVolume, signal: AbortSignal): Promise<string | null> {
  for await (const { record } of volume.records(signal)) {
    const [what] = record.attributes.flatMap(hiddenThing);
    if (what !== undefined && !(await isOfSystem(record, volume)))
      return `${await pathOf(record, volume)} has ${what}, which an archive of files would lack`;
  }
  return null;
}

/** What of an attribute is not in a file's content. */
function hiddenThing({ type, name, value }: Attribute): string[] {
  if (type === ATTRIBUTE.reparsePoint) return [`a reparse point${value ? ` (tag 0x${tagOf(value)})` : ''}`];
  if (type === ATTRIBUTE.data && name !== '') return [`the alternate stream ${printable(name)}`];
  if (type === ATTRIBUTE.extendedAttributes) return ['extended attributes of Windows'];
  if (type === ATTRIBUTE.loggedUtilityStream && name === '$EFS') return ['encrypted content (EFS)'];
  return [];
}

const tagOf = (value: Buffer): string => value.readUInt32LE(0).toString(16).padStart(8, '0');

/** Deeper than any path that Windows takes. */
const DEEPEST = 1024;

/** The filesystem's own files, and what it keeps in its directory $Extend. */
async function isOfSystem(record: MftRecord, volume: NtfsVolume): Promise<boolean> {
  let number = record.base;
  for (let depth = 0; depth < DEEPEST && number !== RECORD.root; depth++) {
    if (number < RECORD.firstOfUsers) return true;
    number = (await nameOf(number, volume)).parent;
  }
  return false;
}

async function pathOf(record: MftRecord, volume: NtfsVolume): Promise<string> {
  const names: string[] = [];
  let number = record.base;
  for (let depth = 0; depth < DEEPEST && number !== RECORD.root; depth++) {
    const { name, parent } = await nameOf(number, volume);
    names.unshift(name);
    number = parent;
  }
  return printable(`/${names.join('/')}`);
}

const DOS_NAME = 2;

/** Files have a long name and often a short one; with many attributes, names can lie in records of their own. */
async function nameOf(number: number, volume: NtfsVolume): Promise<{ name: string; parent: number }> {
  const record = await volume.record(number);
  const names = (record?.attributes ?? []).flatMap(({ type, value }) =>
    type === ATTRIBUTE.fileName && value ? [value] : [],
  );
  const value = names.find((found) => found.readUInt8(65) !== DOS_NAME) ?? names[0];
  // Unknown: what it is called is told less well, and it counts as a user's file.
  if (!value) return { name: `(record ${number})`, parent: RECORD.root };
  return { name: value.toString('utf16le', 66, 66 + 2 * value.readUInt8(64)), parent: value.readUIntLE(0, 6) };
}
