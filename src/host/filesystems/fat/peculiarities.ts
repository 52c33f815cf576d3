/** What some drivers of FAT omit, confuse, or show in another way than others. */
import { printable } from '../../../lib/printable.ts';
import { decodeShortName } from './code-page.ts';

/** An entry of a directory. */
export interface Entry {
  /** Eight characters and three, in the code page of the system that wrote them. */
  short: Buffer;
  /** `null` if the entry has none. */
  long: string | null;
  attributes: number;
  /** The fields of the entry; both are zero if the system had no clock. */
  modified: { time: number; date: number };
  first: number;
  isDirectory: boolean;
}

const UNKNOWN_ATTRIBUTES = 0xc0;

/** @returns `null` if all drivers show the same. */
export function peculiarityOf(entry: Entry): string | null {
  const { short, long, attributes, modified } = entry;
  const name = shownName(entry);
  if (attributes & UNKNOWN_ATTRIBUTES) return `${name} has attributes that make some drivers omit it`;
  if (!isShownAlike(modified)) return `${name} has a modification time that drivers show in different ways`;
  if (/[. ]$/.test(long ?? aliasOf(short)))
    return `${name} has a name that ends in a dot or space, which drivers ignore`;
  if (long !== null) return long.isWellFormed() ? null : `${name} has a name that is not valid Unicode`;
  if (short.some((byte) => byte < 0x20 || byte > 0x7e)) return `${name} has a name in an unknown code page`;
  return [stemOf(short), extensionOf(short)].some((part) => part.includes(' '))
    ? `${name} has a space in its short name, which some drivers truncate`
    : null;
}

const shownName = ({ short, long }: Entry): string => printable(long ?? short.toString('latin1').trimEnd());

const stemOf = (short: Buffer): string => withoutPadding(decodeShortName(short).slice(0, 8));
const extensionOf = (short: Buffer): string => withoutPadding(decodeShortName(short).slice(8));

/** Unlike `trimEnd`, this keeps the no-break space, which is a character of the code page. */
const withoutPadding = (field: string): string => field.replace(/ +$/, '');

/**
 * grub-mount shows times that are not possible, and those that have more than 31 bits, as the beginning of 1970. The
 * kernel adds up whatever the fields contain. No time at all is no loss.
 */
function isShownAlike({ time, date }: Entry['modified']): boolean {
  if (time === 0 && date === 0) return true;
  const [year, month, day] = [1980 + (date >> 9), (date >> 5) & 15, date & 31];
  const [hour, minute, second] = [time >> 11, (time >> 5) & 63, 2 * (time & 31)];
  const shown = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const parts = [shown.getUTCMonth() + 1, shown.getUTCDate(), shown.getUTCHours(), shown.getUTCMinutes()];
  const isPossible = parts.join() === [month, day, hour, minute].join() && shown.getUTCSeconds() === second;
  return isPossible && shown.getTime() < 2 ** 31 * 1000;
}

/**
 * The names of a directory. Drivers look a file up by its name, in any case of its ASCII letters and by either of its
 * names: of two files that clash, they show the content of the first one twice.
 */
export class NamesOfDirectory {
  readonly #names = new Map<string, string>();

  /** @returns a message if an earlier entry has the same name. */
  clashWith(entry: Entry): string | null {
    const shown = shownName(entry);
    const names = new Set(namesOf(entry).map(inOneCase));
    const other = [...names].flatMap((name) => this.#names.get(name) ?? []).at(0);
    for (const name of names) this.#names.set(name, shown);
    return other === undefined ? null : `drivers cannot distinguish ${shown} from ${other}`;
  }
}

/** Flags of an entry can make the kernel show the short name in lower case, also beyond ASCII. */
function namesOf({ long, short }: Entry): string[] {
  const alias = aliasOf(short);
  return [long ?? '', alias, alias.toLowerCase()].filter((name) => name !== '');
}

const inOneCase = (name: string): string => name.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());

const aliasOf = (short: Buffer): string => [stemOf(short), extensionOf(short)].filter((part) => part !== '').join('.');
