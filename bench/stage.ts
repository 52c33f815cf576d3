/**
 * The local part of validate by itself, without the store: `lz4 -d` of a file, and the threads that read and compare.
 *
 *   node bench/stage.ts read OBJECT            the plain stream, only read: what no reader of a pipe can be faster than
 *   node bench/stage.ts hash OBJECT            read and hashed as it comes, by one loop
 *   node bench/stage.ts alone OBJECT           untarred and hashed
 *   node bench/stage.ts disk OBJECT DIRECTORY  and compared with the files
 */
import { createHash } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decompressCommand } from '../src/archive/codec.ts';
import type { ComparisonOrder } from '../src/compare/comparing-thread.ts';
import { compareInThreads } from '../src/compare/start.ts';
import { temporaryDirectory } from '../src/lib/temporary-files.ts';
import { startPipeline } from '../src/transfer/pipeline.ts';
import { closeAll } from '../src/transfer/pipes.ts';

const [how, object = '', root = ''] = process.argv.slice(2);
using directory = temporaryDirectory();
const logFile = join(directory.path, 'members');
const order: ComparisonOrder =
  how === 'alone'
    ? { how: 'tar-alone', records: null }
    : { how: 'tar', root, contentOnly: false, ignore: [], key: Buffer.alloc(32), logFile };
const started = performance.now();
const input = openSync(object, 'r');
const { signal } = new AbortController();
await using pipeline = await startPipeline([{ name: 'lz4', argv: decompressCommand('lz4') }], { signal, input });
if (how === 'read' || how === 'hash') readBarely(pipeline.output);
else await compare(pipeline.output);
closeAll([pipeline.output, input]);
await pipeline.finished;
process.stdout.write(`${JSON.stringify({ code: 'stage', seconds: (performance.now() - started) / 1000 })}\n`);

async function compare(descriptor: number): Promise<void> {
  const { differences } = await compareInThreads(descriptor, order);
  if (differences.length > 0) throw new Error(JSON.stringify(differences[0]));
}

function readBarely(descriptor: number): void {
  const bytes = Buffer.allocUnsafeSlow(1024 * 1024);
  const hash = createHash('sha256');
  for (let length = -1; length !== 0; ) {
    length = readSync(descriptor, bytes);
    if (how === 'hash') hash.update(bytes.subarray(0, length));
  }
}
