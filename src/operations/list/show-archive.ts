/** The operation `list ARCHIVE`: shows one archive from its manifest, its indexes and the heads of its objects. */
import { describeLock, lockInNote } from '../../archive/lock-note.ts';
import type { Manifest, RecordedPartition } from '../../archive/manifest.ts';
import { tableFacts } from '../../archive/partition-facts.ts';
import { chainLock, POINT_FORMAT, type PointManifest } from '../../archive/points/point-manifest.ts';
import { asError, EXIT, type ExitCode, SnapError } from '../../errors.ts';
import type { ShownArchive, ShownObject } from '../../events.ts';
import { inParallel } from '../../lib/parallel.ts';
import { printable } from '../../lib/printable.ts';
import { originOf } from '../reading/bucket/origin.ts';
import { type Archive, type ArchivedObject, withManifest } from '../reading/find-archive.ts';
import { findArchivesById } from '../reading/find-archives.ts';
import { openManifest, openPointManifest } from '../reading/open-manifest.ts';
import type { Services } from '../shared/services.ts';
import type { ShowSettings } from '../shared/settings/list.ts';
import { exitCodeOf, listFiles } from './list-files.ts';
import { showPoint } from './summarize-point.ts';

/**
 * Shows the manifest of an archive, or lists its files if `settings.files` is set.
 * @returns `EXIT.nothingToDo` if no file matches; `EXIT.someFailed` if an index could not be read, `EXIT.differs` if one is
 *   damaged.
 * @throws SnapError `NOT_FOUND`, `MANIFEST`, `BUCKET`, `ACCESS_DENIED`
 */
export async function showArchive(settings: ShowSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const { snapshotId: snapshot, prefix, files } = settings;
  const { archives, missing } = await findArchivesById([snapshot], prefix, services, signal);
  const [archive] = archives;
  if (!archive) throw missing[0]?.error ?? new SnapError('BUG', `no archive and no error for ${snapshot}`);
  if (files === null) {
    const opened = await unsealed(archive, settings, signal);
    services.host.notify({ code: 'archive.shown', snapshot, archive: await shown(opened, services, signal) });
    return EXIT.ok;
  }
  const reading = { ...services, signal, streams: settings.downloadStreams, sessionKey: null };
  const found = await listFiles(archive, files, reading, (file) => services.host.notify({ code: 'file.listed', file }));
  const { damaged: _, ...totals } = found;
  services.host.notify({ code: 'find.finished', archives: 1, ...totals });
  return exitCodeOf(found);
}

interface Opened {
  archive: Archive;
  whyClosed: string | null;
}

/** Opens the sealed part of the manifest. If that fails, the rest is shown with the reason. @throws SnapError `INTERRUPTED` */
async function unsealed(
  archive: Archive,
  { snapshotId, passphraseWithin }: ShowSettings,
  signal: AbortSignal,
): Promise<Opened> {
  const { manifest, point } = archive;
  try {
    if (point) {
      const sealed = await openPointManifest(point, signal, passphraseWithin);
      const content = { ...point.content, ...sealedFields(point.content, sealed) };
      return { archive: { ...archive, point: { ...point, content } }, whyClosed: null };
    }
    if (!manifest) return { archive, whyClosed: null };
    const sealed = await openManifest(manifest, snapshotId, signal, passphraseWithin);
    const content = withSealed(manifest.content, sealed);
    return { archive: withManifest(snapshotId, { ...manifest, content }), whyClosed: null };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError)) throw error;
    const reason = error.code === 'GPG_KEY' && error.cause ? asError(error.cause) : error;
    return { archive, whyClosed: printable(reason.message) };
  }
}

/** Adds only the sealed fields. The others are taken from outside, because some of them, such as `validatedAt`, change later. */
function withSealed(content: Manifest, sealed: Manifest): Manifest {
  const objects = new Map(sealed.objects.map((object) => [object.key, object]));
  const recorded = new Map(recordedIn(sealed).map((found) => [found.partition, found]));
  return {
    ...content,
    ...sealedFields(content, sealed),
    objects: content.objects.map((object) => ({ ...object, ...namesOf(objects.get(object.key)) })),
    recorded: recordedIn(content).map((found) => ({ ...found, ...namesOf(recorded.get(found.partition)) })),
  };
}

type AnyContent = Manifest | PointManifest;

const sealedFields = (content: AnyContent, sealed: AnyContent): Pick<Manifest, 'snapshot' | 'disk'> => ({
  snapshot: { ...content.snapshot, tags: sealed.snapshot.tags },
  disk: { ...content.disk, partitionTable: sealed.disk.partitionTable },
});

const recordedIn = ({ recorded }: Manifest): RecordedPartition[] =>
  (recorded ?? []).filter((found) => typeof found === 'object' && found !== null);

const namesOf = (found: { uuid: string | null; label: string | null } | undefined) =>
  found ? { uuid: found.uuid, label: found.label } : {};

const CONCURRENT_HEADS = 8;

async function shown({ archive, whyClosed }: Opened, { store }: Services, signal: AbortSignal): Promise<ShownArchive> {
  const objects: ShownObject[] = [];
  await inParallel([...archive.objects.entries()], CONCURRENT_HEADS, signal, async ([index, object], working) => {
    const head = await store.head(object.key, { signal: working });
    objects[index] = {
      ...factsOf(object),
      storedBytes: head?.bytes ?? null,
      storageClass: head?.storageClass ?? null,
      retrieval: head?.restore ?? null,
      storedAt: head?.modifiedAt.toISOString() ?? null,
    };
  });
  const { manifest, point } = archive;
  if (point) {
    const summary = showPoint(point.content);
    const content = { ...point.content, validatedAt: summary.validatedAt };
    return { ...fromManifest(content, [], whyClosed), point: summary, objects };
  }
  if (manifest)
    return { ...fromManifest(manifest.content, recordedIn(manifest.content), whyClosed), point: null, objects };
  return { point: null, manifest: null, origin: await originOf(archive, store, signal), recorded: [], objects };
}

/** A manifest is untrusted input: fields of another type are shown as missing. */
const text = (value: unknown): string | null => (typeof value === 'string' ? printable(value) : null);
const amount = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function factsOf({ key, partition, layout, codec, cipher, facts }: ArchivedObject) {
  return {
    key,
    partition,
    layout,
    codec,
    cipher,
    filesystem: text(facts?.filesystem),
    label: text(facts?.label),
    uuid: text(facts?.uuid),
    plainBytes: facts?.plainBytes ?? null,
    hasIndex: Boolean(facts?.index),
  };
}

function fromManifest(
  content: AnyContent,
  parts: readonly RecordedPartition[],
  whyClosed: string | null,
): Omit<ShownArchive, 'objects' | 'point'> {
  const { snapshot, disk, tool } = content;
  return {
    manifest: {
      tool: `${text(tool?.name) ?? ''} ${text(tool?.version) ?? ''}`.trim(),
      source: text(content.source),
      layout: text(content.layout),
      startedAt: text(content.startedAt),
      finishedAt: text(content.finishedAt),
      validatedAt: text(content.validatedAt),
      differedAt: text(content.differedAt),
      lock: lockOf(content),
      isSealed: typeof content.sealed === 'string',
      whyClosed,
      volume: text(snapshot.volumeId),
      region: text(snapshot.region),
      owner: text(snapshot.ownerId),
      sizeGiB: snapshot.sizeGiB,
      startTime: text(snapshot.startTime),
      description: printable(snapshot.description),
      encrypted: snapshot.encrypted === true,
      tags: Object.fromEntries(Object.entries(snapshot.tags).map((pair) => pair.map(printable))) as Record<
        string,
        string
      >,
      diskBytes: amount(disk.bytes),
      sectorBytes: amount(disk.sectorBytes),
      table: text(disk.table),
      ...tableFacts(disk.partitionTable),
    },
    origin: null,
    recorded: parts.map(recorded),
  };
}

/** The mode and the date have been checked. */
function lockOf(content: AnyContent): string | null {
  const lock = content.format === POINT_FORMAT ? chainLock(content.point.chain) : lockInNote(content.lock);
  return lock && describeLock(lock);
}

const recorded = ({ partition, filesystem, label, uuid, bytes, reason }: RecordedPartition) => ({
  partition: amount(partition),
  filesystem: text(filesystem),
  label: text(label),
  uuid: text(uuid),
  bytes: amount(bytes),
  reason: text(reason),
});
