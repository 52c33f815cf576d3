/** Finds the written blocks of a snapshot, which are the blocks of its image that are not holes. */
import { run } from '../core/run.ts';
import { BLOCK } from './contract.ts';

/** Finds data with SEEK_DATA and SEEK_HOLE of lseek(2), which Node does not support. */
const EXTENTS = `
  open(my $file, '<', $ARGV[0]) or die $!;
  for (my $at = 0; defined($at = sysseek($file, $at, 3)); ) {
    my $end = sysseek($file, $at, 4);
    print $at + 0, ' ', $end + 0, "\\n";
    $at = $end;
  }`;

/** @returns block indexes in ascending order. @param zeros blocks that were written with only zeros. */
export async function writtenBlocks(image: string, zeros: readonly number[]): Promise<number[]> {
  const extents = await run(['perl', '-e', EXTENTS, image]);
  const blocks = new Set(zeros);
  for (const line of extents.split('\n').filter((text) => text !== '')) {
    const [start = 0, end = 0] = line.split(' ').map(Number);
    for (let index = Math.floor(start / BLOCK); index * BLOCK < end; index++) blocks.add(index);
  }
  return [...blocks].sort((a, b) => a - b);
}
