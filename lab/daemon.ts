/** The process of a lab. `lab up` starts it, and SIGTERM ends it. Its argument is a JSON document with the options. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RUNNING_FILE, type RunningLab } from './control/manage.ts';
import { writeFileAtomically } from './core/files.ts';
import { type LabOptions, startLab } from './index.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as LabOptions;
// Standard output is the lab's log.
const lab = await startLab({ ...options, log: (line) => process.stdout.write(`${line}\n`) });
const file = join(options.directory, RUNNING_FILE);
const running: RunningLab = { pid: process.pid, endpoints: lab.endpoints, environment: lab.environment() };
writeFileAtomically(file, JSON.stringify(running, null, 2));
process.send?.('ready');
process.disconnect?.();

const stop = async () => {
  await lab[Symbol.asyncDispose]();
  rmSync(file, { force: true });
  process.exit(0);
};
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => void stop());
