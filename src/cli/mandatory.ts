/**
 * Options that must be given. The parser's own check comes before it looks for unknown options, so that a misspelt
 * `--bukcet` would be answered with "--bucket not specified" alone; this one comes last.
 */
import type { Command, Option } from 'commander';

const mandatory = new WeakSet<Option>();

export function makeMandatory(option: Option): Option {
  mandatory.add(option);
  return option;
}

/** Refuses to run the command while an option that must be given is missing. */
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
