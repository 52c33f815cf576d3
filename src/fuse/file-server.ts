/** Serves a disk as one file, through an open `/dev/fuse`. */
import { read, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { sleep } from '../lib/clock.ts';
import {
  attributesContent,
  decodeRequest,
  ERRNO,
  encodeError,
  encodeReply,
  initContent,
  openContent,
  REQUEST_BYTES,
  type Request,
  statisticsContent,
  writtenContent,
} from './protocol.ts';

export interface ServedDisk {
  /** Bytes. */
  size: number;
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Buffer): Promise<void>;
}

export interface ServerOptions {
  /** An open `/dev/fuse`; it stays the caller's. */
  descriptor: number;
  disk: ServedDisk;
  /** Told of each read or write that fails; the kernel is given EIO. */
  onError: (error: unknown) => void;
}

/** Each holds a thread of libuv's pool while it waits for the kernel. */
const READERS = 2;

const readAsync = promisify(read);

/** Settles when the file has been unmounted. */
export async function serveFile(options: ServerOptions): Promise<void> {
  await Promise.all(Array.from({ length: READERS }, () => readRequests(options)));
}

async function readRequests(options: ServerOptions): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES);
  for (;;) {
    const length = await nextRequest(options.descriptor, buffer);
    if (length === null) return;
    const request = decodeRequest(buffer.subarray(0, length));
    const answered = answer(request, options);
    // What is to be written lies in the buffer.
    if (request.kind === 'write') await answered;
  }
}

/** Before the mount there is nothing to read (EPERM), requests may be taken back (ENOENT), and the end is ENODEV. */
async function nextRequest(descriptor: number, buffer: Buffer): Promise<number | null> {
  for (;;) {
    try {
      const { bytesRead } = await readAsync(descriptor, buffer, 0, buffer.length, null);
      return bytesRead;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENODEV') return null;
      if (code === 'EPERM') await sleep(2);
      else if (!['EINTR', 'ENOENT', 'EAGAIN'].includes(code ?? '')) throw error;
    }
  }
}

/** Never rejects. */
async function answer(request: Request, { descriptor, disk, onError }: ServerOptions): Promise<void> {
  if (request.kind === 'silent') return;
  try {
    const content = await contentFor(request, disk);
    reply(() => (content ? writevSync(descriptor, encodeReply(request.id, content)) : refuse(descriptor, request.id)));
  } catch (error) {
    onError(error);
    reply(() => writeSync(descriptor, encodeError(request.id, ERRNO.EIO)));
  }
}

const refuse = (descriptor: number, id: bigint): number => writeSync(descriptor, encodeError(id, ERRNO.ENOSYS));

/** Who asked may be gone (ENOENT), and so may the mount (ENODEV). */
function reply(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** @returns `null` for what is not spoken here. */
async function contentFor(request: Exclude<Request, { kind: 'silent' }>, disk: ServedDisk): Promise<Buffer | null> {
  switch (request.kind) {
    case 'init':
      return initContent(request);
    case 'attributes':
      return attributesContent(disk.size);
    case 'open':
      return openContent();
    case 'read':
      return disk.read(request.offset, request.length);
    case 'write':
      await disk.write(request.offset, request.data);
      return writtenContent(request.data.length);
    case 'statistics':
      return statisticsContent();
    case 'nothing':
      return Buffer.alloc(0);
    case 'unknown':
      return null;
  }
}
