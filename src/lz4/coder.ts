/**
 * Encodes and decodes blocks of lz4 in memory that threads share, and computes the checksum of their content. `coder.wat` is
 * the source of the program that does it; docs/development/decisions/013-lz4-in-threads.md says why it is ours.
 */
import { readFileSync } from 'node:fs';
import { FRESH_LANES } from '../lib/bytes/xxh32.ts';
import { ownFile } from '../lib/program-file.ts';

interface Exports {
  encode(from: number, fromEnd: number, to: number, table: number): number;
  decode(from: number, fromEnd: number, to: number, toEnd: number): number;
  mix(from: number, end: number): void;
  lane1: WebAssembly.Global;
  lane2: WebAssembly.Global;
  lane3: WebAssembly.Global;
  lane4: WebAssembly.Global;
}

/** The encoder needs this much memory for its hash table, in bytes. */
export const TABLE_BYTES = 16_384;

/** An encoded block can be so much longer than its plain bytes, in bytes; the encoder writes nothing beyond. */
export const encodedRoom = (plainBytes: number): number => plainBytes + Math.ceil(plainBytes / 255) + 64;

/** Only one thread may use it. Addresses are offsets in the memory, in bytes. */
export class Lz4Coder {
  readonly #exports: Exports;
  readonly #lanes: readonly [WebAssembly.Global, WebAssembly.Global, WebAssembly.Global, WebAssembly.Global];

  constructor(memory: WebAssembly.Memory) {
    const program = new WebAssembly.Module(readFileSync(ownFile('lz4/coder.wasm')));
    this.#exports = new WebAssembly.Instance(program, { ring: { memory } }).exports as unknown as Exports;
    const { lane1, lane2, lane3, lane4 } = this.#exports;
    this.#lanes = [lane1, lane2, lane3, lane4];
    this.resetLanes();
  }

  /**
   * Encodes a block as `lz4 -1` does.
   * @param to has room for `encodedRoom(length)` bytes.
   * @param table has room for `TABLE_BYTES`.
   * @returns the length of the encoded block in bytes, which exceeds `length` for bytes that cannot be compressed.
   */
  encode(from: number, length: number, to: number, table: number): number {
    return this.#exports.encode(from, from + length, to, table) - to;
  }

  /** @returns the number of plain bytes, or `null` for a block that breaks the rules of the format. */
  decode(from: number, length: number, to: number, room: number): number | null {
    const end = this.#exports.decode(from, from + length, to, to + room);
    return end === 0 ? null : end - to;
  }

  /** Takes sixteen bytes at a time into the lanes of the checksum; what is left over is not. */
  mix(from: number, length: number): void {
    this.#exports.mix(from, from + length);
  }

  resetLanes(): void {
    const [first, second, third, fourth] = this.#lanes;
    [first.value, second.value, third.value, fourth.value] = FRESH_LANES;
  }

  lanes(): [number, number, number, number] {
    const [first, second, third, fourth] = this.#lanes;
    return [first.value, second.value, third.value, fourth.value];
  }
}
