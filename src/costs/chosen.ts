/** The snapshots that an analysis recommends to move to S3: those of a volume together if possible, otherwise single ones. */
import type { Analysis, Choice, Decision, SnapshotAnalysis, VolumeAnalysis } from './analysis.ts';

export interface Chosen {
  region: string;
  currency: string;
  volume: VolumeAnalysis;
  snapshots: SnapshotAnalysis[];
  choice: Choice;
}

/** @returns the recommendations, the highest saving first. */
export function chosenOf({ regions }: Analysis): Chosen[] {
  const chosen = regions.flatMap(({ region, currency, volumes }) =>
    volumes.flatMap((volume) => chosenOfVolume(volume).map((found) => ({ region, currency, volume, ...found }))),
  );
  return chosen.sort((one, other) => other.choice.saving - one.choice.saving);
}

function chosenOfVolume(volume: VolumeAnalysis): { snapshots: SnapshotAnalysis[]; choice: Choice }[] {
  const best = bestOf(volume.decision);
  if (best?.what === 's3') return [{ snapshots: inScope(volume, best), choice: best }];
  if (best && best.what !== 'keep') return [];
  return volume.snapshots.flatMap((snapshot) => {
    const own = bestOf(snapshot.decision);
    return own?.what === 's3' ? [{ snapshots: [snapshot], choice: own }] : [];
  });
}

const bestOf = (decision: Decision | null): Choice | undefined => decision?.choices[decision.best];

/** The snapshots that a decision about a volume moves. Snapshots that images use, and those in the archive tier, stay. */
function inScope({ snapshots }: VolumeAnalysis, { scope }: Choice): SnapshotAnalysis[] {
  const standard = snapshots.filter(({ tier }) => tier === 'standard');
  const within = scope === 'all-but-latest' ? standard.slice(0, -1) : standard;
  return within.filter(({ images }) => images.length === 0);
}
