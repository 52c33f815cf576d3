/** Which device name to ask EC2 for. On Nitro instances it is a label only, but EC2 insists that it be free. */
import { existsSync } from 'node:fs';

/** The names that the EC2 user guide recommends for data volumes on HVM instances, and the next ones. */
const LETTERS = [...'fghijklmnopqrstuvwxyz', ...'bcde'];

/**
 * Names that neither EC2 nor this machine holds, `/dev/sdf` first.
 * @param held as EC2 reports them; `/dev/xvdf` and `/dev/sdf1` count as `/dev/sdf`.
 */
export function freeDeviceNames(held: readonly string[], exists: (path: string) => boolean = existsSync): string[] {
  const heldLetters = new Set(held.map(letterOf));
  return LETTERS.filter(
    (letter) => !heldLetters.has(letter) && !exists(`/dev/sd${letter}`) && !exists(`/dev/xvd${letter}`),
  ).map((letter) => `/dev/sd${letter}`);
}

const letterOf = (device: string): string => /^(?:\/dev\/)?(?:sd|xvd)([a-z])\d*$/.exec(device)?.[1] ?? '';
