/** Serves a disk as a single file through an open `/dev/fuse`. */
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

export interface FuseDisk {
  /** Size in bytes. */
  size: number;
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Buffer): Promise<void>;
}

export interface ServerOptions {
  /** An open `/dev/fuse`. The caller closes it. */
  descriptor: number;
  disk: FuseDisk;
  /** Called for each read or write that fails. The kernel receives EIO. */
  onError: (error: unknown) => void;
}

/** Each reader occupies a thread of libuv's pool while it waits for the kernel. */
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
    // The data to write are in the buffer, so it cannot be reused yet.
    if (request.kind === 'write') await answered;
  }
}

/**
 * Returns the length of the next request; `null` after the unmount (ENODEV). Reading fails with EPERM before the mount
 * and with ENOENT if the kernel has withdrawn the request.
 */
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

/** The process that made the request may be gone (ENOENT), and the mount, too (ENODEV). */
function reply(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** @returns `null` if the request is not supported. */
async function contentFor(request: Exclude<Request, { kind: 'silent' }>, disk: FuseDisk): Promise<Buffer | null> {
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
