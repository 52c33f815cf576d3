/** Reads an object as a whole with the SDK, which retries the call and compares the body with its checksum. */
import type { Readable } from 'node:stream';
import { SnapError } from '../../../errors.ts';
import { sleep } from '../../../lib/clock.ts';
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '../sdk.ts';
import { recordRequest, type SentRequest } from './sent-request.ts';

/** Enough for the index of the largest possible volume. */
export const MAX_SMALL_OBJECT_BYTES = 2 ** 30;

/** Maximum reads of an object whose body breaks off, stalls, or does not match its checksum. */
const OBJECT_READ_ATTEMPTS = 6;

/** Milliseconds before the next read. It doubles each time. */
const OBJECT_RETRY_PAUSE = 100;

export interface WholeObject {
  answer: GetObjectCommandOutput;
  body: Buffer;
  /** The request that was answered; `null` if the SDK did not show it. */
  sent: SentRequest | null;
}

/** The SDK retries calls, but not the reading of bodies. @throws SnapError `MANIFEST` if the object is too long. */
export async function readWhole(
  client: S3Client,
  object: { Bucket: string; Key: string },
  signal: AbortSignal,
): Promise<WholeObject> {
  for (let reads = 1; ; reads++) {
    const command = new GetObjectCommand(object);
    const sent = recordRequest(command);
    const answer = await client.send(command, { abortSignal: signal });
    if ((answer.ContentLength ?? 0) > MAX_SMALL_OBJECT_BYTES) {
      // In Node, the body is a `Readable`; the SDK declares another type.
      (answer.Body as unknown as Readable | undefined)?.destroy();
      throw tooLong(object.Key, answer.ContentLength);
    }
    try {
      const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? EMPTY_BODY);
      return { answer, body, sent: sent() };
    } catch (error) {
      signal.throwIfAborted();
      if (reads === OBJECT_READ_ATTEMPTS) throw error;
    }
    await sleep(OBJECT_RETRY_PAUSE * 2 ** (reads - 1), signal);
  }
}

const tooLong = (key: string, bytes?: number): SnapError =>
  new SnapError('MANIFEST', `${key} was not written by this program: it has ${bytes} bytes`, {
    hint: 'something else has overwritten it; the data objects may still be intact',
  });

const EMPTY_BODY = Buffer.alloc(0);
