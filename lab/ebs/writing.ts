/** StartSnapshot, PutSnapshotBlock and CompleteSnapshot. */
import { createHash } from 'node:crypto';
import { mkdir, open, stat, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { dirname } from 'node:path';
import type { LabContext } from '../core/contract.ts';
import { copySparsely, snapshotState } from '../ec2/snapshots.ts';
import { newId, type StoredSnapshot } from '../ec2/state.ts';
import {
  BLOCK,
  DEFAULT_KEY,
  failure,
  findSnapshot,
  invalid,
  readable,
  type SnapshotShelf,
  WITHOUT_VOLUME,
} from './contract.ts';

interface StartInput {
  VolumeSize?: number;
  ParentSnapshotId?: string;
  Description?: string;
  Encrypted?: boolean;
  KmsKeyArn?: string;
  ClientToken?: string;
  Tags?: { Key?: string; Value?: string }[];
}

const GiB = 2 ** 30;
const MAX_TAGS = 50;

/** The SHA-256 digests of the blocks of a pending snapshot, by index. */
type Digests = Map<number, Buffer>;

export class SnapshotWriter {
  readonly #context: LabContext;
  readonly #shelf: SnapshotShelf;
  readonly #pending = new Map<string, Digests>();
  /** The snapshots that were started with client tokens, by token. */
  readonly #started = new Map<string, { request: string; id: string }>();

  constructor(context: LabContext, shelf: SnapshotShelf) {
    this.#context = context;
    this.#shelf = shelf;
  }

  async start(input: StartInput): Promise<object> {
    const { ClientToken = '', ...rest } = input;
    const before = this.#started.get(ClientToken);
    const request = JSON.stringify(rest);
    if (before && before.request !== request) {
      throw failure('ConflictException', 409, '', 'the client token was used with other parameters');
    }
    if (before) return this.#describe(findSnapshot(this.#shelf, before.id));
    const snapshot = await this.#make(input);
    if (ClientToken !== '') this.#started.set(ClientToken, { request, id: snapshot.id });
    return this.#describe(snapshot);
  }

  async put(id: string, index: number, headers: IncomingHttpHeaders, bytes: Buffer): Promise<Record<string, string>> {
    const digests = this.#open(id);
    const digest = createHash('sha256').update(bytes).digest();
    const checksum = digest.toString('base64');
    if (bytes.length !== BLOCK || headers['x-amz-data-length'] !== String(BLOCK)) {
      throw invalid('INVALID_BLOCK', `a block has ${BLOCK} bytes`);
    }
    if (headers['x-amz-checksum'] !== checksum) throw invalid('INVALID_BLOCK', 'the checksum is of other bytes');
    const snapshot = findSnapshot(this.#shelf, id);
    if (!(index >= 0 && index < (snapshot.sizeGiB * GiB) / BLOCK))
      throw invalid('INVALID_BLOCK', `there is no block ${index}`);
    await using file = await open(this.#shelf.image(id), 'r+');
    await file.write(bytes, 0, BLOCK, index * BLOCK);
    digests.set(index, digest);
    snapshot.writtenAt = this.#context.now().getTime();
    return { 'x-amz-Checksum': checksum, 'x-amz-Checksum-Algorithm': 'SHA256' };
  }

  /** If the count or the checksum does not match, the state of the snapshot becomes `error`. */
  async complete(id: string, headers: IncomingHttpHeaders): Promise<object> {
    const digests = this.#open(id);
    const snapshot = findSnapshot(this.#shelf, id);
    const all = createHash('sha256');
    for (const index of [...digests.keys()].sort((a, b) => a - b)) all.update(digests.get(index) ?? '');
    const checksum = headers['x-amz-checksum'];
    const isRight =
      Number(headers['x-amz-changedblockscount']) === digests.size &&
      (checksum === undefined || checksum === all.digest('base64'));
    this.#pending.delete(id);
    snapshot.dataBytes = (await stat(this.#shelf.image(id))).blocks * 512;
    snapshot.state = isRight ? 'completed' : 'error';
    snapshot.sealedAt = this.#context.now().getTime();
    this.#shelf.keep(snapshot);
    return { Status: 'pending' };
  }

  #open(id: string): Digests {
    const isOpen = snapshotState(findSnapshot(this.#shelf, id), this.#context) === 'pending';
    const digests = this.#pending.get(id);
    if (isOpen && digests) return digests;
    throw invalid('INVALID_SNAPSHOT_ID', `${id} is not being written`);
  }

  async #make(input: StartInput): Promise<StoredSnapshot> {
    const { VolumeSize = 0, ParentSnapshotId: parentId, Tags = [] } = input;
    if (Tags.length > MAX_TAGS) throw invalid('INVALID_TAG', `a snapshot has at most ${MAX_TAGS} tags`);
    if (!Number.isInteger(VolumeSize) || VolumeSize < 1 || VolumeSize > 65_536) {
      throw invalid('INVALID_VOLUME_SIZE', 'a volume has 1 to 65536 GiB');
    }
    const parent = parentId === undefined ? null : readable(this.#shelf, parentId, this.#context);
    const encryption = encryptionOf(input, parent);
    const id = newId('snap');
    const image = this.#shelf.image(id);
    await mkdir(dirname(image), { recursive: true });
    if (parent) await copySparsely(this.#shelf.image(parent.id), image);
    else await writeFile(image, '', { flag: 'wx' });
    await using file = await open(image, 'r+');
    await file.truncate(VolumeSize * GiB);
    const snapshot: StoredSnapshot = {
      id,
      volumeId: WITHOUT_VOLUME,
      sizeGiB: VolumeSize,
      description: input.Description ?? '',
      startTime: this.#context.now().getTime(),
      writtenAt: this.#context.now().getTime(),
      ownerId: this.#context.accountId,
      ...encryption,
      productCodes: [],
      storageTier: 'standard',
      state: 'pending',
      dataBytes: 0,
      tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])),
      ...(parent ? { parentId: parent.id, writtenZeros: parent.writtenZeros ?? [] } : {}),
    };
    this.#shelf.keep(snapshot);
    this.#pending.set(id, new Map());
    return snapshot;
  }

  #describe = (snapshot: StoredSnapshot): object => ({
    SnapshotId: snapshot.id,
    OwnerId: snapshot.ownerId,
    Status: 'pending',
    StartTime: snapshot.startTime / 1000,
    VolumeSize: snapshot.sizeGiB,
    BlockSize: BLOCK,
    Description: snapshot.description,
    Tags: Object.entries(snapshot.tags).map(([Key, Value]) => ({ Key, Value })),
    ...(snapshot.parentId === undefined ? {} : { ParentSnapshotId: snapshot.parentId }),
    ...(snapshot.kmsKeyId === null ? {} : { KmsKeyArn: snapshot.kmsKeyId }),
  });
}

/** Follows the table in "Use encryption", for an account that does not encrypt by default. */
function encryptionOf({ Encrypted, KmsKeyArn }: StartInput, parent: StoredSnapshot | null) {
  const isSaid = Encrypted !== undefined || KmsKeyArn !== undefined;
  if (parent && isSaid) throw invalid('INVALID_PARAMETER_VALUE', 'encryption is that of the parent');
  if (parent) return { encrypted: parent.encrypted, kmsKeyId: parent.kmsKeyId };
  if (Encrypted === false && KmsKeyArn !== undefined) {
    throw invalid('INVALID_PARAMETER_VALUE', 'a key needs encryption');
  }
  const encrypted = Encrypted === true || KmsKeyArn !== undefined;
  return { encrypted, kmsKeyId: encrypted ? (KmsKeyArn ?? DEFAULT_KEY) : null };
}
