/**
 * Which members of a tar may become files, and as what. A tar is untrusted input: nothing leads out of the directory,
 * nothing is written through a link, and nothing gains rights that nobody granted.
 */
import type { NewMember } from '../archive/tar-writer.ts';
import { HashedSet } from '../lib/bytes/hashed-set.ts';
import { pathOfMember } from './disk-tree.ts';
import { WantedPaths } from './wanted-paths.ts';

export interface ExtractionRules {
  /** Paths below the root, without `.` and `..`; `null` for everything. */
  paths: readonly string[] | null;
  /** Device nodes, set-user-ID and set-group-ID bits and file capabilities too. */
  isPrivileged: boolean;
  /** Whether the target takes `A` and `a`, or two spellings of a letter, for one name. */
  isCaseless: boolean;
  /** Files that were not asked for, with the hard link that was: the file comes under its name. */
  aliases: readonly (readonly [file: string, link: string])[];
}

export type Judgement =
  /** `isReduced`: it had rights that it does not get. */
  | { what: 'take'; path: Buffer; member: NewMember; isReduced: boolean }
  | { what: 'not-wanted' | 'device' }
  | { what: 'refuse'; why: string };

const NOT_WANTED: Judgement = { what: 'not-wanted' };

const refuse = (why: string): Judgement => ({ what: 'refuse', why });

const SET_IDS = 0o6000;

const CAPABILITY = 'security.capability';

export class MemberRules {
  readonly #rules: ExtractionRules;
  /** What has been taken as a directory, and as anything that could lead elsewhere. */
  readonly #directories = new HashedSet();
  readonly #links = new HashedSet();
  /** What was left out, and may be named again. */
  readonly #devices = new HashedSet();
  /** Where names can mean the same: all that were taken. */
  readonly #names = new HashedSet();
  readonly wanted: WantedPaths;
  /** Files that come under the name of a wanted hard link to them, which is the first such name. */
  readonly #aliases: ReadonlyMap<string, string>;

  constructor(rules: ExtractionRules) {
    this.#rules = rules;
    this.wanted = new WantedPaths(rules.paths);
    this.#aliases = new Map(rules.aliases);
    this.#directories.add('');
    for (const alias of this.#aliases.values()) {
      for (let parent = parentOf(alias); parent !== ''; parent = parentOf(parent)) this.#directories.add(parent);
    }
  }

  judge(found: NewMember): Judgement {
    const member = this.#renamed(found);
    const path = pathOfMember(member.path);
    if (path === null) return refuse('the name leads out of the archive');
    const name = path.toString('latin1');
    const isOwnName = member.type === 'hardlink' && pathOfMember(member.target)?.equals(path) === true;
    if (isOwnName || !this.wanted.has(name, member.type === 'directory')) return NOT_WANTED;
    if (this.#isLeftOut(name, member)) return { what: 'device' };
    const why = this.#reasonAgainst(this.#folded(name), member);
    if (why !== null) return refuse(why);
    return { what: 'take', path, ...this.#asAllowed({ ...member, path: relative(path) }) };
  }

  /** Links to a file that came under the name of the first of them lead to that name. */
  #renamed(member: NewMember): NewMember {
    if (this.#aliases.size === 0) return member;
    const aliasOf = (name: Buffer): string | undefined =>
      this.#aliases.get(pathOfMember(name)?.toString('latin1') ?? '');
    if (member.type === 'hardlink') {
      const target = aliasOf(member.target);
      return target === undefined ? member : { ...member, target: Buffer.from(target, 'latin1') };
    }
    const path = member.type === 'file' ? aliasOf(member.path) : undefined;
    return path === undefined ? member : { ...member, path: Buffer.from(path, 'latin1') };
  }

  /** A device, or another name of one. */
  #isLeftOut(name: string, { type, target }: NewMember): boolean {
    if (this.#rules.isPrivileged) return false;
    const isDevice = type === 'character' || type === 'block';
    const isName = type === 'hardlink' && this.#devices.has(pathOfMember(target)?.toString('latin1') ?? '');
    if (isDevice || isName) this.#devices.add(name);
    return isDevice || isName;
  }

  /** Names are remembered as they are taken. */
  #reasonAgainst(name: string, { type, target }: NewMember): string | null {
    if (!this.#directories.has(parentOf(name))) return 'it lies in what is no directory of the archive';
    if (this.#links.has(name)) return 'another member of that name is a link';
    if (type !== 'directory' && this.#directories.has(name)) return 'another member of that name is a directory';
    if (this.#rules.isCaseless && !(type === 'directory' && this.#directories.has(name))) {
      if (this.#names.has(name)) return 'the target takes its name for that of another member';
      this.#names.add(name);
    }
    if (type === 'directory') this.#directories.add(name);
    if (type === 'symlink') this.#links.add(name);
    return type === 'hardlink' ? this.#reasonAgainstLink(name, target) : null;
  }

  #reasonAgainstLink(name: string, target: Buffer): string | null {
    const path = pathOfMember(target);
    if (path === null) return 'a hard link that leads out of the archive';
    const first = this.#folded(path.toString('latin1'));
    if (!this.wanted.has(path.toString('latin1'), false)) return `a hard link to ${path}, which was not asked for`;
    if (this.#directories.has(first)) return 'a hard link to a directory';
    if (!this.#directories.has(parentOf(first))) return 'a hard link to what is not in the archive';
    if (this.#links.has(first)) this.#links.add(name);
    return null;
  }

  #asAllowed(member: NewMember): { member: NewMember; isReduced: boolean } {
    const { type, mode, xattrs } = member;
    const isDangerous = type === 'file' && ((mode & SET_IDS) !== 0 || xattrs.has(CAPABILITY));
    if (this.#rules.isPrivileged || !isDangerous) return { member, isReduced: false };
    const kept = new Map([...xattrs].filter(([name]) => name !== CAPABILITY));
    return { member: { ...member, mode: mode & ~SET_IDS, xattrs: kept }, isReduced: true };
  }

  /** Bytes as Latin-1, or what a caseless target makes of them. */
  #folded(name: string): string {
    if (!this.#rules.isCaseless) return name;
    return Buffer.from(name, 'latin1').toString('utf8').normalize('NFKC').toLowerCase();
  }
}

const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));

/** Never absolute, and never an option of whoever reads it. */
const relative = (path: Buffer): Buffer => Buffer.concat([Buffer.from('./'), path]);
