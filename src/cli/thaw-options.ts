/** Flags for objects in archive classes, and the confirmation before objects are thawed. */
import { Option } from 'commander';
import { THAW_DAYS, type ThawSettings } from '../operations/shared/settings/thaw.ts';
import { ask, canAsk } from './ask.ts';
import type { CliContext } from './context.ts';
import { wholeNumber } from './flag-values.ts';

export interface ThawFlags {
  thawTier: ThawSettings['tier'];
  thawDays: number;
  wait?: true;
  yes?: true;
  json?: true;
  quiet?: true;
}

export const thawOptions = (): Option[] => [
  new Option('--thaw-tier <tier>', 'retrieval tier; Deep Archive does not offer Expedited')
    .choices(['Bulk', 'Standard', 'Expedited'])
    .default('Bulk'),
  new Option('--thaw-days <number>', 'days for which thawed objects stay readable, 1 to 365')
    .argParser(wholeNumber(1, 365))
    .default(THAW_DAYS),
  new Option('--wait', 'wait, possibly for hours, until S3 has thawed the objects (default: exit with code 13)'),
];

export const toThaw = (flags: ThawFlags, context: CliContext): ThawSettings => ({
  tier: flags.thawTier,
  days: flags.thawDays,
  consent: consentOf(flags, context),
  wait: flags.wait === true,
  resumeCommand: commandLine(context.process.argv.slice(2)),
});

/** @returns `null` if the user cannot be prompted. */
function consentOf(flags: ThawFlags, context: CliContext): ThawSettings['consent'] {
  if (flags.yes) return async () => true;
  return canAsk(flags, context) ? () => ask('Thaw the objects at the selected price?', context) : null;
}

/** The command line of this run, quoted for a shell, without the session key. */
function commandLine(argv: readonly string[]): string {
  const shown = argv.map((argument, index) => {
    if (argv[index - 1] === '--gpg-session-key') return hideSecret(argument, '');
    return hideSecret(argument, '--gpg-session-key=');
  });
  return ['snap-to-s3', ...shown].join(' ');
}

function hideSecret(argument: string, flag: string): string {
  if (flag !== '' && !argument.startsWith(flag)) return quoted(argument);
  const value = argument.slice(flag.length);
  return value === '-' || value.startsWith('@') ? quoted(argument) : `${flag}KEY`;
}

const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
