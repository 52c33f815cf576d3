/** Reads the body of a block directly into its buffer, and hashes it while it arrives. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { SnapshotBlock } from '../../blocks.ts';

/**
 * The SDK collects chunks and joins them, which takes a third of the time of the whole read.
 * @param bytes the memory for the block, of the expected length.
 * @returns `null` if the connection broke or timed out, or if the body has another length.
 */
export function readBlockBody(body: Readable, bytes: Buffer, signal: AbortSignal): Promise<SnapshotBlock | null> {
  const { length } = bytes;
  const hash = createHash('sha256');
  let position = 0;
  const { promise, resolve, reject } = Promise.withResolvers<SnapshotBlock | null>();
  const giveUp = () => {
    body.destroy();
    resolve(null);
  };
  const onAbort = () => {
    body.destroy();
    reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  body.on('data', (chunk: Buffer) => {
    if (position + chunk.length > length) return giveUp();
    bytes.set(chunk, position);
    hash.update(chunk);
    position += chunk.length;
  });
  body.once('error', () => resolve(null));
  body.once('close', () => resolve(null));
  body.once('end', () => resolve(position === length ? { bytes, sha256: hash.digest('base64') } : null));
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
  });
}
