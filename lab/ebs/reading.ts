/** ListSnapshotBlocks, ListChangedBlocks and GetSnapshotBlock. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { LabContext } from '../core/contract.ts';
import type { StoredSnapshot } from '../ec2/state.ts';
import { Changes, type Content } from './changes.ts';
import { BLOCK, failure, invalid, readable, type SnapshotShelf, WITHOUT_VOLUME } from './contract.ts';
import { Rate } from './rate.ts';
import { Tokens } from './tokens.ts';
import { writtenBlocks } from './written.ts';

export interface ReadRequest {
  operation: string;
  snapshotId: string;
  query: URLSearchParams;
  /** The block of GetSnapshotBlock. */
  index: number;
  behaviours: Map<string, string>;
}

const LIMITS = { least: 100, most: 10_000 };

export class BlockReader {
  readonly #context: LabContext;
  readonly #shelf: SnapshotShelf;
  readonly #tokens: Tokens;
  readonly #rate: Rate;
  /** Sets of Node keep their order, which is ascending here. */
  readonly #written = new Map<string, Promise<Set<number>>>();
  readonly #changes = new Changes();

  constructor(context: LabContext, shelf: SnapshotShelf) {
    this.#context = context;
    this.#shelf = shelf;
    this.#tokens = new Tokens(context);
    this.#rate = new Rate(context);
  }

  async list(request: ReadRequest): Promise<object> {
    const { snapshotId } = request;
    const { chosen, more } = this.#page([...(await this.#contentOf(snapshotId)).written], request);
    const Blocks = chosen.map((index) => ({ BlockIndex: index, BlockToken: this.#tokens.forBlock(snapshotId, index) }));
    return { Blocks, ...more };
  }

  async listChanged(request: ReadRequest): Promise<object> {
    const { snapshotId } = request;
    const firstId = request.query.get('firstSnapshotId');
    const first = firstId === null ? null : await this.#contentOf(firstId);
    const second = await this.#contentOf(snapshotId);
    if (firstId !== null) this.#assertNoStrangers(firstId, snapshotId);
    const changed = first ? await this.#changes.between(first, second) : [...second.written];
    const { chosen, more } = this.#page(changed, request);
    const token = (name: string, id: string | null, content: Content | null, index: number) =>
      id !== null && content?.written.has(index) ? { [name]: this.#tokens.forBlock(id, index) } : {};
    const ChangedBlocks = chosen.map((index) => ({
      BlockIndex: index,
      ...token('FirstBlockToken', firstId, first, index),
      ...token('SecondBlockToken', snapshotId, second, index),
    }));
    return { ChangedBlocks, ...more };
  }

  async get({ snapshotId, query, index, behaviours }: ReadRequest, response: ServerResponse): Promise<void> {
    readable(this.#shelf, snapshotId, this.#context);
    this.#tokens.check(query.get('blockToken') ?? '', snapshotId, index);
    this.#rate.take(snapshotId);
    await pause(this.#context.delays.getBlock);
    const bytes = await readBlock(this.#shelf.image(snapshotId), index);
    const checksum = createHash('sha256').update(bytes).digest('base64');
    if (behaviours.has('flip-bit')) bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    const headers = { 'x-amz-Data-Length': BLOCK, 'x-amz-Checksum': checksum, 'x-amz-Checksum-Algorithm': 'SHA256' };
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': BLOCK, ...headers });
    response.end(bytes);
  }

  async #contentOf(id: string): Promise<Content> {
    const snapshot = readable(this.#shelf, id, this.#context);
    const image = this.#shelf.image(id);
    const known =
      this.#written.get(id) ?? writtenBlocks(image, snapshot.writtenZeros ?? []).then((all) => new Set(all));
    this.#written.set(id, known);
    return { image, written: await known };
  }

  /** Allows snapshots of the same volume, and snapshots one of which was started as a child of the other. */
  #assertNoStrangers(firstId: string, secondId: string): void {
    const [first, second] = [firstId, secondId].map((id) => this.#origin(id));
    if (first !== second) throw invalid('UNRELATED_SNAPSHOTS', `${firstId} and ${secondId} are not related`);
  }

  #origin(id: string): string {
    let snapshot = this.#shelf.snapshot(id) as StoredSnapshot;
    for (let parent = snapshot; parent; parent = this.#shelf.snapshot(parent.parentId ?? '') as StoredSnapshot) {
      snapshot = parent;
    }
    return snapshot.volumeId === WITHOUT_VOLUME ? snapshot.id : snapshot.volumeId;
  }

  #page(blocks: readonly number[], request: ReadRequest) {
    const { snapshotId, query, behaviours } = request;
    const listing = listingOf(request);
    const from = this.#startOf(request);
    const first = blocks.findIndex((index) => index >= from);
    const size = behaviours.has('short-page') ? 1 : this.#pageSize(query);
    const chosen = first < 0 ? [] : blocks.slice(first, first + size);
    const next = first < 0 ? undefined : blocks[first + size];
    const more = {
      VolumeSize: this.#shelf.snapshot(snapshotId)?.sizeGiB ?? 0,
      BlockSize: BLOCK,
      ExpiryTime: this.#tokens.expiry(),
    };
    if (behaviours.has('empty-page'))
      return { chosen: [], more: { ...more, NextToken: this.#tokens.forPage(listing, from) } };
    return { chosen, more: next === undefined ? more : { ...more, NextToken: this.#tokens.forPage(listing, next) } };
  }

  #startOf(request: ReadRequest): number {
    const { query, behaviours } = request;
    const page = query.get('pageToken');
    if (page === null) return Number(query.get('startingBlockIndex') ?? 0);
    if (behaviours.has('expired-page')) throw invalid('INVALID_PAGE_TOKEN', 'the token has expired');
    return this.#tokens.page(page, listingOf(request));
  }

  #pageSize(query: URLSearchParams): number {
    const asked = Number(query.get('maxResults') ?? LIMITS.most);
    if (!(asked >= LIMITS.least && asked <= LIMITS.most)) {
      throw failure('ValidationException', 400, 'INVALID_PARAMETER_VALUE', 'maxResults must be 100 to 10000');
    }
    return Math.min(asked, this.#context.pageSize ?? asked);
  }
}

/** What a page token is valid for. Tokens of blocks are valid in all listings. */
const listingOf = ({ operation, snapshotId, query }: ReadRequest): string =>
  [operation, snapshotId, query.get('firstSnapshotId')].join(' ');

async function readBlock(image: string, index: number): Promise<Buffer> {
  const bytes = Buffer.alloc(BLOCK);
  await using file = await open(image, 'r');
  await file.read(bytes, 0, BLOCK, index * BLOCK);
  return bytes;
}
