/** The identities that may call the services of the lab, and their policies. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFileAtomically } from './files.ts';
import type { Policy } from './policy.ts';

export interface Identity {
  accessKeyId: string;
  secretAccessKey: string;
  /** Only credentials of a role have a session token. */
  sessionToken?: string;
  /** The ISO date after which the credentials are refused. */
  expires?: string;
  arn: string;
  /** `null` allows everything. */
  policy: Policy | null;
}

export class Identities {
  readonly #file: string;
  #all: Identity[];

  constructor(file: string, accountId: string) {
    this.#file = file;
    this.#all = readIdentities(file) ?? [administrator(accountId)];
    this.#save();
  }

  /** The identity that may do everything. */
  get administrator(): Identity {
    const [first] = this.#all;
    if (!first) throw new Error('the lab has lost its administrator');
    return first;
  }

  find(accessKeyId: string): Identity | undefined {
    return this.#all.find((identity) => identity.accessKeyId === accessKeyId);
  }

  /** Adds a user with a policy or, if `expires` is given, a session of a role. */
  add(name: string, accountId: string, policy: Policy | null, expires?: string): Identity {
    const identity: Identity = {
      accessKeyId: `${expires ? 'ASIA' : 'AKIA'}${randomBytes(8).toString('hex').toUpperCase()}`,
      secretAccessKey: randomBytes(20).toString('hex'),
      arn: expires ? `arn:aws:sts::${accountId}:assumed-role/lab/${name}` : `arn:aws:iam::${accountId}:user/${name}`,
      policy,
      ...(expires ? { sessionToken: randomBytes(32).toString('base64'), expires } : {}),
    };
    this.#all.push(identity);
    this.#save();
    return identity;
  }

  #save(): void {
    writeFileAtomically(this.#file, JSON.stringify(this.#all, null, 2));
  }
}

const administrator = (accountId: string): Identity => ({
  accessKeyId: 'AKIALABLABLABLABLAB0',
  secretAccessKey: 'lab-secret-of-the-administrator-0000000',
  arn: `arn:aws:iam::${accountId}:user/administrator`,
  policy: null,
});

function readIdentities(file: string): Identity[] | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Identity[];
  } catch {
    return null;
  }
}
