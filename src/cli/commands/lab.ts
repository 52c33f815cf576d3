/** The command `snap-to-s3 lab`, which runs the local cloud. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { LabControl, LabRefusal } from '../../../lab/control/client.ts';
import { labDown, labStatus, labUp, type RunningLab } from '../../../lab/control/manage.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { programFile } from '../../lib/program-file.ts';
import type { CliContext } from '../context.ts';
import { exitStatusHelp, INTERRUPTED_ONLY } from '../help.ts';

interface LabFlags {
  directory: string;
}

interface ShowFlags extends LabFlags {
  json?: true;
}

const directoryOption = (): Option =>
  new Option('--directory <path>', 'directory of the state of the lab')
    .default(join(homedir(), '.snap-to-s3-lab'))
    .env('SNAP_TO_S3_LAB');

export function labCommand(context: CliContext): Command {
  const lab = new Command('lab')
    .summary('run a local cloud with real block devices to try the program')
    .description(DESCRIPTION)
    .helpCommand('help [command]', 'print help for a command')
    .addHelpText('after', EXAMPLES + EXIT_STATUS);
  const print = (text: string) => context.process.stdout.write(`${text}\n`);
  sub(lab, 'up', 'start the lab unless it is running', ALWAYS_FOUND)
    .addOption(jsonOption())
    .action(async (flags: ShowFlags) => {
      needRoot(context.process);
      const running = await labUp({ directory: resolve(flags.directory) }, programFile('../lab/daemon'));
      print(flags.json ? JSON.stringify(running) : endpointsOf(running));
    });
  sub(lab, 'down', 'stop the lab and keep its state', ALWAYS_FOUND).action(async (flags: LabFlags) => {
    print((await labDown(resolve(flags.directory))) ? 'stopped' : 'the lab was not running');
  });
  sub(lab, 'status', 'show the endpoints and what was left behind')
    .addOption(jsonOption())
    .action(async (flags: ShowFlags) => {
      const running = needRunning(flags);
      const leftovers = await controlOf(running).leftovers();
      const lines = leftovers.map(({ kind, id, detail }) => `left behind: ${kind} ${id} (${detail})`);
      print(flags.json ? JSON.stringify({ ...running, leftovers }) : [endpointsOf(running), ...lines].join('\n'));
    });
  sub(lab, 'env', 'print shell commands that point AWS tools at the lab').action((flags: LabFlags) => {
    for (const [name, value] of Object.entries(needRunning(flags).environment)) print(`export ${name}='${value}'`);
  });
  sub(lab, 'snapshot', 'register a disk image as a completed snapshot')
    .argument('<image>', 'file with the image of a disk')
    .option('--tag-migrate', 'tag the snapshot with snap-to-s3=migrate')
    .option('--description <text>', 'description of the snapshot', '')
    .action(async (image: string, flags: LabFlags & { tagMigrate?: true; description: string }) => {
      const tags = flags.tagMigrate ? { 'snap-to-s3': 'migrate' } : {};
      const fixture = { imagePath: resolve(image), description: flags.description, tags };
      const { snapshotId } = await translateRefusal(controlOf(needRunning(flags)).addSnapshot(fixture));
      print(snapshotId);
    });
  sub(lab, 'volume', 'create a volume from a snapshot and attach it to this machine, or delete a volume')
    .argument('<id>', 'id of the snapshot; with --delete, id of the volume')
    .option('--delete', 'detach and delete the volume')
    .action(async (id: string, flags: LabFlags & { delete?: true }) => {
      const control = controlOf(needRunning(flags));
      if (flags.delete) await translateRefusal(control.removeVolume(id));
      else print(Object.values(await translateRefusal(control.addVolume(id))).join('  '));
    });
  sub(lab, 'bucket', 'create a bucket')
    .argument('<name>', 'name of the bucket')
    .action(async (name: string, flags: LabFlags) => {
      await controlOf(needRunning(flags)).addBucket(name);
      print(name);
    });
  return lab;
}

const DESCRIPTION = [
  'Runs EC2, the EBS direct APIs, S3, STS, the price list and instance metadata on this machine, with loop devices as volumes. The AWS',
  'SDKs and the AWS CLI work with it. Needs root, because volumes become block devices. No traffic leaves the machine.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 lab up
  snap-to-s3 lab bucket backups
  snap-to-s3 lab snapshot disk.img --tag-migrate
  eval "$(snap-to-s3 lab env)"
  snap-to-s3 migrate --all --bucket backups
  snap-to-s3 lab down
`;

const NOT_FOUND = 'no lab is running with this directory, or the lab refused the request';

const EXIT_STATUS = exitStatusHelp([EXIT.nothingToDo], { ...INTERRUPTED_ONLY, [EXIT.nothingToDo]: NOT_FOUND });

/** The exit codes of subcommands that do not need a running lab. */
const ALWAYS_FOUND = exitStatusHelp([], INTERRUPTED_ONLY);

const sub = (lab: Command, name: string, summary: string, exitStatus = EXIT_STATUS): Command =>
  lab.command(name).description(summary).addOption(directoryOption()).addHelpText('after', exitStatus);

const jsonOption = (): Option => new Option('--json', 'print one JSON document');

const controlOf = (running: RunningLab): LabControl => new LabControl(running.endpoints.control);

/** @throws SnapError `NOT_FOUND` with the reason of the lab, if the lab refuses the request. */
async function translateRefusal<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (!(error instanceof LabRefusal)) throw error;
    throw new SnapError('NOT_FOUND', `the lab refused the request: ${error.message}`, { cause: error });
  }
}

function needRunning(flags: LabFlags): RunningLab {
  const running = labStatus(resolve(flags.directory));
  if (running) return running;
  throw new SnapError('NOT_FOUND', `no lab is running with the directory ${resolve(flags.directory)}`, {
    hint: 'start it with: snap-to-s3 lab up',
  });
}

function needRoot(process: NodeJS.Process): void {
  if (process.platform !== 'linux') throw new SnapError('NOT_SUPPORTED_HERE', 'the lab needs Linux');
  if (process.getuid?.() === 0) return;
  throw new SnapError('NOT_SUPPORTED_HERE', 'the lab creates block devices, which needs root', {
    hint: 'run the command with sudo',
  });
}

const endpointsOf = ({ endpoints }: RunningLab): string =>
  Object.entries(endpoints)
    .map(([name, url]) => `${name.padEnd(8)} ${url}`)
    .join('\n');
