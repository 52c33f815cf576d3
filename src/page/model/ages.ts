/** The cost of snapshots by age. */
import type { PageVolume } from './page-data.ts';

export interface AgeGroup {
  title: string;
  monthly: number;
  gib: number;
  snapshotCount: number;
}

/** The groups by upper limit in days, exclusive. */
const GROUPS: readonly { title: string; days: number }[] = [
  { title: 'under 1 month', days: 31 },
  { title: '1–3 months', days: 92 },
  { title: '3–6 months', days: 183 },
  { title: '6–12 months', days: 366 },
  { title: '1–2 years', days: 731 },
  { title: '2–5 years', days: 1827 },
  { title: 'over 5 years', days: Number.POSITIVE_INFINITY },
];

const UNKNOWN = 'age unknown';

/** @returns the groups, youngest first. */
export function ageGroups(volumes: readonly PageVolume[], latestDay: string): AgeGroup[] {
  const titles = [...GROUPS.map(({ title }) => title), UNKNOWN];
  const groups = new Map(titles.map((title) => [title, { title, monthly: 0, gib: 0, snapshotCount: 0 }]));
  for (const { startedAt, monthly, gib } of volumes.flatMap(({ snapshots }) => snapshots)) {
    const group = groups.get(titleOf(startedAt, latestDay));
    if (group === undefined) continue;
    group.monthly += monthly;
    group.gib += gib;
    group.snapshotCount++;
  }
  const all = [...groups.values()];
  return all.filter(({ title, snapshotCount }) => snapshotCount > 0 || title !== UNKNOWN);
}

function titleOf(startedAt: string | null, latestDay: string): string {
  const days = startedAt === null ? Number.NaN : (Date.parse(latestDay) - Date.parse(startedAt)) / 86_400_000;
  return GROUPS.find((group) => days < group.days)?.title ?? UNKNOWN;
}
