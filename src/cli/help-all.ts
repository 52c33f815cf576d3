/** `--help` shows the common options; `--help-all` shows all of them. */
import { type Command, CommanderError, Help } from 'commander';

/** Options for special cases, for all commands. */
const SPECIAL = new Set([
  '--block-streams',
  '--call-timeout',
  '--claim-life',
  '--compression-level',
  '--download-streams',
  '--endpoint-url',
  '--expected-bucket-owner',
  '--keep-temp-volumes',
  '--kms-key-id',
  '--max-block-rate',
  '--mount-point',
  '--no-index',
  '--no-replay',
  '--partition-concurrency',
  '--seed',
  '--sse',
  '--sse-kms-key-id',
  '--strict',
  '--thaw-days',
  '--upload-streams',
  '--volume-type',
  '--wait-limit',
  '--without-manifest',
]);

/** Whether `--help-all` was given. */
interface HelpDetail {
  showsAll: boolean;
}

/**
 * Hides the options for special cases from `--help`, and adds `--help-all` to the program and all of its commands. With
 * subcommands, it also prints their help.
 */
export function addHelpAll(program: Command, argv: readonly string[]): void {
  const detail = { showsAll: false };
  showCommonOptions(program, detail);
  // Commander parses the options of the program wherever they are, so this also handles `migrate --help-all`.
  program.on('option:help-all', () => {
    detail.showsAll = true;
    printWithSubcommands(commandIn(argv, program));
    throw new CommanderError(0, 'commander.help', '(outputHelp)');
  });
}

function showCommonOptions(command: Command, detail: HelpDetail): void {
  const special = command.options.filter(({ long, hidden }) => !hidden && SPECIAL.has(long ?? ''));
  const all = command.createOption('--help-all', textFor(command));
  // It is listed only if it prints more than `--help`.
  command.addOption(all.hideHelp(special.length + command.commands.length === 0));
  for (const sub of command.commands) showCommonOptions(sub, detail);
  if (special.length === 0) return;
  command.configureHelp({
    visibleOptions(shown) {
      const options = Help.prototype.visibleOptions.call(this, shown);
      return detail.showsAll ? options : options.filter((option) => !special.includes(option));
    },
  });
  command.addHelpText('after', () =>
    detail.showsAll
      ? ''
      : `${special.length} more options for special cases: snap-to-s3 ${command.name()} --help-all\n`,
  );
}

const textFor = ({ commands }: Command): string =>
  commands.length === 0 ? 'print help with all options' : 'print help for all commands, with all options';

/** @returns the command that the arguments name, or the program. */
function commandIn(argv: readonly string[], program: Command): Command {
  let command = program;
  for (const argument of argv) command = command.commands.find((sub) => sub.name() === argument) ?? command;
  return command;
}

function printWithSubcommands(command: Command): void {
  command.outputHelp();
  for (const sub of command.commands) {
    command.configureOutput().writeOut?.('\n');
    printWithSubcommands(sub);
  }
}
