/** The commands in the documents, as written. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

export interface DocumentedCommand {
  /** Where it stands, e.g. `docs/list.md`. */
  document: string;
  text: string;
}

/** Programs that commands in the documents begin with. */
const COMMAND =
  /^(?:\$ )?(?:sudo )?(?:snap-to-s3|aws|jq|head|rm|git|npm|\(printf|mail|curl|sfdisk|dd|gpg|lz4|zstd|tar) /;

/** Of blocks that have no language, and of lines that are indented by four. */
export const documentedCommands = (): DocumentedCommand[] =>
  globSync('{README.md,docs/*.md,docs/costs/*.md}', { cwd: ROOT })
    .sort()
    .flatMap((document) => {
      const text = readFileSync(join(ROOT, document), 'utf8');
      const blocks = [...text.matchAll(/^```(?:sh)?\n(.*?)^```$/gms)].map(([, block = '']) => block);
      const indented = [...text.matchAll(/^ {4}(snap-to-s3 .*)$/gm)].map(([, line = '']) => line);
      return [...blocks.flatMap(commandsIn), ...indented].map((command) => ({ document, text: command }));
    });

/** Lines that go on after a backslash, or inside quotation marks, are one command. A block with a shebang is a program. */
function commandsIn(block: string): string[] {
  if (block.startsWith('#!')) return [block];
  const commands: string[] = [];
  let open = false;
  for (const line of block.split('\n')) {
    if (open) commands.push(`${commands.pop()}\n${line}`);
    else if (COMMAND.test(line)) commands.push(line.replace(/^\$ /, ''));
    else continue;
    const last = commands.at(-1) ?? '';
    open = line.endsWith('\\') || (last.match(/'/g)?.length ?? 0) % 2 === 1;
  }
  return commands;
}
