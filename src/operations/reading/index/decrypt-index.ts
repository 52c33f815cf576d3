/** Decrypts an index in memory with the private key. A session key opens only the data object. */
import { createReadStream } from 'node:fs';
import { damagedIndex } from '../../../archive/file-index.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe, writeAll } from '../../../transfer/pipes.ts';
import { decryptStage } from '../archive-stages.ts';
import type { ArchivedObject } from '../find-archive.ts';

/** The limit for indexes that are not encrypted applies here, too. */
const MAX_BYTES = 2 ** 30;

/**
 * @param body the stored, encrypted index.
 * @param isIntact whether the body is known to be what was stored.
 * @throws SnapError `GPG_KEY`, `DIFFERS`
 */
export async function decryptIndex(
  object: ArchivedObject,
  key: string,
  { body, isIntact }: { body: Uint8Array; isIntact: boolean },
  signal: AbortSignal,
): Promise<Buffer> {
  using decrypt = await decryptStage(object, null);
  const { readEnd, writeEnd } = await makePipe();
  await using pipeline = await startPipeline(decrypt.stages, { signal, input: readEnd })
    .catch((error) => {
      closeAll([writeEnd]);
      throw error;
    })
    .finally(() => closeAll([readEnd]));
  const writing = writeAll(writeEnd, body).finally(() => closeAll([writeEnd]));
  const plain = await collect(pipeline.output, key);
  await writing;
  await pipeline.finished.catch((error) => {
    const { cause, ifIntact } = decrypt.judge(error, plain.length === 0);
    throw (isIntact ? ifIntact : null) ?? damagedIndex(key, 'it cannot be decrypted', cause);
  });
  return plain;
}

async function collect(descriptor: number, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of createReadStream('', { fd: descriptor })) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > MAX_BYTES) throw damagedIndex(key, 'it is larger than any valid index');
  }
  return Buffer.concat(chunks);
}
