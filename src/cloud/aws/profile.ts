/** What the AWS configuration files say of the profile that is used, apart from its credentials. */
import { SnapError } from '../../errors.ts';
import { loadSharedConfigFiles } from './sdk.ts';

export interface Profile {
  region?: string;
  /** Path of the certificates to trust. */
  caBundle?: string;
}

/**
 * @param name as given; else `AWS_PROFILE` names it, or it is `default`.
 * @throws SnapError `USAGE` when a profile that was named is in no file: nobody else's credentials stand in for it.
 */
export async function readProfile(name: string | undefined, env: NodeJS.ProcessEnv): Promise<Profile> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  const named = name || env['AWS_PROFILE'];
  const profile = named || 'default';
  if (named && !(named in configFile) && !(named in credentialsFile)) {
    throw noProfile(named, [...new Set([...Object.keys(configFile), ...Object.keys(credentialsFile)])]);
  }
  const { region, ca_bundle } = { ...credentialsFile[profile], ...configFile[profile] };
  return { ...(region ? { region } : {}), ...(ca_bundle ? { caBundle: ca_bundle } : {}) };
}

/** Sections of other kinds are listed as `sso-session.NAME`. */
function noProfile(name: string, known: readonly string[]): SnapError {
  const profiles = known.filter((each) => !/^(sso-session|services)\./.test(each)).sort();
  return new SnapError('USAGE', `there is no profile ${JSON.stringify(name)} in the AWS configuration files`, {
    hint:
      profiles.length === 0
        ? 'no profiles were found: check HOME, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or leave --profile and AWS_PROFILE unset'
        : `profiles found: ${profiles.join(', ')}; check --profile and AWS_PROFILE`,
  });
}
