/** Compares images. */
import { join } from 'node:path';
import { run } from '../../lab/core/run.ts';

/** The command that compares two files, or a pipe and a file, without reading holes. */
export const SAME_BYTES = ['/usr/bin/python3', join(import.meta.dirname, 'same-bytes.py')] as const;

export interface Segment {
  /** The number of bytes of the other file that are skipped (default: 0). */
  skip?: number;
  /** The number of bytes that are compared (default: all). */
  bytes?: number;
}

/** @throws Error with the position of the first difference. */
export async function assertSameBytes(file: string, other: string, { skip = 0, bytes }: Segment = {}): Promise<void> {
  await run([...SAME_BYTES, file, other, String(skip), ...(bytes === undefined ? [] : [String(bytes)])]);
}
