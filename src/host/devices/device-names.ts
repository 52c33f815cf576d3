/** Chooses the device name for AttachVolume. On Nitro instances it is only a label, but EC2 requires a free one. */
import { existsSync } from 'node:fs';

/** The names that the EC2 user guide recommends for data volumes on HVM instances, followed by further ones. */
const LETTERS = [...'fghijklmnopqrstuvwxyz', ...'bcde'];

/**
 * Returns the names that are used neither in EC2 nor on this machine, starting with `/dev/sdf`.
 * @param used names in use as EC2 reports them; `/dev/xvdf` and `/dev/sdf1` count as `/dev/sdf`.
 */
export function freeDeviceNames(used: readonly string[], exists: (path: string) => boolean = existsSync): string[] {
  const usedLetters = new Set(used.map(letterOf));
  return LETTERS.filter(
    (letter) => !usedLetters.has(letter) && !exists(`/dev/sd${letter}`) && !exists(`/dev/xvd${letter}`),
  ).map((letter) => `/dev/sd${letter}`);
}

const letterOf = (device: string): string => /^(?:\/dev\/)?(?:sd|xvd)([a-z])\d*$/.exec(device)?.[1] ?? '';
