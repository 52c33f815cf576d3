/** The entry point of the command line. */
import { type Command, CommanderError } from 'commander';
import { asSnapError, EXIT, type ExitCode, SnapError } from '../errors.ts';
import { rootFailure } from '../lib/disposal.ts';
import type { CliContext } from './context.ts';
import { rewriteLegacyGrammar } from './legacy-grammar.ts';
import { LostOutput } from './lost-output.ts';
import { buildProgram } from './program.ts';
import { renderError } from './render/error.ts';
import { listenForSignals } from './signals.ts';

/** Runs the program and sets the exit code of the process. */
export async function main(process: NodeJS.Process): Promise<void> {
  let code: ExitCode = EXIT.ok;
  const output = new LostOutput(process);
  const argv = process.argv.slice(2);
  using interruption = listenForSignals(process, {
    first: (name) => context.onFirstSignal?.(name),
    second: () => context.onSecondSignal?.(),
  });
  const context: CliContext = {
    process,
    output,
    signal: interruption.signal,
    finish: (exit) => {
      code = exit;
    },
    onFirstSignal: null,
    onSecondSignal: null,
  };
  using _verdict = demandVerdict(process);
  using _silence = silenceLibraries();
  try {
    const current = rewriteLegacyGrammar(argv);
    const program = buildProgram(context, current);
    await program.parseAsync(keepUnknownCommand(program, current), { from: 'user' });
  } catch (thrown) {
    code = report(process, output, argv, thrown);
  }
  process.exitCode = output.verdict(code);
}

/**
 * Only the screens write to the terminal. The AWS SDK, for example, warns of keys in the environment when `--profile` is
 * used, and says that `AWS_PROFILE` is set.
 */
function silenceLibraries(): Disposable {
  const { warn } = console;
  console.warn = () => {};
  return {
    [Symbol.dispose]: () => {
      console.warn = warn;
    },
  };
}

/**
 * Reports a bug if the process exits before the command has ended. Node exits with code 0 when nothing is left to wait
 * for, which would look like success.
 */
export function demandVerdict(process: Pick<NodeJS.Process, 'on' | 'off' | 'stderr' | 'exitCode'>): Disposable {
  const onExit = (code: number): void => {
    if (code !== 0) return;
    const error = new SnapError('BUG', 'the program exited before the command was finished', {
      hint: 'only the work reported above is done; run the same command again, and please report this bug',
    });
    process.exitCode = error.exitCode;
    process.stderr.write(renderError(error, false, process.stderr as NodeJS.WriteStream));
  };
  process.on('exit', onExit);
  return { [Symbol.dispose]: () => process.off('exit', onExit) };
}

/**
 * Removes the options after an unknown command. With `nosuch --help`, commander would print the help of the program and
 * exit with 0; with `nosuch` alone, it refuses the command.
 */
function keepUnknownCommand(program: Command, argv: string[]): string[] {
  const [name = '-'] = argv;
  const isKnown = name.startsWith('-') || name === 'help' || program.commands.some((sub) => sub.name() === name);
  return isKnown ? argv : [name];
}

/**
 * Prints the error, and the errors of the cleanup after it. Commander also throws for `--help` and `--version`; it has
 * already printed those and its own usage errors.
 */
function report(process: NodeJS.Process, output: LostOutput, argv: readonly string[], thrown: unknown): ExitCode {
  const print = output.printer(process.stderr);
  const asJson = argv.includes('--json');
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return EXIT.ok;
    if (asJson) print(renderError(usageError(thrown), asJson, process.stderr));
    return EXIT.usage;
  }
  const { failure, cleanupFailures } = rootFailure(thrown);
  const error = asSnapError(failure);
  print(renderError(error, asJson, process.stderr));
  for (const cleanup of cleanupFailures) print(renderError(asSnapError(cleanup), asJson, process.stderr));
  return error.exitCode;
}

/** Converts a message such as `error: unknown option '--x'\n(Did you mean --y?)`; the suggestion becomes the hint. */
function usageError({ message }: CommanderError): SnapError {
  const [what = '', suggestion] = message.replace(/^error: /, '').split('\n');
  return new SnapError('USAGE', what, { hint: suggestion?.replace(/^\((.*)\)$/, '$1') ?? 'see --help' });
}
