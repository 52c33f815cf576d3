/** Plans from a manifest: tables and filesystems are recreated, and malicious values are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapError } from '../../../../../src/errors.ts';
import { planTable } from '../../../../../src/host/disks/make-table.ts';
import { checkWanted } from '../../../../../src/host/filesystems/make-filesystem.ts';
import { isInKernel } from '../../../../../src/host/filesystems/mounts.ts';
import type { Archive } from '../../../../../src/operations/reading/find-archive.ts';
import { planVolume } from '../../../../../src/operations/restore/volume/plan-volume.ts';
import type { Services } from '../../../../../src/operations/shared/services.ts';

const PARTITION = { node: '/dev/nvme1n1p1', start: 2048, size: 8192, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' };
const TABLE = { label: 'gpt', id: '11111111-2222-3333-4444-555555555555', firstlba: 34, partitions: [PARTITION] };
const DISK = 2 ** 30;

const plan = (table: object) => planTable({ partitiontable: { ...TABLE, ...table } }, DISK);

test('the table is passed to sfdisk unchanged, with names as bytes', () => {
  const partition = {
    ...PARTITION,
    node: '/dev/xvdf14',
    uuid: TABLE.id,
    name: 'ä "x"\n',
    attrs: 'GUID:48',
    bootable: true,
  };
  const { script, partitions } = plan({ partitions: [partition] });
  assert.match(
    script,
    /^label: gpt\nlabel-id: 11111111-\S+\nunit: sectors\nfirst-lba: 34\n\ndisk14 : start=2048, size=8192/,
  );
  assert.ok(script.includes('name="\\xc3\\xa4\\x20\\x22x\\x22\\x0a", attrs="GUID:48", bootable'));
  assert.deepEqual(partitions, [{ number: 14, start: 2 ** 20, size: 2 ** 22, type: PARTITION.type }]);
});

test('extended partitions are created, and have no content', () => {
  const extended = { node: 'disk2', start: 20_480, size: 8192, type: 'f' };
  const logical = { node: 'disk5', start: 22_528, size: 2048, type: '83' };
  const { script, partitions } = plan({ label: 'dos', id: '0x12345678', partitions: [extended, logical] });
  assert.match(script, /disk2 : .*type=f\ndisk5 : /);
  assert.deepEqual(
    partitions.map(({ number }) => number),
    [5],
  );
});

test('partitions are cut at the end of the disk, and those beyond it are not created', () => {
  const beyond = { ...PARTITION, node: '/dev/nvme1n1p2', start: DISK / 512 };
  const { script, partitions } = plan({ partitions: [{ ...PARTITION, size: 2 ** 30 }, beyond] });
  assert.match(script, new RegExp(`disk1 : start=2048, size=${DISK / 512 - 2048}, [^\n]*\n$`));
  assert.deepEqual(
    partitions.map(({ number, size }) => ({ number, size })),
    [{ number: 1, size: DISK - 2 ** 20 }],
  );
});

type Manifest = NonNullable<Archive['manifest']>['content'];

const object = (partition: number, facts: object) => ({
  key: `vol-1/2017-01-01T00:00:00+00:00 snap-1.${partition}`,
  partition,
  layout: 'tar',
  filesystem: 'ext4',
  uuid: null,
  label: null,
  plainBytes: 1,
  ...facts,
});

const SECOND = { node: '/dev/xvdf2', start: 12_288, size: 2048, type: '83' };

/** Plans an MBR disk of two partitions with the given changes. */
function planOf(disk: object, objects = [object(1, {}), object(2, { layout: 'image' })]) {
  const table = { label: 'dos', id: '0x12345678', partitions: [{ ...PARTITION, type: '83' }, SECOND] };
  const bootCode = Buffer.from('boot').toString('base64');
  const whole = {
    bytes: DISK,
    table: 'dos',
    partitionTable: { partitiontable: table },
    bootCode,
    bootGap: null,
    ...disk,
  };
  const content = { snapshot: { sizeGiB: 1 }, disk: whole, objects, recorded: [] } as unknown as Manifest;
  const archived = objects.map((facts) => ({ ...facts, facts })) as unknown as Archive['objects'];
  const manifest = { key: 'k', etag: 'e', content };
  const archive = { snapshotId: 'snap-1', manifest, point: null, objects: archived };
  return planVolume(archive, { sessionKey: null, downloadStreams: 1 }, {} as Services, AbortSignal.timeout(1000));
}

test('each partition gets its content; a missing boot gap is reported', async () => {
  const { fills, obstacleToBoot, tools } = await planOf({});
  assert.deepEqual(
    fills.map(({ partition, content }) => [partition?.number, content.how]),
    [
      [1, 'files'],
      [2, 'image'],
    ],
  );
  assert.equal(obstacleToBoot, null);
  assert.ok(tools.includes('mke2fs'));
  assert.match((await planOf({ bootGap: undefined })).obstacleToBoot ?? '', /grub-install/);
});

test('the tools that fill FAT without a kernel driver are required beforehand', async () => {
  const { tools } = await planOf({}, [object(1, { filesystem: 'vfat' }), object(2, { layout: 'image' })]);
  assert.equal(tools.includes('mcopy') && tools.includes('mdir'), !isInKernel('vfat'));
});

test('contradictory plans are refused before anything is created', async () => {
  const image = { layout: 'image' };
  const plans = [
    () => planOf({}, [object(1, {})]),
    () => planOf({}, [object(1, {}), object(1, {}), object(2, image)]),
    () => planOf({}, [object(1, {}), object(2, image), object(3, image)]),
    () => planOf({}, [object(1, {}), object(2, { ...image, plainBytes: 2 ** 20 + 1 })]),
    () => planOf({ bootGap: Buffer.alloc(2 ** 20).toString('base64') }),
    () => planOf({ partitionTable: null }),
  ];
  for (const one of plans)
    await assert.rejects(one, (error) => error instanceof SnapError && error.code === 'MANIFEST');
  const whole = { table: 'none', partitionTable: null };
  await assert.rejects(() => planOf(whole, []), /the manifest must describe the disk exactly once$/);
  await assert.rejects(
    () => planOf({}, [object(1, { filesystem: 'ntfs' }), object(2, image)]),
    /snap-to-s3 cannot create filesystems of type ntfs/,
  );
});

const HOSTILE: Record<string, object> = {
  'an unsupported label': { label: 'sun' },
  'an id with a second line': { id: '1\nlabel: dos' },
  'an unsupported sector size': { sectorsize: 4096 },
  'partitions that are not a list': { partitions: {} },
  'a null partition': { partitions: [null] },
  'a start that is text': { partitions: [{ ...PARTITION, start: '2048, size=1' }] },
  'a negative size': { partitions: [{ ...PARTITION, size: -1 }] },
  'a type with another field': { partitions: [{ ...PARTITION, type: '83, bootable' }] },
  'a UUID with another field': { partitions: [{ ...PARTITION, uuid: 'x, name=y' }] },
  'attributes with another field': { partitions: [{ ...PARTITION, attrs: 'GUID:48", start=0' }] },
  'no partition number': { partitions: [{ ...PARTITION, node: 'disk' }] },
  'the partition number 0': { partitions: [{ ...PARTITION, node: 'disk0' }] },
};

for (const [name, change] of Object.entries(HOSTILE)) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => plan(change),
      (error) => error instanceof SnapError && error.code === 'MANIFEST' && !/partition (0|NaN)/.test(error.message),
    );
  });
}

test('invalid UUIDs and labels are refused', () => {
  const wanted = { type: 'ext4', label: 'root', geometry: null };
  for (const uuid of ['ABCD-1234', '11111111-2222-3333-4444-555555555555', null]) checkWanted({ ...wanted, uuid });
  for (const uuid of ['-L', 'ABCD-12345', '11111111']) assert.throws(() => checkWanted({ ...wanted, uuid }), SnapError);
  assert.throws(() => checkWanted({ ...wanted, uuid: null, label: 'a\0b' }), SnapError);
});
