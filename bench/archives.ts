/** Puts many archives into a bucket. They are copies of one archive with the ids of other snapshots. */
import { GetObjectCommand, PutObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';

export interface ManyArchives {
  env: NodeJS.ProcessEnv;
  /** The snapshot whose archive in the bucket `bench` is copied. */
  snapshotId: string;
  /** The number of the first copy. */
  from: number;
  /** The number after that of the last copy. */
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
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: 'bench' })) {
    keys.push(...Contents.map(({ Key = '' }) => Key).filter((key) => key.includes(snapshotId)));
  }
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

/** Replaces data and indexes by a few bytes, because only manifests are read. */
async function readText(s3: S3Client, key: string): Promise<{ key: string; text: string }> {
  if (!key.endsWith('.manifest.json')) return { key, text: 'data' };
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bench', Key: key }));
  return { key, text: (await Body?.transformToString()) ?? '' };
}
