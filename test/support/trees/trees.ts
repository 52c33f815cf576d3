/** Creates any amount of ordinary content. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Copies real files of this machine with their owners, modes and times, up to about `bytes` in total. */
export async function makeRealFiles(directory: string, bytes: number): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const list = execFileSync(
    'find',
    [
      '/usr/bin',
      '/usr/lib',
      '/usr/share',
      '-xdev',
      '-type',
      'f',
      '-size',
      '-4M',
      '-size',
      '+7k',
      '-printf',
      '%s %p\\0',
    ],
    {
      maxBuffer: 2 ** 28,
    },
  );
  const chosen: string[] = [];
  let total = 0;
  for (const line of list.toString('latin1').split('\0')) {
    const [size = '0'] = line.split(' ', 1);
    if (line === '' || total + Number(size) > bytes) continue;
    total += Number(size);
    chosen.push(line.slice(size.length + 2));
    if (total > bytes * 0.99) break;
  }
  const archive = execFileSync('tar', ['--create', '--directory=/', '--null', '--files-from=-'], {
    input: Buffer.from(chosen.join('\0'), 'latin1'),
    maxBuffer: 2 * bytes + 2 ** 28,
  });
  execFileSync('tar', ['--extract', `--directory=${directory}`], {
    input: archive,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

export function makeManyFiles(directory: string, count: number): void {
  for (let at = 0; at < count; at++) {
    const folder = join(directory, String(Math.floor(at / 500)));
    if (at % 500 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file ${at}`), `content of file ${at}\n`);
  }
}
