import type { ProxyBackend } from './backend.ts';
import type { ProxyState } from './model.ts';

/** A backend without a kernel: remembers what it was told last. */
export class FakeBackend implements ProxyBackend {
  readonly mode = 'iptables';
  readonly family = 4;
  readonly synced: ProxyState[] = [];
  cleaned = false;

  sync(state: ProxyState): Promise<ProxyState> {
    this.synced.push(state);
    return Promise.resolve(state);
  }

  intact(): Promise<boolean> {
    return Promise.resolve(true);
  }

  cleanup(): Promise<void> {
    this.cleaned = true;
    return Promise.resolve();
  }
}
