/** Decides what becomes of the archives of one volume. It makes no calls. */
import { parseGenerationKey } from '../../archive/key.ts';
import type { ListedObject } from '../../cloud/ports.ts';
import { isCopyVolume } from '../../lib/aws-names.ts';
import { count } from '../../lib/units.ts';
import type { KeepRules } from '../shared/settings/expire.ts';
import { reasonsToKeep } from './keep-rules.ts';
import type { ArchivesOfVolume, LineageArchive } from './lineage.ts';

export interface PlannedArchive {
  readonly archive: LineageArchive;
  /**
   * `keep`: a rule keeps it. `expire`: no rule keeps it. `expired`: it was removed earlier, except for what other points
   * need. `not-judged`: the rules do not apply to it.
   */
  readonly decision: 'keep' | 'expire' | 'expired' | 'not-judged';
  /** Why it is kept, or not judged. */
  readonly reasons: readonly string[];
  /** The points that stay and need packs of this archive. */
  readonly neededBy: readonly string[];
  /** The objects whose removal this archive allows, without the manifest. */
  readonly frees: readonly ListedObject[];
}

export interface LineagePlan {
  readonly volumeId: string;
  /** Why nothing of this volume may be removed; `null` if nothing prevents it. */
  readonly obstacle: string | null;
  /** In the order of the snapshots. */
  readonly archives: readonly PlannedArchive[];
}

type Judged = Pick<PlannedArchive, 'archive' | 'decision' | 'reasons'>;

/** What is removed as soon as every archive has gone that no rule keeps, for the plan. */
export const planLineage = (lineage: ArchivesOfVolume, rules: KeepRules): LineagePlan =>
  planRemoval(lineage, rules, ['expire', 'expired']);

/** What may be removed now. An archive that is marked can be restored until it has expired. */
export const planForNow = (lineage: ArchivesOfVolume, rules: KeepRules): LineagePlan =>
  planRemoval(lineage, rules, ['expired']);

function planRemoval(
  { volumeId, archives }: ArchivesOfVolume,
  rules: KeepRules,
  leaving: readonly PlannedArchive['decision'][],
): LineagePlan {
  const judged = judge(volumeId, archives, rules);
  const users = usersOf(judged.filter(({ decision }) => !leaving.includes(decision)).map(({ archive }) => archive));
  return {
    volumeId,
    obstacle: obstacleTo(archives),
    archives: judged.map((one) => {
      const neededBy = (users.get(one.archive.generation ?? '') ?? []).filter((id) => id !== one.archive.id);
      return { ...one, neededBy, frees: leaving.includes(one.decision) ? freedOf(one.archive, neededBy) : [] };
    }),
  };
}

function judge(volumeId: string, archives: readonly LineageArchive[], rules: KeepRules): Judged[] {
  const problems = new Map(archives.map((archive) => [archive.id, problemOf(archive, volumeId, archives)]));
  const reasons = reasonsToKeep(
    archives.filter(({ id }) => problems.get(id) === null),
    rules,
  );
  return archives.map((archive): Judged => {
    if (archive.state === 'expired') return { archive, decision: 'expired', reasons: [] };
    const problem = problems.get(archive.id) ?? null;
    if (problem !== null) return { archive, decision: 'not-judged', reasons: [problem] };
    const kept = reasons.get(archive.id);
    return kept ? { archive, decision: 'keep', reasons: kept } : { archive, decision: 'expire', reasons: [] };
  });
}

/**
 * An archive that cannot be restored must not count, because a rule would then keep it instead of an intact one.
 * @returns why the rules do not apply to the archive, as a clause; `null` if they do.
 */
function problemOf(archive: LineageArchive, volumeId: string, archives: readonly LineageArchive[]): string | null {
  const { state } = archive;
  if (isCopyVolume(volumeId)) return COPIED;
  if (state !== 'complete' && state !== 'expiring') return `the archive is ${state}`;
  const lost = lostBy(archive, archives);
  return lost === null ? null : `it needs packs of ${parseGenerationKey(lost)?.snapshotId}, which are not complete`;
}

/** @returns the key of the block list of a generation that the archive uses and that is not complete; `null` if all are. */
const lostBy = ({ uses }: LineageArchive, archives: readonly LineageArchive[]): string | null =>
  uses.find((key) => !archives.some(({ generation, hasShared }) => generation === key && hasShared)) ?? null;

/** Whether the archive could be restored, as far as a listing shows, if it had not been declared expired. */
export const isIntact = (archive: LineageArchive, archives: readonly LineageArchive[]): boolean =>
  archive.isWhole && lostBy(archive, archives) === null;

const COPIED = 'EC2 does not show the volume of a copied snapshot';

/** An archive whose manifest cannot be read may need any pack of its volume. */
function obstacleTo(archives: readonly LineageArchive[]): string | null {
  const [first, ...others] = archives.filter(({ state }) => state === 'unreadable-manifest' || state === 'unchecked');
  if (!first) return null;
  const more = others.length === 0 ? '' : ` (and ${count(others.length, 'other')})`;
  const why = first.state === 'unchecked' ? ' without the permission to read objects' : '';
  return `the manifest of ${first.id}${more} cannot be read${why}, and the archive may need any pack of the volume`;
}

/** @returns the points that use each generation, by the key of its block list. */
function usersOf(archives: readonly LineageArchive[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, uses } of archives) {
    for (const generation of uses) {
      const known = users.get(generation);
      if (known) known.push(id);
      else users.set(generation, [id]);
    }
  }
  return users;
}

/** @param neededBy the points that stay and use the generation of the archive. */
const freedOf = ({ own, shared }: LineageArchive, neededBy: readonly string[]): ListedObject[] =>
  neededBy.length === 0 ? [...own, ...shared] : [...own];
