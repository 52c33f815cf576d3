/** `--help` shows the options that most people need; `--help-all` shows every one. */
import { type Command, Help } from 'commander';

/** Options for special cases, whichever command has them. */
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
  '--partitions-at-once',
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

/** Prepares the help of a command, and gives it `--help-all` where it has options for special cases. */
export function showCommonOptions(command: Command): void {
  const special = command.options.filter(({ long, hidden }) => !hidden && SPECIAL.has(long ?? ''));
  if (special.length === 0) return;
  let isWhole = false;
  command.optionsGroup('Options:').option('--help-all', 'print help with all options');
  command.on('option:help-all', () => {
    isWhole = true;
    command.help();
  });
  command.configureHelp({
    visibleOptions(shown) {
      const options = Help.prototype.visibleOptions.call(this, shown);
      return isWhole ? options : options.filter((option) => !special.includes(option));
    },
  });
  command.addHelpText('after', () =>
    isWhole ? '' : `\n${special.length} more options for special cases: snap-to-s3 ${command.name()} --help-all\n`,
  );
}
