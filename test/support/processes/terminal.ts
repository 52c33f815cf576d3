/** Runs the program on a terminal, where it can prompt. */
import { type Finished, PROGRAM, runProgram } from '../lab.ts';

/** Gives the same answer to each prompt. Everything that the program prints becomes standard output. */
export const onTerminal = (env: Record<string, string>, answer: string, argv: readonly string[]): Promise<Finished> =>
  runProgram(['python3', '-c', TERMINAL, answer, process.execPath, PROGRAM, ...argv], { env });

const TERMINAL = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
seen, answered = b'', 0
while True:
    try: chunk = os.read(fd, 65536)
    except OSError: break
    if not chunk: break
    seen += chunk
    if seen.count(b'[y/N]') > answered:
        answered += 1
        os.write(fd, sys.argv[1].encode() + b'\\r')
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
