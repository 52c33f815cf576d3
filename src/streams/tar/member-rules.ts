/**
 * Decides which members of a tar may be restored, and in which form. A tar is untrusted input: nothing may be created
 * outside the directory, written through a link, or get rights that were not granted.
 */
import type { NewMember } from '../../archive/tar/tar-writer.ts';
import { HashedSet } from '../../lib/bytes/hashed-set.ts';
import { pathOfMember } from '../disk-tree.ts';
import { WantedPaths } from './wanted-paths.ts';

export interface ExtractionRules {
  /** Paths below the root, without `.` and `..`; `null` selects everything. */
  paths: readonly string[] | null;
  /** Whether to restore device nodes, set-user-ID and set-group-ID bits, and file capabilities. */
  isPrivileged: boolean;
  /** Whether the target treats `A` and `a`, or two encodings of a letter, as the same name. */
  isCaseInsensitive: boolean;
  /** The beginnings of the names in the target directory that the restore itself uses. */
  ownNames: readonly string[];
}

export type ExtractionDecision =
  /** `isReduced` means that some of its rights were removed. */
  | { what: 'take'; path: Buffer; member: NewMember; isReduced: boolean }
  | { what: 'not-wanted' | 'device' }
  | { what: 'refuse'; why: string };

const NOT_WANTED: ExtractionDecision = { what: 'not-wanted' };

const refusal = (why: string): ExtractionDecision => ({ what: 'refuse', why });

const SET_IDS = 0o6000;

const CAPABILITY = 'security.capability';

export class MemberRules {
  readonly #rules: ExtractionRules;
  /** Names that were accepted as directories, and names that may be links to other places. */
  readonly #directories = new HashedSet();
  readonly #links = new HashedSet();
  /** Names that were left out, to which hard links may refer. */
  readonly #devices = new HashedSet();
  /** All accepted names, if the target may treat different names as the same. */
  readonly #names = new HashedSet();
  readonly wanted: WantedPaths;

  constructor(rules: ExtractionRules) {
    this.#rules = rules;
    this.wanted = new WantedPaths(rules.paths);
    this.#directories.add('');
  }

  /**
   * @param alias the name, in Latin-1, under which a file that was not selected is restored: that of the member or, for a
   * hard link, that of the file that it refers to; `null` if the file has its own name.
   */
  decide(found: NewMember, alias: string | null = null): ExtractionDecision {
    const member = alias === null ? found : this.#renamed(found, alias);
    const path = pathOfMember(member.path);
    if (path === null) return refusal('the name points outside the archive');
    const name = path.toString('latin1');
    const isOwnName = member.type === 'hardlink' && pathOfMember(member.target)?.equals(path) === true;
    if (isOwnName || !this.wanted.has(name, member.type === 'directory')) return NOT_WANTED;
    if (this.#isLeftOut(name, member)) return { what: 'device' };
    const why = this.#reasonToRefuse(this.#folded(name), member);
    if (why !== null) return refusal(why);
    return { what: 'take', path, ...this.#asAllowed({ ...member, path: relative(path) }) };
  }

  /** Redirects links to the file. The file may come before the directories of its new name. */
  #renamed(member: NewMember, alias: string): NewMember {
    const name = Buffer.from(alias, 'latin1');
    if (member.type === 'hardlink') return { ...member, target: name };
    for (let parent = parentOf(alias); parent !== ''; parent = parentOf(parent)) this.#directories.add(parent);
    return { ...member, path: name };
  }

  /** Whether the member is a device that is left out, or another name of one. */
  #isLeftOut(name: string, { type, target }: NewMember): boolean {
    if (this.#rules.isPrivileged) return false;
    const isDevice = type === 'character' || type === 'block';
    const isName = type === 'hardlink' && this.#devices.has(pathOfMember(target)?.toString('latin1') ?? '');
    if (isDevice || isName) this.#devices.add(name);
    return isDevice || isName;
  }

  /** Returns why a member must not be restored; `null` if it may. Accepted names are recorded. */
  #reasonToRefuse(name: string, { type, target }: NewMember): string | null {
    if (this.#isOwnName(name)) return 'the restore itself uses this name; extract the file with tar';
    if (!this.#directories.has(parentOf(name))) return 'its parent is not a directory of the archive';
    if (this.#links.has(name)) return 'another member of that name is a link';
    if (type !== 'directory' && this.#directories.has(name)) return 'another member of that name is a directory';
    if (this.#rules.isCaseInsensitive && !(type === 'directory' && this.#directories.has(name))) {
      if (this.#names.has(name)) return 'the target treats its name as that of another member';
      this.#names.add(name);
    }
    if (type === 'directory') this.#directories.add(name);
    if (type === 'symlink') this.#links.add(name);
    return type === 'hardlink' ? this.#reasonToRefuseLink(name, target) : null;
  }

  #isOwnName = (name: string): boolean =>
    parentOf(name) === '' && this.#rules.ownNames.some((beginning) => name.startsWith(beginning));

  #reasonToRefuseLink(name: string, target: Buffer): string | null {
    const path = pathOfMember(target);
    if (path === null) return 'a hard link that points outside the archive';
    const first = this.#folded(path.toString('latin1'));
    if (!this.wanted.has(path.toString('latin1'), false)) return `a hard link to ${path}, which was not selected`;
    if (this.#directories.has(first)) return 'a hard link to a directory';
    if (!this.#directories.has(parentOf(first))) return 'a hard link to a member that is not in the archive';
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

  /** The name as bytes in Latin-1, in the form in which a case-insensitive target compares it. */
  #folded(name: string): string {
    if (!this.#rules.isCaseInsensitive) return name;
    return Buffer.from(name, 'latin1').toString('utf8').normalize('NFKC').toLowerCase();
  }
}

const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));

/** Adds `./`, so that the path is never absolute and never looks like an option. */
const relative = (path: Buffer): Buffer => Buffer.concat([Buffer.from('./'), path]);
