/** The readable part of claims and manifests of encrypted archives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isManifestObject } from '../../../src/archive/decode-manifest.ts';
import { type ManifestObject, publicObject } from '../../../src/archive/manifest.ts';

const OBJECT: ManifestObject = {
  key: 'vol-1/2017-01-01T00:00:00+00:00 snap-1.1.tar.lz4.gpg',
  partition: 1,
  layout: 'tar',
  codec: 'lz4',
  compressionLevel: 1,
  cipher: 'gpg',
  filesystem: 'ext4',
  uuid: 'secret-uuid',
  label: 'secret-label',
  geometry: { blockBytes: 4096, inodeBytes: 256, inodes: 1, features: [], made: { hashSeed: 'secret-seed' } },
  contentBytes: 1,
  roomBytes: 2,
  volumeObstacle: 'secret obstacle',
  plainBytes: 1,
  plainSha256: 'secret-hash',
  storedBytes: 1,
  etag: 'e',
  versionId: null,
  checksum: null,
  socketsSkipped: 0,
  index: null,
};

test('the readable part of a sealed manifest has no more facts than the metadata of the objects', () => {
  const open = publicObject(OBJECT);
  assert.doesNotMatch(JSON.stringify(open), /secret/);
  assert.ok(isManifestObject(open), 'a later run can go on with it');
});
