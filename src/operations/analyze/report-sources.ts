/** The files of billing reports: local files, standard input, or objects in S3, where a manifest lists the files. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dataFolderOf, type ManifestPlace, parseManifest, placeOf } from '../../billing/manifest.ts';
import type { ReportSource } from '../../billing/source.ts';
import { asError, SnapError } from '../../errors.ts';
import { KiB } from '../../lib/units.ts';
import { downloadBytes } from '../../transfer/download.ts';
import type { AnalyzeServices, ReadableBucket } from '../shared/services.ts';
import type { AnalyzeSettings } from '../shared/settings/analyze.ts';

/**
 * @throws SnapError `USAGE` if an input does not exist or is not exactly one report; `REPORT` if a manifest is incomplete;
 *   `BUCKET`, `ACCESS_DENIED`.
 */
export async function reportSources(
  settings: AnalyzeSettings,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<ReportSource[]> {
  const sources: ReportSource[] = [];
  for (const input of settings.inputs) {
    if (input === '-') sources.push(standardInput(settings.input));
    else if (input.startsWith('s3://')) sources.push(...(await s3Sources(input, settings, services, signal)));
    else sources.push(await localSource(input));
  }
  return sources;
}

const standardInput = (input: AsyncIterable<Uint8Array>): ReportSource => ({
  name: 'standard input',
  bytes: null,
  path: null,
  open: () => input,
});

async function localSource(path: string): Promise<ReportSource> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new SnapError('USAGE', `cannot read ${path}: ${asError(cause).message}`, {
      hint: 'specify the path of a report file, - for standard input, or s3://BUCKET/PREFIX',
      cause,
    });
  });
  if (found.isDirectory()) {
    throw new SnapError('USAGE', `${path} is a directory`, { hint: 'specify the report files in it' });
  }
  return {
    name: path,
    bytes: found.isFile() ? found.size : null,
    path: found.isFile() ? path : null,
    open: () => createReadStream(path, { highWaterMark: 256 * KiB }),
  };
}

/** @param address the URL of an object, of a manifest, or of the folder of a report. */
async function s3Sources(
  address: string,
  { months }: AnalyzeSettings,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<ReportSource[]> {
  const [, bucketName, key = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(address) ?? [];
  if (bucketName === undefined) {
    throw new SnapError('USAGE', `${address} is not a valid S3 URL`, { hint: 'specify s3://BUCKET/PREFIX' });
  }
  const bucket = services.bucket(bucketName);
  if (/-Manifest\.json$/i.test(key)) return filesOf(key, bucket, signal);
  const head = key === '' || key.endsWith('/') ? null : await bucket.head(key, { signal });
  if (head !== null) return [objectSource(head, bucket)];
  const sources: ReportSource[] = [];
  for (const manifest of await newestManifests(address, key, bucket, months, signal)) {
    sources.push(...(await filesOf(manifest, bucket, signal)));
  }
  return sources;
}

const objectSource = (
  { key, etag, bytes }: { key: string; etag: string; bytes: number },
  bucket: ReadableBucket,
): ReportSource => ({
  name: `s3://${bucket.bucket}/${key}`,
  bytes,
  path: null,
  open: (signal) => downloadBytes(bucket.reader(key, etag), bytes, { bucket: bucket.bucket, streams: 2, signal }),
});

interface FoundManifest extends ManifestPlace {
  key: string;
  modifiedAt: Date;
}

/** @returns the keys of the newest manifests of the last `months` months, oldest month first. */
async function newestManifests(
  address: string,
  prefix: string,
  bucket: ReadableBucket,
  months: number,
  signal: AbortSignal,
): Promise<string[]> {
  const newest = new Map<string, FoundManifest>();
  for await (const { key, modifiedAt } of bucket.objects(prefix, { signal })) {
    const place = placeOf(key);
    if (!place) continue;
    const id = `${place.report}\0${place.period}`;
    const known = newest.get(id);
    if (!known || isNewer({ key, modifiedAt }, known)) newest.set(id, { ...place, key, modifiedAt });
  }
  const found = [...newest.values()].sort((a, b) => a.period.localeCompare(b.period));
  assertOneReport(address, found);
  return found.slice(-months).map(({ key }) => key);
}

/** If two manifests have the same time, AWS keeps the one in the folder of the month, with the shorter key, up to date. */
const isNewer = (one: Pick<FoundManifest, 'key' | 'modifiedAt'>, other: FoundManifest): boolean => {
  const later = one.modifiedAt.getTime() - other.modifiedAt.getTime();
  return later > 0 || (later === 0 && one.key.length < other.key.length);
};

/** Refuses several reports, because two reports of the same bill would count everything twice. */
function assertOneReport(address: string, found: readonly FoundManifest[]): void {
  const reports = [...new Set(found.map(({ report }) => report))].sort();
  if (reports.length === 0) {
    throw new SnapError('USAGE', `there is no billing report below ${address}`, {
      hint: 'specify the folder of the report, which contains a Manifest.json, or one of its files',
    });
  }
  if (reports.length === 1) return;
  throw new SnapError('USAGE', `there are ${reports.length} reports below ${address}: ${reports.join(', ')}`, {
    hint: 'specify the prefix of one of them, because several reports can cover the same bill',
  });
}

async function filesOf(manifestKey: string, bucket: ReadableBucket, signal: AbortSignal): Promise<ReportSource[]> {
  const { body } = await bucket.getSmall(manifestKey, { signal });
  const files = parseManifest(body.toString())?.files.map((file) => file.replace(/^s3:\/\/[^/]+\//, '')) ?? [];
  const keys = files.length > 0 ? files : await dataFiles(manifestKey, bucket, signal);
  if (keys.length === 0) {
    throw new SnapError('REPORT', `s3://${bucket.bucket}/${manifestKey} lists no files`, {
      hint: 'AWS may still be writing the report: run the same command again later, or specify the report files',
    });
  }
  const heads = await Promise.all(keys.map((key) => bucket.head(key, { signal })));
  return heads.flatMap((head, at) => {
    if (head === null) throw missing(`s3://${bucket.bucket}/${keys[at]}`);
    return head.bytes === 0 ? [] : [objectSource(head, bucket)];
  });
}

const missing = (address: string): SnapError =>
  new SnapError('REPORT', `${address} does not exist, although the manifest of the report lists it`, {
    hint: 'AWS may be replacing the report: run the same command again in a few minutes',
  });

async function dataFiles(manifestKey: string, bucket: ReadableBucket, signal: AbortSignal): Promise<string[]> {
  const folder = dataFolderOf(manifestKey);
  if (folder === null) return [];
  const keys: string[] = [];
  for await (const { key } of bucket.objects(folder, { signal })) {
    // Subfolders belong to older executions, which have their own manifests.
    if (!key.slice(folder.length).includes('/')) keys.push(key);
  }
  return keys;
}
