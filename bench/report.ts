/** Formats the results of a comparison as text: medians, and medians of the ratios within each round. */
import type { Result } from './contestants.ts';
import type { Group } from './groups.ts';
import { median } from './measure.ts';

type Pick = (result: Result) => number;

const streaming: Pick = (result) => result.streaming;
const cpuSeconds: Pick = (result) => result.cpuSeconds;

/**
 * @param rounds lists of results in the order of the contestants.
 * @param gigabytes the amount of data that each contestant reads, in units of 10^9 bytes.
 */
export function report(group: Group, rounds: readonly Result[][], gigabytes: number): string[] {
  const { contestants, ours } = group;
  const medianOf = (at: number, pick: Pick) => median(rounds.map((round) => pick(round[at] as Result)));
  const lines = contestants.map(({ name }, at) => {
    const speed = ((gigabytes * 1000) / medianOf(at, streaming)).toFixed(0).padStart(5);
    const [cpu, own] = [cpuSeconds, (result: Result) => result.ownCpuSeconds].map((pick) => medianOf(at, pick));
    const memory = `, own process ${((own ?? 0) / gigabytes).toFixed(2)} and ${medianOf(at, ({ peakMiB }) => peakMiB).toFixed(0)} MiB`;
    const isOurs = /^(migrate|validate)/.test(name);
    return `  ${name.padEnd(32)} ${speed} MB/s, ${((cpu ?? 0) / gigabytes).toFixed(2)} CPU s/GB${isOurs ? memory : ''}`;
  });
  for (const [at, { name }] of contestants.slice(0, ours).entries()) {
    for (const [index, other] of contestants.slice(ours).entries()) {
      if (storeOf(name) !== storeOf(other.name) && storeOf(other.name) !== null) continue;
      const ratio = (pick: Pick) =>
        median(rounds.map((round) => pick(round[ours + index] as Result) / pick(round[at] as Result))).toFixed(2);
      const work = `${ratio(cpuSeconds)} times the work per CPU second`;
      lines.push(`  ${name}: ${ratio(streaming)} times the speed, ${work} of ${other.name}`);
    }
  }
  return lines;
}

/** Returns the store of a contestant, or `null` if it stores nothing. Different stores are not compared. */
const storeOf = (name: string): string | null => /(lab|sink)$/.exec(name)?.[1] ?? null;
