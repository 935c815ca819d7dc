import type { Mounts } from '../../host/mounts.ts';

export interface MemoryMountsDeps {
  mounts: Pick<Mounts, 'mount'>;
  /** The kernel may write to a disk what is kept in memory: it promises nothing before Linux 6.4. */
  onSwappable(): void;
}

/** Makes file systems in memory that are never swapped out, where the kernel can do that. */
export class MemoryMounts {
  readonly #deps: MemoryMountsDeps;
  #canStay = true;

  constructor(deps: MemoryMountsDeps) {
    this.#deps = deps;
  }

  async mount(target: string, options: readonly string[]): Promise<void> {
    const { mounts, onSwappable } = this.#deps;
    const what = { source: 'tmpfs', target, fsType: 'tmpfs', options };
    if (!this.#canStay) return mounts.mount(what);
    try {
      await mounts.mount({ ...what, options: [...options, 'noswap'] });
    } catch {
      // Nothing is known of an option by a mount that fails without it, too.
      await mounts.mount(what);
      if (this.#canStay) onSwappable();
      this.#canStay = false;
    }
  }
}
