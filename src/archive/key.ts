/** The keys of the objects of an archive: `<volume>/<start time> <snapshot>[.<partition>].<layout>.<codec>[.gpg]`. */
import { ANY_SNAPSHOT_ID, ANY_VOLUME_ID } from '../lib/aws-names.ts';
import { parseInstant } from '../lib/instant.ts';
import { CODECS, type CodecName } from './codec.ts';

export type Layout = 'tar' | 'image';
export type Cipher = 'none' | 'gpg';

export interface KeyParts {
  /** Key prefix; empty or ends with `/`. */
  prefix: string;
  volumeId: string;
  startTime: Date;
  snapshotId: string;
  /** `null` for a disk without a partition table and for the image of a whole disk. */
  partition: number | null;
  layout: Layout;
  codec: CodecName;
  cipher: Cipher;
}

export type ArchiveName = Pick<KeyParts, 'prefix' | 'volumeId' | 'startTime' | 'snapshotId'>;

const LAYOUT_SUFFIX = { tar: 'tar', image: 'img' } as const satisfies Record<Layout, string>;

/** The common start of the keys of one archive, e.g. `vol-1/2017-01-01T00:00:00+00:00 snap-1`. */
export function keyStem(name: ArchiveName): string {
  return `${name.prefix}${name.volumeId}/${formatStartTime(name.startTime)} ${name.snapshotId}`;
}

export function objectKey(parts: KeyParts): string {
  const partition = parts.partition === null ? '' : `.${parts.partition}`;
  const cipher = parts.cipher === 'gpg' ? '.gpg' : '';
  return `${keyStem(parts)}${partition}.${LAYOUT_SUFFIX[parts.layout]}.${CODECS[parts.codec].suffix}${cipher}`;
}

export const manifestKey = (name: ArchiveName): string => `${keyStem(name)}.manifest.json`;

/** Formats a time in UTC with whole seconds and `+00:00`. Milliseconds are cut off, as in version 0. */
export const formatStartTime = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, '+00:00');

/** Normalizes the value of `--prefix`: removes leading slashes and adds one at the end. */
export const normalisePrefix = (prefix: string): string =>
  prefix === '' ? '' : `${prefix.replace(/^\/+/, '').replace(/\/+$/, '')}/`;

export interface ParsedKey extends KeyParts {
  /** The description that version 0 wrote into keys; `null` if there is none. */
  description: string | null;
}

/**
 * Parses the key of a data object. Keys of version 0 have any UTC offset, ` - <description>`, a partition as `1` or
 * `p1`, and the suffix `.zstd`. A description with an end like that of a partition (`release 2.1`) is ambiguous:
 * `endsInDescription` decides.
 * @returns `null` for any other key.
 */
export function parseKey(key: string): ParsedKey | null {
  const found = DATA_KEY.exec(key)?.groups;
  const name = found && nameIn(found);
  const codec = CODECS_BY_SUFFIX.get(found?.['codec'] ?? '');
  if (!name || !codec) return null;
  return {
    ...name,
    description: found['description'] ?? null,
    partition: found['partition'] === undefined ? null : Number(found['partition']),
    layout: found['layout'] === 'tar' ? 'tar' : 'image',
    codec,
    cipher: found['cipher'] === undefined ? 'none' : 'gpg',
  };
}

/** @param found the groups that both kinds of keys have. @returns `null` if the time is none. */
function nameIn(found: Record<string, string | undefined>): ArchiveName | null {
  const startTime = new Date(parseInstant(found['time'] ?? ''));
  if (Number.isNaN(startTime.getTime())) return null;
  return {
    prefix: found['prefix'] ?? '',
    volumeId: found['volume'] ?? '',
    startTime,
    snapshotId: found['snapshot'] ?? '',
  };
}

/** Whether the supposed partition may be the end of the description. */
export const isAmbiguous = ({ description, partition }: ParsedKey): boolean =>
  description !== null && partition !== null;

/** @param description from the metadata of the object. HTTP strips spaces at its ends. */
export function endsInDescription(key: string, { snapshotId }: ParsedKey, description: string): boolean {
  const intro = `${snapshotId} - `;
  const text = key.slice(key.indexOf(intro) + intro.length).replace(/\.(tar|img)\.[a-z0-9]+(\.gpg)?$/, '');
  return text.trim() === description.trim();
}

/** Version 0 wrote `.zstd`. */
const CODECS_BY_SUFFIX = new Map<string, CodecName>([
  ...(Object.keys(CODECS) as CodecName[]).map((name): [string, CodecName] => [CODECS[name].suffix, name]),
  ['zstd', 'zstd'],
]);

const DATA_KEY = new RegExp(
  [
    `^(?<prefix>(?:[^]*/)?)(?<volume>${ANY_VOLUME_ID})/`,
    `(?<time>\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}[+-]\\d{2}:\\d{2}) (?<snapshot>${ANY_SNAPSHOT_ID})`,
    '(?: - (?<description>[^]*?))?(?:\\.p?(?<partition>[1-9]\\d{0,2}))?',
    `\\.(?<layout>tar|img)\\.(?<codec>${[...CODECS_BY_SUFFIX.keys()].join('|')})(?<cipher>\\.gpg)?$`,
  ].join(''),
);

/** A small object of an archive. */
export interface SmallKey extends ArchiveName {
  what: 'manifest' | 'index';
}

/** @returns `null` for any other key. */
export function parseSmallKey(key: string): SmallKey | null {
  const found = SMALL_KEY.exec(key)?.groups;
  const name = found && nameIn(found);
  if (!name) return null;
  return {
    ...name,
    what: found['what'] === '.manifest.json' ? 'manifest' : 'index',
  };
}

/** An object of a generation of an incremental archive. */
export interface GenerationKey extends ArchiveName {
  what: 'pack' | 'blocks' | 'map';
}

/**
 * The objects of one attempt to store a point. Every attempt has keys of its own, so that nothing that an interrupted run
 * still does can concern the objects of the next one.
 */
export interface AttemptName extends ArchiveName {
  /** Eight random hexadecimal digits. */
  attempt: string;
  cipher: Cipher;
}

/** The key of a pack, e.g. `vol-1/2017-01-01T00:00:00+00:00 snap-1.1a2b3c4d.pack.0001.lz4`. @param number from 1 on */
export const packKey = (name: AttemptName, number: number, codec: CodecName): string =>
  keyOfAttempt(name, `pack.${String(number).padStart(4, '0')}.${CODECS[codec].suffix}`);

/** The key of the list of blocks that a generation stores, or of the map of a point. */
export const generationKey = (name: AttemptName, what: 'blocks' | 'map'): string => keyOfAttempt(name, `${what}.zst`);

const keyOfAttempt = (name: AttemptName, end: string): string =>
  `${keyStem(name)}.${name.attempt}.${end}${name.cipher === 'gpg' ? '.gpg' : ''}`;

/** @returns `null` for any other key. */
export function parseGenerationKey(key: string): GenerationKey | null {
  const found = GENERATION_KEY.exec(key)?.groups;
  const name = found && nameIn(found);
  if (!name) return null;
  const what = found['what'];
  return { ...name, what: what === 'blocks' || what === 'map' ? what : 'pack' };
}

/** The common start of the keys of one attempt to store a point. @param key of one of its objects */
export const attemptStem = (key: string): string => key.replace(/(?:(?:blocks|map)\.zst|pack\.[^/]*?)(?:\.gpg)?$/, '');

/** Returns the archive that an object belongs to; `null` for any other key. */
export const parseAnyKey = (key: string): ArchiveName | null =>
  parseKey(key) ?? parseSmallKey(key) ?? parseGenerationKey(key);

/** The start of a key, up to the snapshot. */
const STEM = `^(?<prefix>(?:[^]*/)?)(?<volume>${ANY_VOLUME_ID})/(?<time>\\S+) (?<snapshot>${ANY_SNAPSHOT_ID})`;

const GENERATION_KEY = new RegExp(
  `${STEM}\\.[0-9a-f]{8}\\.(?:(?<what>blocks|map)\\.zst|pack\\.\\d{4,}\\.(?:lz4|zst))(?:\\.gpg)?$`,
);

const SMALL_KEY = new RegExp(`${STEM}(?<what>\\.manifest\\.json|(?:\\.[1-9]\\d{0,2})?\\.index\\.zst(?:\\.gpg)?)$`);
