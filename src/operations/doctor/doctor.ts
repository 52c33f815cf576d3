/**
 * The operation `doctor`: checks the requirements of a migration without changing anything. In another store than S3 of
 * AWS, it writes a probe object and removes it.
 */
import { EXIT, type ExitCode } from '../../errors.ts';
import type { Services } from '../shared/services.ts';
import type { DoctorSettings } from '../shared/settings/doctor.ts';
import { examineBucket } from './check-bucket.ts';
import { examineConditions } from './check-conditions.ts';
import { examineEc2 } from './check-ec2.ts';
import { examineLeftovers } from './check-leftovers.ts';
import { examineMachine } from './check-machine.ts';

/** Reports each finding as an event. @returns `EXIT.failed` if a migration would not work; warnings are `EXIT.ok`. */
export async function doctor(settings: DoctorSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const examination = { settings, services, signal };
  const counts = { ok: 0, warning: 0, problem: 0 };
  for (const examine of [examineMachine, examineEc2, examineBucket, examineConditions, examineLeftovers]) {
    for await (const finding of examine(examination)) {
      counts[finding.verdict]++;
      services.host.notify({ code: 'doctor.finding', ...finding });
    }
  }
  services.host.notify({ code: 'doctor.finished', warnings: counts.warning, problems: counts.problem });
  return counts.problem === 0 ? EXIT.ok : EXIT.failed;
}
