/** The command `snap-to-s3 doctor`: converts its flags to the settings of the operation. */
import { Command, type Option } from 'commander';
import type { CodecName } from '../../archive/codec.ts';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT } from '../../errors.ts';
import type { DoctorSettings } from '../../operations/shared/settings/doctor.ts';
import type { SourceChoice } from '../../operations/shared/settings/volume.ts';
import type { CliContext } from '../context.ts';
import { exitStatusHelp, INTERRUPTED_ONLY } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  compressionOption,
  gpgRecipientOption,
  mountPointOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  sourceOption,
  tagOption,
  volumeTypeOption,
} from '../options.ts';
import { runOperation } from '../run-operation.ts';

/** The parsed flags. */
interface DoctorFlags extends AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  tag: string;
  compression: CodecName;
  source: SourceChoice;
  gpgRecipient?: string[];
  volumeType: string;
  mountPoint: string;
}

export function doctorCommand(context: CliContext): Command {
  const command = new Command('doctor')
    .summary('check the requirements of a migration')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runDoctor(self.opts<DoctorFlags>(), context));
  const ofObjects: Option[] = [tagOption(), compressionOption(), gpgRecipientOption()];
  const asInRun = [...ofObjects, sourceOption(), volumeTypeOption()];
  return addOptionGroups(command, [
    ['Bucket:', [bucketOption(), prefixOption(), bucketOwnerOption()]],
    ['Settings of the planned run:', [...asInRun, mountPointOption()]],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([], {
  ...INTERRUPTED_ONLY,
  [EXIT.ok]: 'a run would work; there may be warnings',
  [EXIT.failed]: 'a run would not work, or a check failed',
});

const DESCRIPTION = [
  'Checks everything that a migration needs, and changes nothing (with --endpoint-url, writes and removes a probe object): programs and their versions, root, filesystems that can be mounted,',
  'gpg keys, the metadata service, volume limits, permissions (by dry runs), the clock, the region, versioning, object lock and',
  'lifecycle rules of the bucket, and what interrupted runs left behind. Exits with code 1 if a run would not work.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 doctor --bucket backups.example.com
  snap-to-s3 doctor --bucket backups.example.com --source direct --region eu-west-1
  snap-to-s3 doctor --bucket backups.example.com --compression zstd --gpg-recipient ops@example.com --json
`;

async function runDoctor(flags: DoctorFlags, context: CliContext): Promise<void> {
  const settings: DoctorSettings = {
    tagKey: flags.tag,
    prefix: normalisePrefix(flags.prefix),
    codec: flags.compression,
    recipients: flags.gpgRecipient ?? [],
    source: flags.source,
    volumeType: flags.volumeType,
    mountPoint: flags.mountPoint,
    isOtherStore: flags.endpointUrl !== undefined,
  };
  await runOperation(flags, context, async (services, signal) => {
    const { doctor } = await import('../../operations/doctor/doctor.ts');
    return doctor(settings, services, signal);
  });
}
