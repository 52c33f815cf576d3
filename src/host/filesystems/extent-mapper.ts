/**
 * Asks the kernel which parts of files have room on the disk: holes of huge sparse files need not be read then.
 *
 * Node knows no ioctl, so a small process answers for all files of a comparison. It asks by FIEMAP, not by SEEK_DATA,
 * which tar has found the holes by: what one of them hides, the other still shows. Source: the kernel's
 * Documentation/filesystems/fiemap.rst.
 */
import { seconds, startTimer } from '../../lib/clock.ts';
import { closeAll, makePipes } from '../../transfer/pipes.ts';
import { type RunningProcess, requestStop, startStage } from '../../transfer/process.ts';

/** Descriptors of this process, blocking: a thread writes a question, and reads the answer. */
export interface ExtentMapper extends AsyncDisposable {
  questions: number;
  answers: number;
}

/** `_IOWR('f', 11, struct fiemap)` */
const FS_IOC_FIEMAP = '0xC020660B';

/** Extents of one answer. */
const MOST = 256;

/**
 * A question is a line: a descriptor of this process, where to begin, and how many bytes. An answer is a line: 1 when
 * it is about all of these bytes, else 0; then the place and the length of each extent, written to or not. It is `?`
 * where the filesystem does not tell.
 */
const INTERPRETERS = [
  [
    'perl',
    '-e',
    `$| = 1; print STDERR "ready\\n";
while (<STDIN>) {
  my ($descriptor, $from, $length) = split;
  my $map = pack("QQLLLL", $from, $length, 1, 0, ${MOST}, 0) . ("\\0" x (56 * ${MOST}));
  my $file;
  my $is_told = open($file, "<", "/proc/$ARGV[0]/fd/$descriptor") && ioctl($file, ${FS_IOC_FIEMAP}, $map);
  if (!$is_told) { print "?\\n"; next; }
  my $count = (unpack("QQLLLL", $map))[3];
  my ($is_last, @extents) = ($count < ${MOST} ? 1 : 0);
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
    found = bytearray(struct.pack("=QQLLLL", start, length, 1, 0, ${MOST}, 0) + bytes(56 * ${MOST}))
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
    is_last = int(count < ${MOST} or any(extent[5] & 1 for extent in extents))
    print(is_last, *[number for extent in extents for number in (extent[0], extent[2])], flush=True)`,
  ],
] as const;

/** @returns `null` without an interpreter: holes are read then, which only takes longer. */
export async function startExtentMapper(signal: AbortSignal): Promise<ExtentMapper | null> {
  for (const argv of INTERPRETERS) {
    signal.throwIfAborted();
    const mapper = await start([...argv, String(process.pid)], signal);
    if (mapper) return mapper;
  }
  return null;
}

const STARTS_WITHIN = seconds(30);

/** Cancelled, it ends, so that no thread waits for an answer. */
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
  using _late = startTimer(STARTS_WITHIN, onAbort);
  if (await ready.promise)
    return { questions: questions.writeEnd, answers: answers.readEnd, [Symbol.asyncDispose]: end };
  await end();
  return null;
}

type PipeEnds = { readEnd: number; writeEnd: number };
