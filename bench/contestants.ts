/** The contestants of the bench: commands of the program, and commands that a user would type instead. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { withMounted } from '../lab/disks/inspect.ts';
import { withDevice } from '../lab/disks/mounted.ts';
import { type Measured, measure, secondsOf } from './measure.ts';

/** The data that all contestants use. All paths are absolute. */
export interface Bench {
  env: NodeJS.ProcessEnv;
  /** The directory for everything that a contestant creates. */
  directory: string;
  program: string;
  snapshotId: string;
  /** The image of the snapshot's disk. */
  image: string;
  /** A tar of the disk's tree, for stages that run alone. */
  tar: string;
  /** A file with the stored object. */
  stored: string;
  /** The endpoint of the store that discards everything. */
  sink: string;
  /** The endpoint of the local cloud's S3. */
  s3: string;
}

export interface Result extends Measured {
  /** Seconds during which data was read, and stored or compared. They exclude the creation of volumes. */
  streaming: number;
}

export type Contestant = { name: string; run: (bench: Bench) => Promise<Result> };

/** Without this flag, the image would be copied for each volume, which would disturb the measurement. */
const KEEP = ['--keep-temp-volumes'];

/** Runs a command of the program. @param event the event that reports the seconds of streaming. */
async function command(bench: Bench, event: string, argv: readonly string[]): Promise<Result> {
  const measured = await measure([bench.program, ...argv, '--bucket', 'bench', '--json'], bench.env);
  return { ...measured, streaming: secondsOf(event, measured) };
}

export const migrate =
  (to: 'lab' | 'sink', ...flags: string[]) =>
  (bench: Bench): Promise<Result> => {
    const endpoint = to === 'sink' ? ['--endpoint-url', bench.sink] : [];
    const mount = ['--mount-point', join(bench.directory, 'mnt')];
    const argv = ['migrate', '--snapshots', bench.snapshotId, '--replace', ...KEEP, ...endpoint, ...mount, ...flags];
    return command(bench, 'object.stored', argv);
  };

export const validate = (bench: Bench): Promise<Result> => {
  const mount = ['--mount-point', join(bench.directory, 'mnt')];
  return command(bench, 'snapshot.validated', ['validate', '--snapshots', bench.snapshotId, ...KEEP, ...mount]);
};

/** Restores to a new target each time. */
export const restore =
  (to: '--to-dir' | '--to-file') =>
  async (bench: Bench): Promise<Result> => {
    const target = join(bench.directory, 'restored');
    const result = await command(bench, 'object.restored', ['restore', bench.snapshotId, to, target]);
    rmSync(target, { recursive: true });
    return result;
  };

/** Runs the part of `validate` that follows the download. */
export const validateStage =
  (how: 'read' | 'hash' | 'alone' | 'disk') =>
  (bench: Bench): Promise<Result> =>
    withMounted(bench.image, null, async (tree) => {
      const argv = [process.execPath, join(import.meta.dirname, 'stage.ts'), how, bench.stored, tree];
      const measured = await measure(argv, bench.env);
      const { seconds } = JSON.parse(measured.stdout.at(-1) ?? '') as { seconds: number };
      return { ...measured, streaming: seconds };
    });

/** Makes an archive, and copies its object to a file. */
export const archive =
  (layout: 'tar' | 'img', ...flags: string[]) =>
  async (bench: Bench): Promise<void> => {
    await migrate('lab', ...flags)(bench);
    const argv = ['bash', '-o', 'pipefail', '-c', `${fetchArchive(layout)} > "$4"`, 'archive', '', '', bench.s3];
    await measure([...argv, bench.stored], bench.env);
  };

/**
 * Runs a bash script. Its arguments are the device or the directory where it is mounted ($1), the tar of the tree ($2),
 * the endpoint of S3 ($3), the stored object ($4), and the endpoint of the store that discards everything ($5).
 */
export const shell =
  (on: 'tree' | 'device', script: string) =>
  (bench: Bench): Promise<Result> => {
    const measured = async (source: string): Promise<Result> => {
      const argv = ['bash', '-o', 'pipefail', '-c', `${script} && times >&2`, 'bench'];
      const result = await measure([...argv, source, bench.tar, bench.s3, bench.stored, bench.sink], bench.env);
      return { ...result, cpuSeconds: cpuOf(result.stderr), streaming: result.seconds };
    };
    return on === 'tree'
      ? withMounted(bench.image, null, measured)
      : withDevice(bench.image, null, { readOnly: true }, measured);
  };

/** Reads the processor time of the shell's children from the output of `times`, such as `0m1.234s 0m0.567s`. */
const cpuOf = (stderr: string): number =>
  [...(stderr.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );

export const TAR = 'tar --create --format=pax --numeric-owner --acls --selinux --xattrs --sparse --file=- -C "$1" .';
export const UNTAR = 'tar --extract --numeric-owner --acls --selinux --xattrs --xattrs-include=\'*\' --file=- -C "$d"';

/** Uploads standard input to the local cloud, or to the store that discards everything. */
export const UPLOAD = {
  lab: '/usr/bin/aws --endpoint-url "$3" s3 cp --quiet - s3://bench/cli',
  sink: '/usr/bin/aws --endpoint-url "$5" s3 cp --quiet - s3://bench/cli',
};

/** Downloads the object of the archive to standard output. */
export const fetchArchive = (layout: 'tar' | 'img'): string =>
  `/usr/bin/aws --endpoint-url "$3" s3 cp --quiet "s3://bench/$(/usr/bin/aws --endpoint-url "$3" s3 ls --recursive s3://bench/ |
    grep -o 'vol-.*${layout}.lz4$')" -`;

/** The size of a volume is a whole number of GiB, so its image may be longer than the disk. */
export const CMP = '{ cmp --bytes="$(blockdev --getsize64 "$1")" - "$1" && cat > /dev/null; }';

/** tar exits with 1 if it finds any difference, such as the times of directories. */
export const DIFF = '(tar --diff --file=- -C "$1" || true) > /dev/null 2>&1';
