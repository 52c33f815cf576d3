/** QEMU, with what this machine can do for it. */
import { runProgram } from './lab.ts';

export const QEMU = 'qemu-system-x86_64';

/**
 * KVM where it works. It does not everywhere that has /dev/kvm: inside some virtual machines QEMU aborts ("failed to
 * set MSR"), which its own list of accelerators does not catch.
 */
export async function accelerator(qemu: string, env: Record<string, string>): Promise<'kvm' | 'tcg'> {
  const machine = ['-accel', 'kvm', '-cpu', 'max', '-m', '64', '-nodefaults', '-display', 'none', '-S'];
  const tried = await runProgram([qemu, ...machine, '-monitor', 'stdio'], { env, input: 'quit\n' });
  return tried.code === 0 ? 'kvm' : 'tcg';
}
