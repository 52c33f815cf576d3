/** Reads a pipe into parts: every byte once, in order, in bounded memory. */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { test } from 'node:test';
import { MiB } from '../../../src/lib/units.ts';
import { type PartCheckpoint, readBuffers, readParts, readSections, START } from '../../../src/transfer/part-reader.ts';
import { startPipeline } from '../../../src/transfer/pipeline.ts';
import { runTool } from '../../../src/transfer/run-tool.ts';

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

test('bytes that arrive one by one', async () => {
  const { sizes } = await readAll('for i in 1 2 3 4 5; do printf x; sleep 0.01; done');
  assert.deepEqual(sizes, [5]);
});

test('an empty stream is refused', async () => {
  await assert.rejects(readAll(':'), /ended without writing any data/);
});

test('a stream that nobody has read is closed with its parts', async () => {
  await using pipeline = await startPipeline([{ name: 'true', argv: ['true'] }], { signal });
  const parts = readParts(pipeline.output, { expectedBytes: 0, held: 2, signal });
  parts[Symbol.dispose]();
  assert.throws(() => fstatSync(pipeline.output), /EBADF/);
  parts[Symbol.dispose]();
});

test('the reader waits while all buffers are in use, and can be canceled', async () => {
  const controller = new AbortController();
  await using pipeline = await startPipeline([{ name: 'yes', argv: ['yes'] }], { signal });
  const options = { expectedBytes: 0, held: 2, signal: controller.signal };
  const parts = readParts(pipeline.output, options)[Symbol.asyncIterator]();
  await parts.next();
  await parts.next();
  const third = parts.next();
  controller.abort(new Error('enough'));
  await assert.rejects(third, /enough/);
  await parts.return?.();
});

for (const size of [1000, 65_537, 512 * 1024, MiB, MiB + 1, 3 * MiB]) {
  test(`buffers of ${size} bytes: no byte is lost or repeated, whatever the pipe delivers at once`, async () => {
    const script = 'seq 1 100000000 | head -c 20000003';
    await using pipeline = await startPipeline([{ name: 'sh', argv: ['sh', '-c', script] }], { signal });
    const hash = createHash('sha256');
    let [bytes, last] = [0, size];
    for await (const { buffer, length, release } of readBuffers(pipeline.output, size, 3, signal)) {
      assert.equal(last, size, 'only the last may be shorter');
      hash.update(buffer.subarray(0, length));
      [bytes, last] = [bytes + length, length];
      release();
    }
    assert.equal(bytes, 20_000_003);
    const expected = (await runTool(['sh', '-c', `${script} | sha256sum`])).stdout.split(' ')[0];
    assert.equal(hash.digest('hex'), expected);
  });
}

/** Every chunk is overwritten as soon as the next one is taken. */
async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  const chunk = Buffer.alloc(100);
  for (const text of texts) {
    yield chunk.subarray(0, chunk.write(text));
    chunk.fill('-');
  }
}

test('sections of any length are joined without gaps, and checkpoints are common ends of parts and sections', async () => {
  const lengths = [5, 0.3, 8, 4.9, 0.05, 17, 3, 2.9, 6].map((mebibytes) => Math.round(mebibytes * MiB));
  const sections = async function* () {
    for (const length of lengths) {
      const script = `seq ${length} 100000000 | head -c ${length}`;
      await using pipeline = await startPipeline([{ name: 'sh', argv: ['sh', '-c', script] }], { signal });
      yield pipeline.output;
    }
    yield chunksOf('the', '', ' end');
  };
  const checkpoints: number[] = [];
  const hash = createHash('sha256');
  let bytes = 0;
  const options = {
    expectedBytes: 0,
    held: 2,
    signal,
    after: START,
    onCheckpoint: (checkpoint: PartCheckpoint) => {
      assert.equal(checkpoint.bytes, bytes, 'all parts before it were yielded');
      checkpoints.push(checkpoint.bytes);
    },
  };
  for await (const part of readSections(sections(), options)) {
    hash.update(part.bytes);
    bytes += part.bytes.length;
    part.release();
  }
  const whole = `${lengths.map((length) => `seq ${length} 100000000 | head -c ${length}`).join('; ')}; printf 'the end'`;
  const expected = (await runTool(['sh', '-c', `(${whole}) | sha256sum`])).stdout.split(' ')[0];
  assert.equal(hash.digest('hex'), expected);
  assert.equal(
    bytes,
    lengths.reduce((sum, length) => sum + length, 7),
  );
  const ends = lengths.map((_, index) => lengths.slice(0, index + 1).reduce((sum, length) => sum + length, 0));
  assert.ok(checkpoints.length > 3 && checkpoints.every((at) => ends.includes(at)), `${checkpoints} of ${ends}`);
});
