/** `--help` shows the common options; `--help-all` shows all of them. */
import { type Command, Help } from 'commander';

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

/** Hides the options for special cases from `--help`, and adds `--help-all` if the command has any of them. */
export function showCommonOptions(command: Command): void {
  const special = command.options.filter(({ long, hidden }) => !hidden && SPECIAL.has(long ?? ''));
  if (special.length === 0) return;
  let showsAll = false;
  command.optionsGroup('Options:').option('--help-all', 'print help with all options');
  command.on('option:help-all', () => {
    showsAll = true;
    command.help();
  });
  command.configureHelp({
    visibleOptions(shown) {
      const options = Help.prototype.visibleOptions.call(this, shown);
      return showsAll ? options : options.filter((option) => !special.includes(option));
    },
  });
  command.addHelpText('after', () =>
    showsAll ? '' : `${special.length} more options for special cases: snap-to-s3 ${command.name()} --help-all\n`,
  );
}
