/** From a pipe to parts: every byte once, in order, in bounded memory. */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { test } from 'node:test';
import { MiB } from '../../src/lib/units.ts';
import { readParts } from '../../src/transfer/part-reader.ts';
import { startPipeline } from '../../src/transfer/pipeline.ts';
import { runTool } from '../../src/transfer/process.ts';

const signal = new AbortController().signal;

async function readAll(script: string, held = 3): Promise<{ hash: Hash; sizes: number[] }> {
  await using pipeline = await startPipeline([{ name: 'sh', argv: ['sh', '-c', script] }], { signal });
  const hash = createHash('sha256');
  const sizes: number[] = [];
  for await (const part of readParts(pipeline.output, { expectedBytes: 0, held, signal })) {
    hash.update(part.bytes);
    sizes.push(part.bytes.length);
    part.release();
  }
  await pipeline.finished;
  return { hash, sizes };
}

for (const bytes of [1, 8 * MiB - 1, 8 * MiB, 8 * MiB + 1, 100 * MiB + 12_345]) {
  test(`${bytes} bytes`, async () => {
    const script = `seq 1 100000000 | head -c ${bytes}`;
    const { hash, sizes } = await readAll(script);
    const expected = (await runTool(['sh', '-c', `${script} | sha256sum`])).stdout.split(' ')[0];
    assert.equal(hash.digest('hex'), expected);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      bytes,
    );
    assert.ok(
      sizes.slice(0, -1).every((size) => size === 8 * MiB),
      sizes.join(),
    );
  });
}

test('bytes that come one by one', async () => {
  const { sizes } = await readAll('for i in 1 2 3 4 5; do printf x; sleep 0.01; done');
  assert.deepEqual(sizes, [5]);
});

test('a stream without a byte is no object', async () => {
  await assert.rejects(readAll(':'), /ended without writing a byte/);
});

test('who holds all buffers waits; who is cancelled stops waiting', async () => {
  const controller = new AbortController();
  await using pipeline = await startPipeline([{ name: 'yes', argv: ['yes'] }], { signal });
  const parts = readParts(pipeline.output, { expectedBytes: 0, held: 2, signal: controller.signal });
  await parts.next();
  await parts.next();
  const third = parts.next();
  controller.abort(new Error('enough'));
  await assert.rejects(third, /enough/);
  await parts.return(undefined);
});
