/** Reads the settings of a profile from the AWS configuration files, except for its credentials. */
import { SnapError } from '../../errors.ts';
import { loadSharedConfigFiles } from './sdk.ts';

export interface Profile {
  /** `undefined` if no profile is named. */
  name?: string;
  region?: string;
  /** Path of a file with the certificate authorities to trust. */
  caBundle?: string;
}

/**
 * @param name by default the value of `AWS_PROFILE` or `AWS_DEFAULT_PROFILE`, in the order of version 2 of the AWS CLI, or
 *   `default`. The SDK does not know the second variable.
 * @throws SnapError `USAGE` if a named profile is in neither file. Otherwise the credentials of another profile might
 * be used instead.
 */
export async function readProfile(name: string | undefined, env: NodeJS.ProcessEnv): Promise<Profile> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  const named = name || env['AWS_PROFILE'] || env['AWS_DEFAULT_PROFILE'];
  const profile = named || 'default';
  if (named && !(named in configFile) && !(named in credentialsFile)) {
    throw noProfile(named, [...new Set([...Object.keys(configFile), ...Object.keys(credentialsFile)])]);
  }
  const { region, ca_bundle } = { ...credentialsFile[profile], ...configFile[profile] };
  return {
    ...(named ? { name: named } : {}),
    ...(region ? { region } : {}),
    ...(ca_bundle ? { caBundle: ca_bundle } : {}),
  };
}

/** The SDK lists sections of other kinds as `sso-session.NAME` or `services.NAME`. */
function noProfile(name: string, known: readonly string[]): SnapError {
  const profiles = known.filter((each) => !/^(sso-session|services)\./.test(each)).sort();
  return new SnapError('USAGE', `there is no profile ${JSON.stringify(name)} in the AWS configuration files`, {
    hint:
      profiles.length === 0
        ? 'no profiles were found: check HOME, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or leave --profile, AWS_PROFILE and AWS_DEFAULT_PROFILE unset'
        : `profiles found: ${profiles.join(', ')}; check --profile, AWS_PROFILE and AWS_DEFAULT_PROFILE`,
  });
}
