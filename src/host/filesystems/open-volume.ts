/** Opens a filesystem that is read directly from its device, without a driver. */
import { type FileHandle, open } from 'node:fs/promises';

const BOOT_BYTES = 512;

/**
 * @param make receives the device and its boot sector. If it succeeds, it owns the device and closes it later.
 * @throws what `make` throws, after the device has been closed.
 */
export async function openVolume<T>(device: string, make: (file: FileHandle, boot: Buffer) => Promise<T>): Promise<T> {
  const file = await open(device, 'r');
  try {
    const boot = Buffer.alloc(BOOT_BYTES);
    await file.read(boot, 0, BOOT_BYTES, 0);
    return await make(file, boot);
  } catch (error) {
    await file.close();
    throw error;
  }
}
