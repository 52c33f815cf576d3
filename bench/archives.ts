/** Puts many archives into a bucket: copies of one, with the names of other snapshots. */
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

export interface ManyArchives {
  env: NodeJS.ProcessEnv;
  /** The snapshot of the only archive in the bucket `bench` that is copied. */
  snapshotId: string;
  /** The numbers of the first copy, and of the one after the last. */
  from: number;
  to: number;
}

const CONCURRENT_COPIES = 8;

export async function addArchives({ env, snapshotId, from, to }: ManyArchives): Promise<void> {
  const s3 = new S3Client({
    endpoint: env['AWS_ENDPOINT_URL_S3'] ?? '',
    region: env['AWS_REGION'] ?? '',
    credentials: { accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '' },
    forcePathStyle: true,
  });
  const listed = await s3.send(new ListObjectsV2Command({ Bucket: 'bench' }));
  const keys = (listed.Contents ?? []).map(({ Key = '' }) => Key).filter((key) => key.includes(snapshotId));
  const objects = await Promise.all(keys.map((key) => readText(s3, key)));
  let next = from;
  const copy = async () => {
    for (let number = next++; number < to; number = next++) {
      const renamed = (text: string) => text.replaceAll(snapshotId, `snap-${number.toString(16).padStart(17, '0')}`);
      for (const { key, text } of objects)
        await s3.send(new PutObjectCommand({ Bucket: 'bench', Key: renamed(key), Body: renamed(text) }));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_COPIES }, copy));
  s3.destroy();
}

/** Data and indexes are replaced by a few bytes: only manifests are read. */
async function readText(s3: S3Client, key: string): Promise<{ key: string; text: string }> {
  if (!key.endsWith('.manifest.json')) return { key, text: 'data' };
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bench', Key: key }));
  return { key, text: (await Body?.transformToString()) ?? '' };
}
