/** Which snapshots an analysis would move to S3: of a volume all together where that is best, else one by one. */
import type { Analysis, Choice, Decision, SnapshotAnalysis, VolumeAnalysis } from './analysis.ts';

export interface Chosen {
  region: string;
  currency: string;
  /** `null`: snapshots of volumes that are not known. */
  volume: VolumeAnalysis;
  snapshots: SnapshotAnalysis[];
  choice: Choice;
}

/** By what is saved, most first. Snapshots one by one are of one choice each. */
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

/** What a decision about a volume moves: what images need stays, and so does the archive tier. */
function inScope({ snapshots }: VolumeAnalysis, { scope }: Choice): SnapshotAnalysis[] {
  const standard = snapshots.filter(({ tier }) => tier === 'standard');
  const within = scope === 'all-but-latest' ? standard.slice(0, -1) : standard;
  return within.filter(({ images }) => images.length === 0);
}
