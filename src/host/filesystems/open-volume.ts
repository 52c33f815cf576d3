/** A filesystem that is read off its device without a driver: opened at its boot sector. */
import { type FileHandle, open } from 'node:fs/promises';

const BOOT_BYTES = 512;

/**
 * @param make gets the device and its boot sector, and closes the device once it is not needed any more. When it fails, the
 * device is closed here.
 * @throws what `make` throws
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
