/** Damages the bytes of a request or response in transit. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Destroys the connection after a number of received bytes (uploads) or sent bytes (downloads). */
export function cutAfter(bytes: number, request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const receiving = socket.bytesRead;
  const sending = socket.bytesWritten;
  const check = () => {
    if (socket.bytesRead - receiving >= bytes || socket.bytesWritten - sending >= bytes) socket.destroy();
  };
  request.on('data', check);
  request.pause();
  const { write } = response;
  response.write = function cutting(this: ServerResponse, ...rest: Parameters<typeof write>) {
    const going = write.apply(this, rest);
    check();
    return going;
  } as typeof write;
}

/** Lets the call be carried out, but sends no response. */
export function loseAnswer(response: ServerResponse): void {
  const lose = () => {
    response.destroy();
    return false;
  };
  response.write = lose;
  response.end = (() => {
    lose();
    return response;
  }) as typeof response.end;
}

/** Sends nothing after this number of bytes of the body, and keeps the connection open. */
export function stallAfter(bytes: number, response: ServerResponse): void {
  let left = bytes;
  const { write } = response;
  const stall = (chunk: unknown): boolean => {
    const body = bytesOf(chunk);
    if (left > 0 && body.length > 0) write.call(response, body.subarray(0, left), 'utf8', () => {});
    else response.flushHeaders();
    left = Math.max(0, left - body.length);
    return false;
  };
  response.write = ((chunk: unknown, ...rest: unknown[]) => {
    const { length } = bytesOf(chunk);
    if (length > left) return stall(chunk);
    left -= length;
    return write.call(response, chunk, ...(rest as [BufferEncoding]));
  }) as typeof write;
  response.end = ((chunk: unknown) => {
    stall(chunk);
    return response;
  }) as typeof response.end;
}

/** Flips the lowest bit of one byte of the body, and leaves all checksums unchanged. */
export function flipBit(at: number, request: IncomingMessage, response: ServerResponse): void {
  const received = flipper(at);
  const { push } = request;
  request.push = (chunk, encoding) => push.call(request, received(chunk), encoding);
  const sent = flipper(at);
  const { write, end } = response;
  response.write = ((chunk: unknown, ...rest: unknown[]) =>
    write.call(response, sent(chunk), ...(rest as [BufferEncoding]))) as typeof write;
  response.end = ((chunk: unknown, ...rest: unknown[]) =>
    end.call(response, sent(chunk), ...(rest as [BufferEncoding]))) as typeof end;
}

/** Passes chunks on, and replaces one chunk by a damaged copy. */
function flipper(at: number): (chunk: unknown) => unknown {
  let position = 0;
  return (chunk) => {
    const { length } = bytesOf(chunk);
    const here = at - position;
    position += length;
    if (here < 0 || here >= length) return chunk;
    const damaged = Buffer.from(bytesOf(chunk));
    damaged[here] = (damaged[here] ?? 0) ^ 1;
    return damaged;
  };
}

const bytesOf = (chunk: unknown): Buffer =>
  Buffer.isBuffer(chunk) ? chunk : typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.alloc(0);
