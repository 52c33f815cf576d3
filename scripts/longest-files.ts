/** A reporter for `node --test` that lists the slowest test files. It helps to decide which cases should be sampled. */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

const SHOWN = 15;

export default async function* longestFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seconds = new Map<string, number>();
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting > 0 || data.file === undefined) continue;
    const file = relative(process.cwd(), data.file);
    seconds.set(file, (seconds.get(file) ?? 0) + data.details.duration_ms / 1000);
  }
  yield 'longest files, in seconds:\n';
  const longest = [...seconds].sort(([, one], [, other]) => other - one).slice(0, SHOWN);
  for (const [file, took] of longest) yield `${took.toFixed(0).padStart(6)}  ${file}\n`;
}
