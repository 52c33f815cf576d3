/** Which members of a tar may become files on a case-insensitive target. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewMember } from '../../../../src/archive/tar/tar-writer.ts';
import { MemberRules } from '../../../../src/streams/tar/member-rules.ts';

const memberOf = (path: string, type: NewMember['type'] = 'file', target = ''): NewMember => ({
  path: Buffer.from(path),
  type,
  size: 0n,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0n,
  target: Buffer.from(target),
  device: { major: 0, minor: 0 },
  xattrs: new Map(),
  rights: {},
  isSparse: false,
  segments: [],
});

const TWINS: Record<string, [first: NewMember, second: NewMember]> = {
  'another case of a letter': [memberOf('./a'), memberOf('./A')],
  'another spelling of a letter': [memberOf('./\u00e9'), memberOf('./e\u0301')],
  'a directory and a file': [memberOf('./dir', 'directory'), memberOf('./DIR')],
  'a file below a link': [memberOf('./link', 'symlink', '/etc'), memberOf('./LINK/x')],
  'a link in place of a directory': [memberOf('./dir', 'directory'), memberOf('./Dir', 'symlink', '/etc')],
};

test('a case-insensitive target gets the first of two names that differ only in case', () => {
  for (const [name, [first, second]] of Object.entries(TWINS)) {
    const judged = (isCaseInsensitive: boolean) => {
      const rules = new MemberRules({ paths: null, isPrivileged: false, isCaseInsensitive, ownNames: [] });
      return [first, second].map((member) => rules.decide(member).what);
    };
    assert.deepEqual(judged(true), ['take', 'refuse'], name);
    assert.equal(judged(false)[0], 'take', name);
  }
  const rules = new MemberRules({ paths: null, isPrivileged: false, isCaseInsensitive: true, ownNames: [] });
  const directories = ['./dir', './DIR'].map((path) => rules.decide(memberOf(path, 'directory')).what);
  assert.deepEqual(directories, ['take', 'take'], 'two directories become one');
  assert.equal(rules.decide(memberOf('./Dir/x')).what, 'take');
  assert.equal(rules.decide(memberOf('./dir/X')).what, 'refuse');
});
