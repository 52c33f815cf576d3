/** The command lines of version 0. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteLegacyGrammar } from '../../../src/cli/legacy-grammar.ts';

test('command lines of version 0 are converted to the current grammar', () => {
  for (const [old, today] of [
    ['--migrate --all --bucket b', 'migrate --all --bucket b'],
    ['--all --bucket b --migrate', 'migrate --all --bucket b'],
    ['--migrate --validate --all', 'migrate --validate --all'],
    ['--validate --one --bucket b', 'validate --one --bucket b'],
    ['--analyze=costs.csv', 'analyze costs.csv'],
    ['--analyze costs.csv', 'analyze costs.csv'],
    ['migrate --all', 'migrate --all'],
    ['--help', '--help'],
    ['', ''],
  ] as const) {
    assert.deepEqual(rewriteLegacyGrammar(old.split(' ').filter(Boolean)), today.split(' ').filter(Boolean));
  }
});
