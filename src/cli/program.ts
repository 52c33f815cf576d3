/** The command line: all commands and the behavior that they share. */
import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { analyzeCommand } from './commands/analyze.ts';
import { cleanCommand } from './commands/clean.ts';
import { compareCommand } from './commands/compare.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drillCommand } from './commands/drill.ts';
import { expireCommand } from './commands/expire.ts';
import { labCommand } from './commands/lab.ts';
import { listCommand } from './commands/list.ts';
import { migrateCommand } from './commands/migrate.ts';
import { restoreCommand } from './commands/restore.ts';
import { validateCommand } from './commands/validate.ts';
import type { CliContext } from './context.ts';
import { EVERY_EXIT_STATUS } from './help.ts';
import { addHelpAll } from './help-all.ts';
import { demandMandatory } from './mandatory.ts';

/** @param argv with `--json`, usage errors are only thrown and not printed, so that the caller can print them as JSON. */
export function buildProgram(context: CliContext, argv: readonly string[]): Command {
  const program = new Command('snap-to-s3')
    .description('Moves EBS snapshots into your own S3 bucket, verifies every byte, and restores them.')
    .usage('COMMAND [OPTIONS]')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help for the program or a command')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError()
    .addHelpText('after', PROGRAM_HELP + EVERY_EXIT_STATUS);
  for (const command of [
    migrateCommand,
    validateCommand,
    restoreCommand,
    listCommand,
    drillCommand,
    analyzeCommand,
    cleanCommand,
    expireCommand,
    compareCommand,
    doctorCommand,
    labCommand,
  ].map((make) => make(context)))
    program.addCommand(command);
  addHelpAll(program, argv);
  unifyBehavior(program, context.process, argv.includes('--json'));
  return program;
}

const PROGRAM_HELP = `
The command lines of version 0 still work: snap-to-s3 --migrate --all --bucket BUCKET
`;

/** Gives the command and its subcommands the same help, and the same handling of usage errors. */
function unifyBehavior(command: Command, process: NodeJS.Process, asJson: boolean): void {
  demandMandatory(command);
  command.exitOverride().configureOutput({
    writeOut: (text) => process.stdout.write(text),
    writeErr: (text) => asJson || process.stderr.write(text),
  });
  for (const sub of command.commands) unifyBehavior(sub.helpOption('-h, --help', 'print help'), process, asJson);
}
