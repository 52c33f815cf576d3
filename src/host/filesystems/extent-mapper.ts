/**
 * Asks the kernel which parts of files are allocated on disk, so that holes of large sparse files need not be read.
 *
 * Node has no ioctl, so one small process answers for all files of a comparison. It uses FIEMAP and not SEEK_DATA, with
 * which tar found the holes: if one of them wrongly reports a hole, the other does not. Source:
 * Documentation/filesystems/fiemap.rst of the kernel.
 */
import { seconds, startTimer } from '../../lib/clock.ts';
import { closeAll, makePipes } from '../../transfer/pipes.ts';
import { type RunningProcess, requestStop, startStage } from '../../transfer/process.ts';

/** Blocking descriptors of this process: a thread writes a question to one and reads the answer from the other. */
export interface ExtentMapper extends AsyncDisposable {
  questions: number;
  answers: number;
}

/** `_IOWR('f', 11, struct fiemap)` */
const FS_IOC_FIEMAP = '0xC020660B';

/** Maximum extents in one answer. */
const MAX_EXTENTS = 256;

/**
 * A question is a line with a descriptor of this process, a start and a length in bytes. An answer is a line: 1 if it
 * covers all of these bytes, otherwise 0, followed by the position and length of each extent, including unwritten ones.
 * The answer is `?` if the filesystem does not support the call.
 */
const INTERPRETERS = [
  [
    'perl',
    '-e',
    `$| = 1; print STDERR "ready\\n";
while (<STDIN>) {
  my ($descriptor, $from, $length) = split;
  my $map = pack("QQLLLL", $from, $length, 1, 0, ${MAX_EXTENTS}, 0) . ("\\0" x (56 * ${MAX_EXTENTS}));
  my $file;
  my $is_known = open($file, "<", "/proc/$ARGV[0]/fd/$descriptor") && ioctl($file, ${FS_IOC_FIEMAP}, $map);
  if (!$is_known) { print "?\\n"; next; }
  my $count = (unpack("QQLLLL", $map))[3];
  my ($is_last, @extents) = ($count < ${MAX_EXTENTS} ? 1 : 0);
  for my $index (0 .. $count - 1) {
    my ($at, $bytes, $flags) = (unpack("QQQQQL", substr($map, 32 + 56 * $index, 44)))[0, 2, 5];
    push @extents, $at, $bytes;
    $is_last = 1 if $flags & 1;
  }
  print join(" ", $is_last, @extents), "\\n";
}`,
  ],
  [
    'python3',
    '-c',
    `import fcntl, os, struct, sys
print("ready", file=sys.stderr, flush=True)
for line in iter(sys.stdin.readline, ""):
    descriptor, start, length = map(int, line.split())
    found = bytearray(struct.pack("=QQLLLL", start, length, 1, 0, ${MAX_EXTENTS}, 0) + bytes(56 * ${MAX_EXTENTS}))
    try:
        file = os.open(f"/proc/{sys.argv[1]}/fd/{descriptor}", os.O_RDONLY)
        try:
            fcntl.ioctl(file, ${FS_IOC_FIEMAP}, found, True)
        finally:
            os.close(file)
    except OSError:
        print("?", flush=True)
        continue
    count = struct.unpack_from("=QQLLLL", found)[3]
    extents = [struct.unpack_from("=QQQQQL", found, 32 + 56 * index) for index in range(count)]
    is_last = int(count < ${MAX_EXTENTS} or any(extent[5] & 1 for extent in extents))
    print(is_last, *[number for extent in extents for number in (extent[0], extent[2])], flush=True)`,
  ],
] as const;

/** @returns `null` without an interpreter. Holes are then read, which only takes longer. */
export async function startExtentMapper(signal: AbortSignal): Promise<ExtentMapper | null> {
  for (const argv of INTERPRETERS) {
    signal.throwIfAborted();
    const mapper = await start([...argv, String(process.pid)], signal);
    if (mapper) return mapper;
  }
  return null;
}

const START_TIMEOUT = seconds(30);

/** The process ends when the signal is aborted, so that no thread waits for an answer. */
async function start(argv: readonly string[], signal: AbortSignal): Promise<ExtentMapper | null> {
  const [questions, answers] = (await makePipes(2)) as [PipeEnds, PipeEnds];
  const ready = Promise.withResolvers<boolean>();
  let helper: RunningProcess;
  try {
    helper = startStage(argv, {
      stdin: questions.readEnd,
      stdout: answers.writeEnd,
      onStderrLine: (line) => line === 'ready' && ready.resolve(true),
    });
  } finally {
    closeAll([questions.readEnd, answers.writeEnd]);
  }
  void helper.outcome.then(() => ready.resolve(false));
  const onAbort = () => requestStop(helper);
  signal.addEventListener('abort', onAbort, { once: true });
  const end = async () => {
    signal.removeEventListener('abort', onAbort);
    closeAll([questions.writeEnd, answers.readEnd]);
    await helper.stop();
  };
  using _late = startTimer(START_TIMEOUT, onAbort);
  if (await ready.promise)
    return { questions: questions.writeEnd, answers: answers.readEnd, [Symbol.asyncDispose]: end };
  await end();
  return null;
}

type PipeEnds = { readEnd: number; writeEnd: number };
