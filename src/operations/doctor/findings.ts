/** The results of the checks of `doctor`. */
import { failureOfOne } from '../../lib/failure-of-one.ts';
import type { Services } from '../shared/services.ts';
import type { DoctorSettings } from '../shared/settings/doctor.ts';

export interface Finding {
  check: string;
  verdict: 'ok' | 'warning' | 'problem';
  detail: string;
  hint: string | null;
}

export interface Examination {
  settings: DoctorSettings;
  services: Services;
  signal: AbortSignal;
}

export const ok = (check: string, detail: string): Finding => ({ check, verdict: 'ok', detail, hint: null });

export const warning = (check: string, detail: string, hint: string): Finding => ({
  check,
  verdict: 'warning',
  detail,
  hint,
});

export const problem = (check: string, detail: string, hint: string | null): Finding => ({
  check,
  verdict: 'problem',
  detail,
  hint,
});

/**
 * Runs a check. A SnapError of the check becomes a finding of verdict `problem`.
 * @param describe converts the result of a successful check to the detail of the finding, or to another finding.
 */
export async function attempt<T>(
  check: string,
  run: () => T | Promise<T>,
  describe: (value: T) => string | Finding,
): Promise<Finding> {
  try {
    const found = describe(await run());
    return typeof found === 'string' ? ok(check, found) : found;
  } catch (thrown) {
    const { message, hint } = failureOfOne(thrown);
    return problem(check, message, hint ?? null);
  }
}
