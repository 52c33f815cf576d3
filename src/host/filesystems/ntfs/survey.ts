/**
 * Finds content of an NTFS volume that no driver shows as files. ntfs-3g turns unknown reparse points into dangling
 * links and known ones into absolute links, and it omits alternate streams. No driver replays the journal. A tar would
 * lack all of this, and a comparison through the same driver would not notice.
 */
import { printable } from '../../../lib/printable.ts';
import type { FilesystemSurvey } from '../survey.ts';
import { NameCount } from './names.ts';
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage } from './records.ts';
import { isContent, NtfsVolume, RECORD } from './volume.ts';

/** Names are counted only if there is no obstacle. */
export async function surveyNtfs(device: string, signal: AbortSignal): Promise<FilesystemSurvey> {
  try {
    await using volume = await NtfsVolume.open(device);
    const unfinished = await unfinishedState(volume);
    return unfinished === null ? await surveyRecords(volume, signal) : obstacleOf(unfinished);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NtfsDamage) return obstacleOf(`its file table cannot be read: ${error.message}`);
    if (error instanceof RangeError) return obstacleOf('its file table cannot be read: a record contradicts itself');
    throw error;
  }
}

const obstacleOf = (obstacle: string): FilesystemSurvey => ({ obstacle, names: null });

const IS_DIRTY = 1;

/** Snapshots of running machines may have unfinished changes. */
async function unfinishedState(volume: NtfsVolume): Promise<string | null> {
  const information = (await volume.record(RECORD.volume))?.attributes.find(
    ({ type }) => type === ATTRIBUTE.volumeInformation,
  );
  if (!information?.value) throw new NtfsDamage('its state is missing');
  if (information.value.readUInt16LE(10) & IS_DIRTY) return 'Windows has marked it as dirty';
  const journal = (await volume.record(RECORD.logFile))?.attributes.find(isContent);
  if (!journal) throw new NtfsDamage('it has no journal');
  const isSettled = isJournalClean(await volume.readStart(journal, JOURNAL_HEAD));
  return isSettled ? null : 'its journal holds changes that only Windows can replay';
}

/** Two restart pages. Pages have 4 KiB, or more on some processors. */
const JOURNAL_HEAD = 8192;
const NO_CLIENTS = 0xffff;
const WAS_CLEAN = 2;

/** The journal is clean if it is empty or the volume was unmounted, as in ntfs_is_logfile_clean() of ntfs-3g. */
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

async function surveyRecords(volume: NtfsVolume, signal: AbortSignal): Promise<FilesystemSurvey> {
  const names = new NameCount(volume);
  for await (const { record } of volume.records(signal)) {
    const [hidden] = record.attributes.flatMap(hiddenContent);
    const what = hidden ?? (await specialFile(record, volume));
    if (what !== null && !(await volume.isOfSystem(record.base)))
      return obstacleOf(`${await pathOf(record, volume)} has ${what}, which a tar cannot hold`);
    await names.add(record);
  }
  return { obstacle: null, names: names.total };
}

/** Describes an attribute that is not part of a file's content. */
function hiddenContent({ type, name, value }: Attribute): string[] {
  if (type === ATTRIBUTE.reparsePoint) return [`a reparse point${value ? ` (tag 0x${tagOf(value)})` : ''}`];
  if (type === ATTRIBUTE.data && name !== '') return [`the alternate stream ${printable(name)}`];
  if (type === ATTRIBUTE.extendedAttributes) return ['extended attributes of Windows'];
  if (type === ATTRIBUTE.loggedUtilityStream && name === '$EFS') return ['encrypted content (EFS)'];
  return [];
}

const FLAG = { hidden: 2, system: 4 } as const;
/** The maximum size of a link or device of Interix: its magic number and a path of 4,096 characters. */
const MAX_SPECIAL_BYTES = 8 + 2 * 4096;

/**
 * ntfs-3g treats files with the DOS attribute "system" as those of Interix: empty ones as pipes, files of one byte as
 * sockets, and some with a magic number as links and devices. Source: ntfs_fuse_getattr() in ntfs-3g.c.
 */
async function specialFile({ attributes, isDirectory }: MftRecord, volume: NtfsVolume): Promise<string | null> {
  const flags = attributes.find(({ type }) => type === ATTRIBUTE.standardInformation)?.value?.readUInt32LE(32) ?? 0;
  if ((flags & FLAG.system) === 0 || isDirectory) return null;
  const content = attributes.find(isContent);
  const isElsewhere = attributes.some(({ type }) => type === ATTRIBUTE.list);
  if (!content) return isElsewhere ? 'the attribute "system", and its content in other records' : null;
  if (content.bytes <= 1) return flags & FLAG.hidden ? null : SPECIAL;
  if (content.bytes > MAX_SPECIAL_BYTES) return null;
  return (await volume.readStart(content, MAGIC_WITHIN)).includes('Intx') ? SPECIAL : null;
}

const SPECIAL = 'content that drivers show as a pipe, socket, link or device';
/** Compressed content starts with a few other bytes. */
const MAGIC_WITHIN = 16;

const tagOf = (value: Buffer): string => value.readUInt32LE(0).toString(16).padStart(8, '0');

async function pathOf(record: MftRecord, volume: NtfsVolume): Promise<string> {
  const names: string[] = [];
  for await (const { name } of volume.ancestry(record.base)) names.unshift(name);
  return printable(`/${names.join('/')}`);
}
