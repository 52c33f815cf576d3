/**
 * Version 0 had no commands, only flags: `--migrate --all --bucket b`. This module rewrites its command lines to the
 * current grammar; no other module handles them.
 */
import { SnapError } from '../errors.ts';

/** The flags that selected a command, in order of precedence: `--migrate --validate` is a migration that validates. */
const COMMAND_FLAGS = ['--migrate', '--validate', '--analyze'] as const;

/**
 * @param argv the arguments after the program name.
 * @throws SnapError `USAGE` if `--migrate` and `--analyze` are combined.
 */
export function rewriteLegacyGrammar(argv: readonly string[]): string[] {
  if (argv[0] !== undefined && !argv[0].startsWith('-')) return [...argv];
  const flag = COMMAND_FLAGS.find((candidate) => argv.some((argument) => isFlag(argument, candidate)));
  if (flag === undefined) return [...argv];
  if (flag === '--migrate' && argv.some((argument) => isFlag(argument, '--analyze'))) {
    throw new SnapError('USAGE', '--migrate and --analyze cannot be used together');
  }
  const position = argv.findIndex((argument) => isFlag(argument, flag));
  const value = argv[position]?.slice(flag.length + 1) ?? '';
  const others = argv.toSpliced(position, 1, ...(value === '' ? [] : [value]));
  return [flag.slice(2), ...others];
}

const isFlag = (argument: string, flag: string): boolean => argument === flag || argument.startsWith(`${flag}=`);
