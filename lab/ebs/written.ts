/** Which blocks of a snapshot were ever written: those of its image that are no holes. */
import { run } from '../core/run.ts';
import { BLOCK } from './contract.ts';

/** The kernel tells data from holes (SEEK_DATA, SEEK_HOLE: lseek(2)), which Node has no call for. */
const EXTENTS = `
  open(my $file, '<', $ARGV[0]) or die $!;
  for (my $at = 0; defined($at = sysseek($file, $at, 3)); ) {
    my $end = sysseek($file, $at, 4);
    print $at + 0, ' ', $end + 0, "\\n";
    $at = $end;
  }`;

/** @returns block indexes, ascending. @param zeros blocks that were written with nothing but zeros. */
export async function writtenBlocks(image: string, zeros: readonly number[]): Promise<number[]> {
  const extents = await run(['perl', '-e', EXTENTS, image]);
  const blocks = new Set(zeros);
  for (const line of extents.split('\n').filter((text) => text !== '')) {
    const [start = 0, end = 0] = line.split(' ').map(Number);
    for (let index = Math.floor(start / BLOCK); index * BLOCK < end; index++) blocks.add(index);
  }
  return [...blocks].sort((a, b) => a - b);
}
