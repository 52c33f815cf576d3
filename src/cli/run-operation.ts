/**
 * Runs the operation of a command. The operation, the AWS SDK and the screens are loaded only here, because help and usage
 * errors need none of them.
 */
import type { AwsChoices } from '../aws-services.ts';
import type { ExitCode } from '../errors.ts';
import type { SnapEvent } from '../events.ts';
import type { Services } from '../operations/shared/services.ts';
import type { CliContext } from './context.ts';
import type { OutputFlags } from './options.ts';

/** The storage class is `STANDARD` for commands that store nothing. */
type RunFlags = OutputFlags & Omit<AwsChoices, 'storageClass'> & Partial<Pick<AwsChoices, 'storageClass'>>;

/** Loads its modules by `import()`. */
export type Operation = (services: Services, signal: AbortSignal) => Promise<ExitCode>;

/** @param onEvent called with each event that the screen shows. */
export async function runOperation(
  flags: RunFlags,
  context: CliContext,
  operation: Operation,
  onEvent: (event: SnapEvent) => void = () => {},
): Promise<void> {
  const { openHost } = await import('./render/open-host.ts');
  using shown = openHost(flags, context);
  const notify = (event: SnapEvent) => {
    shown.notify(event);
    onEvent(event);
  };
  const { awsServices } = await import('../aws-services.ts');
  const services = await awsServices({ storageClass: 'STANDARD', ...flags }, { ...shown, notify }, context.process.env);
  context.finish(await operation(services, context.signal));
}
