/**
 * Mandatory options. Commander checks its own mandatory options before it looks for unknown ones, so a misspelled
 * `--bukcet` would only be reported as a missing `--bucket`. This check runs last.
 */
import type { Command, Option } from 'commander';

const mandatory = new WeakSet<Option>();

export function makeMandatory(option: Option): Option {
  mandatory.add(option);
  return option;
}

/** Makes the command fail with a usage error if one of its mandatory options is missing. */
export function demandMandatory(command: Command): void {
  command.hook('preAction', (_this, running) => {
    if (running !== command) return;
    const missing = command.options.find(
      (option) => mandatory.has(option) && command.getOptionValue(option.attributeName()) === undefined,
    );
    if (missing) {
      command.error(`error: required option '${missing.flags}' not specified`, {
        code: 'commander.missingMandatoryOptionValue',
      });
    }
  });
}
