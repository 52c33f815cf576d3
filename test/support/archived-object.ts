/** Compares the objects of an archive with a mounted tree, by the operation that `validate` calls. */
import type { ManifestObject } from '../../src/archive/manifest.ts';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import { silentHost } from '../../src/events.ts';
import type { ObjectFindings } from '../../src/operations/reading/object/object-findings.ts';
import { verifyObject } from '../../src/operations/reading/object/read-object.ts';
import { BUCKET, type TestLab } from './lab.ts';

export async function checkStored(
  lab: TestLab,
  snapshotId: string,
  root: string,
  object: ManifestObject,
  { withFacts }: { withFacts: boolean },
): Promise<ObjectFindings> {
  const clients = { control: lab.s3, transfer: lab.s3 };
  const store = s3ArchiveStore(clients, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false });
  const { signal } = new AbortController();
  const services = { store, host: silentHost, signal, streams: 4, sessionKey: null };
  const { key, partition, layout, codec, cipher } = object;
  const archived = { key, partition, layout, codec, cipher, facts: withFacts ? object : null };
  return verifyObject(archived, snapshotId, { kind: 'tree', root, contentOnly: false, filesystem: 'ext4' }, services);
}
