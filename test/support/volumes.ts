/** The volumes of the lab and their content. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DescribeVolumesCommand, type Volume } from '@aws-sdk/client-ec2';
import type { TestLab } from './lab.ts';

/** Returns the volumes that have not been deleted. */
export async function volumesIn(lab: TestLab): Promise<Volume[]> {
  const { Volumes = [] } = await lab.ec2.send(new DescribeVolumesCommand({}));
  return Volumes.filter(({ State }) => State !== 'deleting');
}

/** Returns the path of a volume's image in the lab. */
export function volumeImage(lab: TestLab, volumeId: string): string {
  const directory = join(lab.directory, '..', 'lab', 'ec2', 'volumes');
  const name = readdirSync(directory).find((entry) => entry.startsWith(volumeId));
  assert.ok(name, `the lab has no image of ${volumeId}`);
  return join(directory, name);
}

/** The number of device names that this process has taken. They are free until they are attached. */
let taken = 0;

/** Returns a device name that EC2 accepts, that the program does not use, and that no other lab on this machine has. */
export function spareDeviceName(): string {
  const [letters, all] = ['abcd', 'abcdefghijklmnopqrstuvwxyz'];
  const names = [...letters].flatMap((first) => [...all].map((second) => `/dev/xvd${first}${second}`));
  const free = names.filter((name) => !existsSync(name));
  const name = free[(process.pid + taken++) % free.length];
  assert.ok(name, 'all spare device names are taken');
  return name;
}
