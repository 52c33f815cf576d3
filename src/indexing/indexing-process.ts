/**
 * A stage of the archiving pipeline. It passes its standard input on, unchanged or compressed, while a separate thread
 * indexes the content. Finally it writes a report.
 */
import { readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { asError } from '../errors.ts';
import { newRing, RingWriter } from '../lib/bytes/shared-ring.ts';
import { programFile } from '../lib/program-file.ts';
import { BLOCK_BYTES, newBlockMemory } from './block-memory.ts';
import { BlockWriter } from './block-writer.ts';
import { type IndexedContent, type IndexingOrder, writeIndexingReport } from './indexing-order.ts';
import type { IndexingThreadOrder } from './indexing-thread.ts';
import { PlainWriter, type StreamWriter } from './stream-writers.ts';

// The name in `ps` and `top`.
process.title = 'snap-index';

const [STDIN, STDOUT] = [0, 1];

/** Each thread has two blocks of 4 MiB in memory, plain and compressed. */
const MAX_THREADS = 8;

/** The exit code that shells use if nothing reads the output any more. */
const EXIT_BROKEN_PIPE = 141;

function startThread(workerData: IndexingThreadOrder) {
  // If the thread shared our standard output, the output would become non-blocking.
  const options = { workerData, stdout: true, stderr: true };
  const worker = new Worker(programFile('indexing/indexing-thread'), options);
  const { promise: content, resolve, reject } = Promise.withResolvers<IndexedContent>();
  worker.once('message', resolve);
  worker.once('error', reject);
  const broken = new Promise<never>((_, rejectBroken) => {
    content.catch(rejectBroken);
    worker.once('exit', () => reject(new Error('the indexing thread ended without a result')));
  });
  broken.catch(() => {});
  return { content, broken };
}

/** A short stream has no blocks for more threads. */
const threadsFor = ({ bytes }: IndexingOrder): number =>
  Math.max(1, Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / BLOCK_BYTES)));

async function pass(order: IndexingOrder): Promise<void> {
  const { codec, placesFile } = order;
  const memory = codec && newBlockMemory(threadsFor(order));
  const ring = memory?.ring ?? newRing();
  const thread = startThread({ ring, order });
  const input = new RingWriter(ring);
  const output: StreamWriter = memory
    ? new BlockWriter(memory, { descriptor: STDOUT, codec, placesFile })
    : new PlainWriter(STDOUT);
  for (;;) {
    const room = await output.room();
    await input.ready(thread.broken);
    const bytes = input.pass((slot) => readSync(STDIN, slot.subarray(0, room)));
    if (bytes.length === 0) break;
    await output.put(bytes);
  }
  await output.end();
  const content = await thread.content;
  writeIndexingReport(order, { ...content, passedBytes: output.passedBytes });
}

try {
  await pass(JSON.parse(process.argv[2] ?? '') as IndexingOrder);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE);
  process.stderr.write(`${asError(error).message}\n`);
  process.exit(1);
}
