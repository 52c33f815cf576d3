/** The comparisons of the bench. */
import {
  archive,
  type Bench,
  CMP,
  type Contestant,
  DIFF,
  fetchArchive,
  migrate,
  restore,
  shell,
  TAR,
  UNTAR,
  UPLOAD,
  validate,
  validateStage,
} from './contestants.ts';

export interface Group {
  name: string;
  /** The section of docs/development/performance.md with the results. */
  section: 'migrate' | 'validate' | 'restore';
  data: 'tree' | 'image';
  setUp?: (bench: Bench) => Promise<void>;
  /** The number of the program's own contestants, which come first. */
  ours: number;
  contestants: Contestant[];
}

const TREE_FOR = { section: 'validate', data: 'tree', setUp: archive('tar') } as const;
const IMAGE_FOR = { section: 'validate', data: 'image', setUp: archive('img', '--dd') } as const;

/** @param compressor a command that compresses standard input to standard output. @param flags of the program. */
const archiveTree = (codec: 'lz4' | 'zstd', compressor: string, flags: string[]): Group => ({
  name: `tree, tar and ${codec} -1`,
  section: 'migrate',
  data: 'tree',
  ours: 2,
  contestants: [
    { name: 'migrate into the lab', run: migrate('lab', ...flags) },
    { name: 'migrate into a sink', run: migrate('sink', ...flags) },
    { name: `tar | ${codec} > /dev/null`, run: shell('tree', `${TAR} | ${compressor} > /dev/null`) },
    { name: `${codec} alone`, run: shell('tree', `${compressor} < "$2" > /dev/null`) },
    { name: `tar | ${codec} | aws s3 cp -, lab`, run: shell('tree', `${TAR} | ${compressor} | ${UPLOAD.lab}`) },
    { name: `tar | ${codec} | aws s3 cp -, sink`, run: shell('tree', `${TAR} | ${compressor} | ${UPLOAD.sink}`) },
  ],
});

export const GROUPS: Group[] = [
  archiveTree('lz4', 'lz4 -1 -z -c', []),
  archiveTree('zstd', 'zstd -1 -T0 -q -c', ['--compression', 'zstd']),
  {
    name: 'image, lz4 -1',
    section: 'migrate',
    data: 'image',
    ours: 2,
    contestants: [
      { name: 'migrate --dd into the lab', run: migrate('lab', '--dd') },
      { name: 'migrate --dd into a sink', run: migrate('sink', '--dd') },
      { name: 'lz4 alone', run: shell('device', 'lz4 -1 -z -c < "$1" > /dev/null') },
      { name: 'lz4 | aws s3 cp -, lab', run: shell('device', `lz4 -1 -z -c < "$1" | ${UPLOAD.lab}`) },
      { name: 'lz4 | aws s3 cp -, sink', run: shell('device', `lz4 -1 -z -c < "$1" | ${UPLOAD.sink}`) },
    ],
  },
  {
    ...TREE_FOR,
    name: 'validate a tree, lz4',
    ours: 3,
    contestants: [
      { name: 'validate from the lab', run: validate },
      { name: 'validate, untar and hash', run: validateStage('alone') },
      { name: 'validate, without the store', run: validateStage('disk') },
      { name: 'lz4 -d alone', run: shell('tree', 'lz4 -d -c "$4" > /dev/null') },
      { name: 'lz4 -d, output only read', run: validateStage('read') },
      { name: 'lz4 -d, output hashed', run: validateStage('hash') },
      { name: 'lz4 -d into a pipe', run: shell('tree', 'lz4 -d -c "$4" | cat > /dev/null') },
      {
        name: 'md5sum of the tree, 2 at once',
        run: shell('tree', 'cd "$1" && find . -type f -print0 | xargs -0 -P2 -n 64 md5sum > /dev/null'),
      },
      { name: 'lz4 -d | tar --diff', run: shell('tree', `lz4 -d -c "$4" | ${DIFF}`) },
      {
        name: 'aws s3 cp | lz4 -d | tar --diff',
        run: shell('tree', `${fetchArchive('tar')} | lz4 -d -c | ${DIFF}`),
      },
    ],
  },
  {
    ...TREE_FOR,
    name: 'restore a tree, lz4',
    section: 'restore',
    ours: 1,
    contestants: [
      { name: 'restore --to-dir', run: restore('--to-dir') },
      { name: 'lz4 -d | tar -x', run: shell('tree', `d=$(mktemp -d) && lz4 -d -c "$4" | ${UNTAR}`) },
      {
        name: 'aws s3 cp | lz4 -d | tar -x',
        run: shell('tree', `d=$(mktemp -d) && ${fetchArchive('tar')} | lz4 -d -c | ${UNTAR}`),
      },
    ],
  },
  {
    ...IMAGE_FOR,
    name: 'restore an image, lz4',
    section: 'restore',
    ours: 1,
    contestants: [
      { name: 'restore --to-file', run: restore('--to-file') },
      { name: 'lz4 -d | dd', run: shell('device', 'lz4 -d -c "$4" | dd of="$(mktemp)" bs=1M conv=fsync status=none') },
      {
        name: 'aws s3 cp | lz4 -d | dd',
        run: shell('device', `${fetchArchive('img')} | lz4 -d -c | dd of="$(mktemp)" bs=1M conv=fsync status=none`),
      },
      { name: 'dd of the raw bytes', run: shell('device', 'dd if="$1" of="$(mktemp)" bs=1M conv=fsync status=none') },
    ],
  },
  {
    ...IMAGE_FOR,
    name: 'validate an image, lz4',
    ours: 1,
    contestants: [
      { name: 'validate --dd from the lab', run: validate },
      { name: 'lz4 -d alone', run: shell('device', 'lz4 -d -c "$4" > /dev/null') },
      { name: 'lz4 -d | cmp', run: shell('device', `lz4 -d -c "$4" | ${CMP}`) },
      { name: 'aws s3 cp | lz4 -d | cmp', run: shell('device', `${fetchArchive('img')} | lz4 -d -c | ${CMP}`) },
    ],
  },
];
