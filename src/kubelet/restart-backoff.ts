import type { Container } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import { Backoff, goDuration } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { containerFieldPath, podLabel } from './names.ts';
import type { PodState } from './pod-state.ts';
import { containerHash, type RuntimePod } from './runtime-pod.ts';

const FIRST_MS = 10_000;
const MAX_MS = 300_000;

/** When containers that ended may run again. */
export class RestartBackoff {
  readonly #backoff: Backoff;
  readonly #recorder: EventRecorder;

  constructor({ clock, recorder }: { clock: Clock; recorder: EventRecorder }) {
    this.#recorder = recorder;
    this.#backoff = new Backoff({ clock, firstMs: FIRST_MS, maxMs: MAX_MS });
  }

  /**
   * Milliseconds until the container may be started; tells of the back-off when that is not now. `before` is the pod
   * before anything of it was ended: as upstream's, the time of a container that a probe ended counts from the end
   * before that one. Another image begins anew.
   */
  wait(state: PodState, container: Container, before: RuntimePod): number {
    const ended = before.containers.find((c) => c.name === container.name && c.state === 'exited');
    if (!ended) return 0;
    const key = `${state.uid}/${container.name}/${containerHash(container)}`;
    const wait = this.#backoff.remaining(key, ended.finishedAt);
    if (wait === 0) {
      this.#backoff.next(key, ended.finishedAt);
      return 0;
    }
    const { pod } = state;
    const subject = { ...pod, fieldPath: containerFieldPath(pod, container) };
    const event = `Back-off restarting failed container ${container.name} in pod ${podLabel(pod)}`;
    this.#recorder.event(subject, 'Warning', 'BackOff', event);
    const delay = goDuration(this.#backoff.delay(key));
    const message = `back-off ${delay} restarting failed container=${container.name} pod=${podLabel(pod)}`;
    state.waiting.set(container.name, { reason: 'CrashLoopBackOff', message });
    return wait;
  }

  forget(uid: string): void {
    this.#backoff.forget(`${uid}/`);
  }
}
