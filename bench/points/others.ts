/** What incremental archives are compared with: the changed blocks alone, and restic. */
import { randomBytes } from 'node:crypto';
import { globSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lab/core/run.ts';
import { BLOCK_BYTES } from '../../src/cloud/blocks.ts';
import { sum } from '../../src/lib/sum.ts';
import { removeDirectory } from '../../test/support/remove-directory.ts';
import { measure } from '../measure.ts';

export type Compression = 'lz4' | 'zstd';

/** Commands that compress each file by itself, with the default levels of the program. */
const COMPRESSORS: Record<Compression, readonly string[]> = {
  lz4: ['lz4', '-1', '-q', '-m'],
  zstd: ['zstd', '-1', '-q'],
};

/** Number of files for each run of a compressor. */
const BATCH = 256;

/** @param scratch a directory that does not exist. @returns the bytes of the blocks, each compressed by itself. */
export async function compressedAlone(
  image: string,
  indexes: readonly number[],
  compression: Compression,
  scratch: string,
): Promise<number> {
  await using file = await open(image);
  const block = Buffer.alloc(BLOCK_BYTES);
  let bytes = 0;
  for (let from = 0; from < indexes.length; from += BATCH) {
    mkdirSync(scratch);
    const paths: string[] = [];
    for (const index of indexes.slice(from, from + BATCH)) {
      await file.read(block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      const path = join(scratch, String(index));
      writeFileSync(path, block);
      paths.push(path);
    }
    await run([...COMPRESSORS[compression], ...paths]);
    bytes += bytesIn(scratch, '*.{lz4,zst}');
    removeDirectory(scratch);
  }
  return bytes;
}

const bytesIn = (directory: string, pattern: string): number =>
  sum(globSync(pattern, { cwd: directory }).map((path) => fileBytes(join(directory, path))));

const fileBytes = (path: string): number => {
  const found = statSync(path);
  return found.isFile() ? found.size : 0;
};

/** A repository of restic in a local directory. */
export class Restic {
  readonly #repository: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(directory: string) {
    this.#repository = join(directory, 'repository');
    this.#env = {
      PATH: process.env['PATH'],
      HOME: directory,
      TMPDIR: directory,
      RESTIC_REPOSITORY: this.#repository,
      RESTIC_PASSWORD_FILE: join(directory, 'password'),
    };
  }

  /** @param directory for everything that restic writes. */
  static async create(directory: string): Promise<Restic> {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'password'), randomBytes(16).toString('hex'), { mode: 0o600 });
    const restic = new Restic(directory);
    await restic.#run('init');
    return restic;
  }

  /** @returns the bytes of the repository after the backup. */
  async backUp(image: string): Promise<number> {
    await this.#run('backup', image);
    return bytesIn(this.#repository, '**');
  }

  #run = (...argv: string[]) => measure(['restic', '--quiet', '--no-cache', ...argv], this.#env);
}
