/**
 * A stage of the archiving pipeline. It compresses its standard input in several threads, while another thread indexes the
 * content. Finally it writes a report.
 */
import { readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { asError } from '../errors.ts';
import { RingWriter } from '../lib/bytes/shared-ring.ts';
import { startThread } from '../lib/threads.ts';
import { COMPRESSION_BLOCK_BYTES, newBlockMemory } from './block-memory.ts';
import { BlockWriter } from './block-writer.ts';
import { type IndexedContent, type IndexingOrder, OWN_OUTPUT, writeIndexingReport } from './indexing-order.ts';
import type { IndexingThreadOrder } from './indexing-thread.ts';

// The name in `ps` and `top`.
process.title = 'snap-index';

const [STDIN, STDOUT] = [0, 1];

/** Each thread needs the memory of at least two blocks of 4 MiB, plain and compressed. */
const MAX_THREADS = 8;

/** The exit code that shells use if nothing reads the output any more. */
const EXIT_BROKEN_PIPE = 141;

/** A short stream has no blocks for more threads. */
const threadsFor = ({ bytes }: IndexingOrder): number =>
  Math.max(1, Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / COMPRESSION_BLOCK_BYTES)));

async function pass(order: IndexingOrder): Promise<void> {
  const { codec, placesFile } = order;
  const memory = newBlockMemory(threadsFor(order));
  const indexing = startThread<IndexingThreadOrder, IndexedContent>(
    'indexing/indexing-thread',
    { ring: memory.ring, order },
    OWN_OUTPUT,
  );
  const input = new RingWriter(memory.ring);
  const output = new BlockWriter(memory, { descriptor: STDOUT, codec, placesFile });
  for (;;) {
    const room = await output.room();
    await input.ready(indexing.broken);
    const bytes = input.pass((slot) => readSync(STDIN, slot.subarray(0, room)));
    if (bytes.length === 0) break;
    await output.put(bytes);
  }
  await output.end();
  const content = await indexing.answer;
  writeIndexingReport(order, { ...content, passedBytes: output.passedBytes });
}

try {
  await pass(JSON.parse(process.argv[2] ?? '') as IndexingOrder);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE);
  process.stderr.write(`${asError(error).message}\n`);
  process.exit(1);
}
