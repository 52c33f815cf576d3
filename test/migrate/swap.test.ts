/** Swap areas are recorded with their parameters, but only if their partition holds nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { partitionPlace } from '../../lab/disks/inspect.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { readGeometry } from '../../src/host/filesystems/filesystem-geometry.ts';
import { readManifest } from '../support/archives.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, runValidate } from '../support/lab.ts';
import { imageOf } from '../support/tamper.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

const MIB = 2 ** 20;

test('the page size of a swap area is kept, and a partition with data after its swap area is stored as an image', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const path = join(lab.directory, 'swap.img');
  await buildDisk({
    path,
    table: 'gpt',
    partitions: [
      { content: 'empty', sizeMiB: 8 },
      { content: 'empty', sizeMiB: 8 },
    ],
  });
  const places = [await partitionPlace(path, 1), await partitionPlace(path, 2)] as const;
  await withDevice(path, places[0], { readOnly: false }, (device) => run(['mkswap', '-p', '65536', device]));
  await withDevice(path, places[1], { readOnly: false }, (device) => run(['mkswap', device, '4096']));
  const { snapshotId } = await addSnapshotOfImage(lab, path);
  const first = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(first.code, 0, first.stderr);
  const { recorded, objects } = await readManifest(lab);
  assert.deepEqual(
    recorded.map(({ partition, geometry }) => [partition, geometry?.blockBytes, geometry?.made?.['pages']]),
    [
      [1, 65_536, 128],
      [2, 4096, 1024],
    ],
  );
  assert.deepEqual(objects, []);

  const image = imageOf(lab, snapshotId);
  {
    await using file = await open(image, 'r+');
    await file.write(Buffer.from('what somebody still wants'), 0, 25, places[1].start + 5 * MIB);
  }
  const checked = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(checked.code, 12, checked.stderr);
  assert.match(checked.stderr, /the archive does not contain partition 2/);
  const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace', '--validate']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /partition 2 is stored as a raw image: it holds more than swap: data after the swap area/);

  const argv = ['--to-volume', '--mount-point', join(lab.directory, 'mnt')];
  const restored = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, ...argv]);
  assert.equal(restored.code, 0, restored.stderr);
  const [made] = await volumesIn(lab);
  const after = volumeImage(lab, made?.VolumeId ?? '');
  const geometryIn = (disk: string) =>
    withDevice(disk, places[0], { readOnly: true }, async (device) => readGeometry('swap', device));
  assert.deepEqual(await geometryIn(after), await geometryIn(image));
  const bytesIn = (disk: string) => readFileSync(disk).subarray(places[1].start, places[1].start + 8 * MIB);
  assert.ok(bytesIn(after).equals(bytesIn(image)));
});
