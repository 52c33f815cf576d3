/** The comparison of a device that only its name identifies with its snapshot. */
import assert from 'node:assert/strict';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run, runWithInput } from '../../../../lab/core/run.ts';
import { BLOCK_BYTES, type SnapshotBlocks } from '../../../../src/cloud/blocks.ts';
import type { Snapshot } from '../../../../src/cloud/ports.ts';
import { KiB, MiB } from '../../../../src/lib/units.ts';
import type { Services } from '../../../../src/operations/shared/services.ts';
import { type ExpectedDevice, proveDevice } from '../../../../src/operations/source/prove-device.ts';
import { temporaryDirectory } from '../../../support/lab.ts';

/** A snapshot of which every block has been written, and a device that holds it. */
async function snapshotAndDevice(t: TestContext, sizeMiB: number) {
  const directory = temporaryDirectory(t);
  const [original, device] = [join(directory, 'snapshot.img'), join(directory, 'device.img')];
  await run(['truncate', '--size', `${sizeMiB}M`, original]);
  const start = 4 * MiB;
  await runWithInput(['sfdisk', '--quiet', original], `label: gpt\nstart=4MiB, size=${sizeMiB - 8}MiB\n`);
  // Most samples are equal and prove something.
  await run(['dd', 'if=/dev/urandom', `of=${original}`, 'bs=1M', 'seek=5', 'count=50', 'conv=notrunc', 'status=none']);
  await run(['cp', '--sparse=always', original, device]);
  const snapshot = await open(original, 'r');
  t.after(() => snapshot.close());
  const asked = { lists: 0, reads: 0 };
  const blocks: SnapshotBlocks = {
    async *list(_id, from) {
      asked.lists++;
      for (let index = from; index < (sizeMiB * MiB) / BLOCK_BYTES; index++) yield { index, token: '' };
    },
    async *changed() {},
    read: async (_id, { index }) => {
      asked.reads++;
      return { bytes: await blockOf(snapshot, index), sha256: '' };
    },
  };
  const prove = (changes: Partial<ExpectedDevice> = {}) => {
    const located = { path: device, size: sizeMiB * MiB, identifiedBy: 'name' } as const;
    const expected = { snapshot: { id: 'snap-1' } as Snapshot, device: located, mayBeReplayed: false, ...changes };
    const services = { blocks, host: { notify: () => {} } } as unknown as Services;
    return proveDevice(expected, services, t.signal);
  };
  return { device, start, asked, prove };
}

async function blockOf(file: FileHandle, index: number): Promise<Buffer> {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  await file.read(bytes, 0, BLOCK_BYTES, index * BLOCK_BYTES);
  return bytes;
}

/** Runs the work while one byte of the device is different. */
async function whileDifferent(device: string, offset: number, work: () => Promise<void>): Promise<void> {
  await using file = await open(device, 'r+');
  const before = Buffer.alloc(1);
  await file.read(before, 0, 1, offset);
  await file.write(Buffer.of(~(before[0] ?? 0)), 0, 1, offset);
  await work();
  await file.write(before, 0, 1, offset);
}

test('a clone is recognized by the filesystems in LVM and LUKS', async (t) => {
  const { device, start, prove } = await snapshotAndDevice(t, 1000);
  assert.ok((await prove()).blocks > 0);
  for (const offset of [0, 1, 2, 3, 16, 17]) {
    await whileDifferent(device, start + offset * MiB + KiB, () =>
      assert.rejects(prove(), { code: 'WRONG_DEVICE' }, `at ${offset} MiB`),
    );
  }
  assert.ok((await prove()).blocks > 0);
});

test('blocks of the whole disk are compared, not only of the first page of the listing', async (t) => {
  const size = 16 * 1024;
  const { device, asked, prove } = await snapshotAndDevice(t, size);
  assert.ok((await prove()).blocks > 0);
  assert.ok(asked.reads <= 48, `${asked.reads} reads`);
  assert.ok(asked.lists <= 9, `${asked.lists} lists`);
  for (let sixteenth = 1; sixteenth < 16; sixteenth += 2) {
    await whileDifferent(device, ((sixteenth * size) / 16) * MiB + 1, () =>
      assert.rejects(prove(), { code: 'WRONG_DEVICE' }, `at ${sixteenth}/16 of the disk`),
    );
  }
});

test('a device that only its name identifies may not differ, even if an earlier run used it', async (t) => {
  const { device, start, prove } = await snapshotAndDevice(t, 64);
  await whileDifferent(device, start + KiB, () =>
    assert.rejects(prove({ mayBeReplayed: true }), { code: 'WRONG_DEVICE' }),
  );
});
