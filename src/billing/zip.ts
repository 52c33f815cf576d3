/** Reads reports in zip files, which contain one CSV file, as AWS writes them, or several. */
import { crc32 } from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { SnapError } from '../errors.ts';
import { damaged, RatioLimit } from './unpack.ts';

export interface ZippedFile {
  name: string;
  chunks: AsyncGenerator<Uint8Array>;
}

/** Yields the files of a zip file in turn; read each completely before the next. @throws SnapError `REPORT` */
export async function* unzipped(path: string, name: string): AsyncGenerator<ZippedFile> {
  const zip = await openZip(path, name);
  const limit = new RatioLimit(name);
  try {
    for await (const entry of zip.eachEntry()) {
      if (isNoReport(entry.fileName)) continue;
      yield { name: `${entry.fileName} in ${name}`, chunks: contentOf(zip, entry, name, limit) };
    }
  } catch (error) {
    throw error instanceof SnapError ? error : damaged(name, error);
  } finally {
    zip.close();
  }
}

/** Directories, the metadata files that macOS adds, and the manifest of a report. */
const isNoReport = (path: string): boolean =>
  /(^|\/)(__MACOSX\/|\._|\.DS_Store$)/.test(path) || path.endsWith('/') || /-Manifest\.json$/i.test(path);

/** The directory of a zip file is at its end, so nothing of a truncated file can be read. */
async function openZip(path: string, name: string): Promise<ZipFile> {
  try {
    return await openPromise(path, { autoClose: false, strictFileNames: false });
  } catch (cause) {
    throw new SnapError('REPORT', `${name} is a truncated or damaged zip file`, {
      hint: 'download it again, and compare its size with the object in the bucket',
      cause,
    });
  }
}

async function* contentOf(zip: ZipFile, entry: Entry, name: string, limit: RatioLimit): AsyncGenerator<Uint8Array> {
  if (entry.isEncrypted()) throw new SnapError('REPORT', `${name} is encrypted`, { hint: 'unpack it manually first' });
  let sum = 0;
  for await (const chunk of (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>) {
    limit.check(chunk.length, zip.fileSize);
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (sum !== entry.crc32) throw damaged(name, new Error(`the checksum of ${entry.fileName} does not match`));
}
