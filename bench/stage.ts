/**
 * Runs the local part of validate without the store: the threads that decode and compare, or `lz4 -d` and a reader.
 *
 *   node bench/stage.ts read OBJECT            only reads the plain bytes, the limit for any reader of a pipe
 *   node bench/stage.ts hash OBJECT            reads and hashes the plain bytes in one loop
 *   node bench/stage.ts alone OBJECT           reads the tar and hashes its files
 *   node bench/stage.ts disk OBJECT DIRECTORY  also compares them with the files on the disk
 */
import { createHash } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decompressCommand } from '../src/archive/codec.ts';
import { temporaryDirectory } from '../src/lib/temporary-files.ts';
import type { SinkOrder } from '../src/streams/sink-thread.ts';
import { consumeLz4InThreads } from '../src/streams/start.ts';
import { startPipeline } from '../src/transfer/pipeline.ts';
import { closeAll } from '../src/transfer/pipes.ts';

const [how, object = '', root = ''] = process.argv.slice(2);
await using directory = temporaryDirectory();
const logFile = join(directory.path, 'members');
const order: SinkOrder =
  how === 'alone'
    ? { kind: 'members', records: null }
    : {
        kind: 'tree',
        root,
        contentOnly: false,
        ignore: [],
        syntheticInode: null,
        key: Buffer.alloc(32),
        logFile,
        mapper: null,
      };
const started = performance.now();
const input = openSync(object, 'r');
const { signal } = new AbortController();
if (how === 'read' || how === 'hash') {
  await using pipeline = await startPipeline([{ name: 'lz4', argv: decompressCommand('lz4') }], { signal, input });
  readBarely(pipeline.output);
  closeAll([pipeline.output]);
  await pipeline.finished;
} else await compare(input);
closeAll([input]);
process.stdout.write(`${JSON.stringify({ code: 'stage', seconds: (performance.now() - started) / 1000 })}\n`);

async function compare(descriptor: number): Promise<void> {
  const { findings, problem } = await consumeLz4InThreads(descriptor, order, true, signal);
  const [difference] = findings.differences;
  if (problem !== null || difference) throw new Error(problem ?? JSON.stringify(difference));
}

function readBarely(descriptor: number): void {
  const bytes = Buffer.allocUnsafeSlow(1024 * 1024);
  const hash = createHash('sha256');
  for (let length = -1; length !== 0; ) {
    length = readSync(descriptor, bytes);
    if (how === 'hash') hash.update(bytes.subarray(0, length));
  }
}
