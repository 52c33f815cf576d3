/** One archive as text: its snapshot, when and how it was stored, and how each partition was stored. */
import type { ShownArchive, ShownManifest, ShownObject, ShownPoint } from '../../../../events.ts';
import { printable } from '../../../../lib/printable.ts';
import { count, formatBytes } from '../../../../lib/units.ts';
import { ORIGINS } from './archive-lines.ts';

export function describeShown(snapshot: string, archive: ShownArchive): string {
  const { manifest, origin } = archive;
  const why = origin ? `. ${ORIGINS[origin.is]}: ${origin.reason}` : '';
  const head = manifest ? describeManifest(snapshot, manifest) : [`${snapshot}: no manifest${why}`];
  const lines = describePartitions(archive).flatMap(({ number, lines: [first = '', ...rest] }) => [
    `  ${(number === null ? 'disk' : `partition ${number}`).padEnd(WIDTH)}${first}`,
    ...rest.map((line) => `${' '.repeat(WIDTH + 2)}${line}`),
  ]);
  return [...head, ...(archive.point ? describePoint(archive.point) : []), ...lines].join('\n');
}

/** Each partition with its objects and its place on the disk, in the order of partition numbers. */
function describePartitions({
  manifest,
  objects,
  recorded,
}: ShownArchive): { number: number | null; lines: string[] }[] {
  const contents = [
    ...objects.map((object) => ({ number: object.partition, lines: describeObject(object) })),
    ...recorded.map((found) => ({ number: found.partition, lines: [describeRecorded(found)] })),
  ];
  const places = new Map((manifest?.partitions ?? []).map((place) => [place.number, describePlace(place)]));
  // Extended partitions have no content of their own; in an image of the whole disk, no partition has.
  const others = [...places.keys()].filter((number) => !contents.some((content) => content.number === number));
  return [...contents, ...others.map((number) => ({ number, lines: [] }))]
    .map(({ number, lines }) => ({
      number,
      lines: [...lines, ...((number === null ? null : places.get(number)) ?? [])],
    }))
    .sort((one, other) => (one.number ?? 0) - (other.number ?? 0));
}

function describePlace({ start, bytes, type, name, uuid }: ShownManifest['partitions'][number]): string[] {
  const facts = [
    start === null || bytes === null ? null : `${formatBytes(bytes)} at offset ${formatBytes(start)}`,
    type === null ? null : `type ${type}`,
    name ? `"${name}"` : null,
    uuid,
  ].filter(Boolean);
  return facts.length === 0 ? [] : [facts.join(', ')];
}

/** Width of the labels. */
const WIDTH = 13;

const fact = (name: string, ...values: (string | null)[]): string[] => {
  const known = values.filter((value) => value !== null && value !== '');
  return known.length === 0 ? [] : [`  ${name.padEnd(WIDTH)}${known.join(', ')}`];
};

function describeManifest(snapshot: string, manifest: ShownManifest): string[] {
  const { tool, source, layout, diskBytes, table, tableId, sectorBytes } = manifest;
  const tags = Object.entries(manifest.tags).map(([key, value]) => `${key}=${value}`);
  const read = { volume: 'read from a temporary volume', direct: 'read directly' }[source ?? ''] ?? null;
  return [
    `${snapshot}: ${manifest.sizeGiB} GiB snapshot of ${manifest.volume}, taken ${manifest.startTime}`,
    ...fact('from', manifest.region, manifest.owner, manifest.encrypted ? 'the snapshot was encrypted' : null),
    ...fact('description', manifest.description),
    ...fact('tags', ...tags),
    ...fact('stored', manifest.finishedAt, `by ${tool}`, read, layout),
    ...fact('validated', manifest.validatedAt ?? 'never'),
    ...fact('differed', manifest.differedAt && `${manifest.differedAt}: the archive did not match its snapshot`),
    ...fact('locked', manifest.lock && `${manifest.lock}, when it was stored`),
    ...fact(
      'disk',
      diskBytes === null ? null : formatBytes(diskBytes),
      table === 'none' ? 'no partition table' : [table, tableId].filter(Boolean).join(' '),
      sectorBytes === null ? null : `sectors of ${sectorBytes} bytes`,
    ),
    ...(manifest.isSealed ? fact('sealed', describeSeal(manifest)) : []),
  ];
}

function describePoint({ how, reason, parent, base, generations, ...point }: ShownPoint): string[] {
  const chosen = {
    base: 'all blocks',
    'changed-blocks': `changed blocks since ${parent}`,
    hashes: `other hashes than ${parent}`,
  };
  const suffixes = [point.codec, ...(point.cipher === 'gpg' ? ['gpg'] : [])].join('.');
  const own = `${formatBytes(point.ownBytes)} in ${count(point.packs, 'pack')}`;
  return [
    ...fact('incremental', how === 'base' ? 'a base' : `base ${base}`, chosen[how], reason),
    ...(point.validation?.packs === 'not-read'
      ? fact('compared', `${point.validation.at} by hashes; packs not read`)
      : []),
    ...fact('own data', own, point.packs === 0 ? null : `${suffixes}, ${point.storageClass}`),
    ...generations.flatMap(({ snapshot, usedBytes }) =>
      fact('needs', `${formatBytes(usedBytes)} stored for ${snapshot}`),
    ),
  ];
}

const describeSeal = ({ whyClosed }: ShownManifest): string =>
  whyClosed === null
    ? `${SEALED} are encrypted like the data; they were decrypted for this output`
    : `${SEALED} are encrypted like the data, and were not decrypted: ${whyClosed}; use the private key of a recipient`;

const SEALED = 'all tags, labels, UUIDs and the partition table';

function describeObject(object: ShownObject): string[] {
  const { layout, codec, cipher, plainBytes, storedBytes, storageClass } = object;
  const suffixes = [layout, codec, ...(cipher === 'gpg' ? ['gpg'] : [])].join('.');
  const size = `${plainBytes === null ? '' : `${formatBytes(plainBytes)} as `}${formatBytes(storedBytes ?? 0)}`;
  const state =
    storedBytes === null ? 'NOT IN THE BUCKET' : `${size}, ${storageClass}${RETRIEVAL[object.retrieval ?? ''] ?? ''}`;
  const files = layout === 'image' ? '' : object.hasIndex ? ', files can be listed' : ', without an index';
  return [`${filesystemOf(object)}${suffixes}, ${state}${files}`, printable(object.key)];
}

const RETRIEVAL: Record<string, string> = {
  needed: ' (must be thawed)',
  ongoing: ' (being thawed)',
  restored: ' (thawed)',
};

function filesystemOf({ filesystem, label, uuid }: Pick<ShownObject, 'filesystem' | 'label' | 'uuid'>): string {
  const parts = [filesystem, label ? `"${label}"` : null, uuid].filter(Boolean);
  return parts.length === 0 ? '' : `${parts.join(' ')}: `;
}

function describeRecorded(found: ShownArchive['recorded'][number]): string {
  const size = found.bytes === null ? '' : `${formatBytes(found.bytes)}, `;
  return `${filesystemOf(found)}${size}recorded, not stored${found.reason ? ` (${found.reason})` : ''}`;
}
