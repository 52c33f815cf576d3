import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { newRing, RingReader, RingWriter } from '../../../../src/lib/bytes/shared-ring.ts';

test('all bytes pass unchanged', () => {
  const piece = fc.uint8Array({ minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 1, max: 3 }), (pieces, ahead) => {
      const ring = newRing(256);
      const [writer, reader] = [new RingWriter(ring), new RingReader(ring)];
      const [put, out]: [Buffer[], Buffer[]] = [[], []];
      // One thread writes and reads, so it must never have to wait.
      for (const [index, bytes] of pieces.entries()) {
        const seen = writer.pass((target) => Buffer.from(bytes).copy(target));
        assert.deepEqual(Buffer.from(seen), Buffer.from(bytes).subarray(0, seen.length));
        put.push(Buffer.from(seen));
        if (index % ahead === 0) out.push(Buffer.from(reader.next()));
        while (Buffer.concat(put).length - Buffer.concat(out).length > 100) out.push(Buffer.from(reader.next()));
      }
      writer.pass(() => 0);
      for (let bytes = reader.next(); bytes.length > 0; bytes = reader.next()) out.push(Buffer.from(bytes));
      assert.equal(reader.next().length, 0);
      assert.deepEqual(Buffer.concat(out), Buffer.concat(put));
    }),
  );
});

const READER = `
  import { createHash } from 'node:crypto';
  import { parentPort, workerData } from 'node:worker_threads';
  const { RingReader } = await import(workerData.module);
  const reader = new RingReader(workerData.ring);
  const hash = createHash('sha256');
  for (let bytes = reader.next(); bytes.length > 0; bytes = reader.next()) hash.update(bytes);
  parentPort.postMessage(hash.digest('hex'));
`;

test('between threads, no byte is lost and no thread waits forever, with pieces of any size', async () => {
  const ring = newRing(64 * 1024);
  const module = new URL('../../../../src/lib/bytes/shared-ring.ts', import.meta.url).href;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(READER)}`), {
    workerData: { ring, module },
  });
  const broken = new Promise<never>((_, reject) => worker.once('error', reject));
  const answer = Promise.race([broken, new Promise<string>((resolve) => worker.once('message', resolve))]);
  const writer = new RingWriter(ring);
  const hash = createHash('sha256');
  for (let count = 0; count < 20_000; count++) {
    const most = 1 + ((count * 7919) % 9000);
    await writer.ready(broken);
    hash.update(
      writer.pass(
        (target) => target.fill(count % 251, 0, Math.min(most, target.length)) && Math.min(most, target.length),
      ),
    );
  }
  writer.pass(() => 0);
  assert.equal(await answer, hash.digest('hex'));
});
