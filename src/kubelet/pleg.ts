import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { aborted } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import { POD_NAME_LABEL, POD_NAMESPACE_LABEL, POD_UID_LABEL } from './names.ts';
import type { Container, ContainerRuntime, PodSandbox } from './runtime/runtime.ts';
import {
  emptyRuntimePod,
  type RuntimeContainer,
  type RuntimePod,
  type RuntimeSandbox,
  runStateOf,
  runtimeContainer,
  runtimeSandbox,
} from './runtime-pod.ts';

// With an event stream, listing only finds what the stream missed; without one it is how exits are noticed at all.
const RELIST_WITH_EVENTS_MS = 10_000;
const LOOK_MS = 1000;
const RELIST_ALONE_MS = 250;
const EVENTS_RETRY_MS = 1000;
const UNKNOWN_RELIST_MS = 50;
// An exit event may overtake the runtime's own book-keeping: look again a few times.
const EVENT_RECHECKS_MS = [0, 10, 25, 60, 120, 250];

export interface PlegDeps {
  runtime: ContainerRuntime;
  clock: Clock;
  log: Logger;
  /** What an ended container left in its termination message file. */
  terminationMessage(container: RuntimeContainer, pod: PodName): Promise<string>;
  /** Told of each pod whose sandboxes or containers changed by themselves. */
  onChange(uid: string): void;
  onOom(uid: string, containerId: string): void;
  /** A complete listing took so many milliseconds. */
  onRelist(ms: number): void;
}

/**
 * Pod Lifecycle Event Generator: knows what the runtime runs. Listing is the truth; the runtime's event
 * stream only makes it look sooner.
 */
export class Pleg {
  readonly #deps: PlegDeps;
  readonly #pods = new Map<string, RuntimePod>();
  // Answers may arrive out of order; the look that began last wins.
  readonly #lookedAt = new Map<string, number>();
  #looks = 0;
  #listening = false;
  #relistPending = false;
  /** When the last complete listing ended. */
  lastRelist = 0;

  constructor(deps: PlegDeps) {
    this.#deps = deps;
  }

  get(uid: string): RuntimePod {
    return this.#pods.get(uid) ?? emptyRuntimePod(uid);
  }

  /** Every pod of which the runtime has anything left. */
  list(): RuntimePod[] {
    return [...this.#pods.values()];
  }

  /** The pod of a container or sandbox id. */
  byContainer(id: string): RuntimePod | undefined {
    const has = (parts: readonly { id: string }[]): boolean => parts.some((p) => p.id === id);
    return this.list().find((pod) => has(pod.containers) || has(pod.sandboxes));
  }

  /** Looks at one pod now. */
  async refresh(uid: string, signal?: AbortSignal): Promise<RuntimePod> {
    const look = ++this.#looks;
    const filter = { [POD_UID_LABEL]: uid };
    const { runtime } = this.#deps;
    const [sandboxes, containers] = await Promise.all([
      runtime.listPodSandboxes(filter, signal),
      runtime.listContainers(filter, signal),
    ]);
    await this.#store(uid, { sandboxes, containers }, look);
    return this.get(uid);
  }

  /** A sandbox was made: only it is asked about, which is cheaper than listing. */
  async sandboxMade(pod: PodName, id: string): Promise<void> {
    const look = ++this.#looks;
    const status = await this.#deps.runtime.podSandboxStatus(id);
    if (status) this.#add(pod, { sandbox: runtimeSandbox(status) }, look);
  }

  /** A container was made and started: only it is asked about. */
  async containerMade(pod: PodName, sandboxId: string, id: string): Promise<RuntimePod> {
    const look = ++this.#looks;
    const container = await this.#ask(pod, { id, podSandboxId: sandboxId });
    if (container) this.#add(pod, { container }, look);
    return this.get(pod.uid);
  }

  /** Puts a new part before the others, unless who looked later knows more. */
  #add(
    pod: PodName,
    made: { sandbox?: RuntimeSandbox; container?: RuntimeContainer },
    look: number,
  ): void {
    const { uid, name, namespace } = pod;
    if ((this.#lookedAt.get(uid) ?? 0) > look) return;
    const known = this.#pods.get(uid) ?? emptyRuntimePod(uid, name, namespace);
    this.#lookedAt.set(uid, look);
    this.#pods.set(uid, {
      ...known,
      sandboxes: withFirst(made.sandbox, known.sandboxes),
      containers: withFirst(made.container, known.containers),
    });
  }

  /** Looks at everything; answers the pods that changed. */
  async relist(signal?: AbortSignal): Promise<string[]> {
    const look = ++this.#looks;
    const { runtime, clock, onRelist } = this.#deps;
    const begin = clock.now();
    const [sandboxes, containers] = await Promise.all([
      runtime.listPodSandboxes(undefined, signal),
      runtime.listContainers(undefined, signal),
    ]);
    const found = groupByPod(sandboxes, containers);
    for (const uid of this.#pods.keys()) {
      if (!found.has(uid)) found.set(uid, { sandboxes: [], containers: [] });
    }
    const changed: string[] = [];
    for (const [uid, listed] of found) {
      if (await this.#store(uid, listed, look)) changed.push(uid);
    }
    this.lastRelist = clock.now();
    onRelist(this.lastRelist - begin);
    return changed;
  }

  /** Works until aborted. Call `relist` once before, so that the first picture is there. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#listen(signal), this.#relistLoop(signal)]);
  }

  async #relistLoop(signal: AbortSignal): Promise<void> {
    const { clock, log, onChange } = this.#deps;
    while (!signal.aborted) {
      await this.#pause(signal);
      try {
        for (const uid of await this.relist(signal)) onChange(uid);
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Listing the runtime failed');
        await Promise.race([clock.sleep(EVENTS_RETRY_MS, signal).catch(() => {}), aborted(signal)]);
      }
    }
  }

  /** Until the next listing is due; shorter as soon as the event stream is lost. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const wasListening = this.#listening;
    // Counted, not read off the clock: that may be set meanwhile.
    let left = wasListening ? RELIST_WITH_EVENTS_MS : RELIST_ALONE_MS;
    for (; left > 0 && this.#listening === wasListening; left -= LOOK_MS) {
      await clock.sleep(Math.min(left, LOOK_MS), signal);
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { runtime, clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        const events = runtime.events(signal);
        this.#listening = true;
        for await (const event of events) void this.#onEvent(event, signal);
      } catch (err) {
        if (signal.aborted) return;
        if (this.#listening) log.debug({ err: errorMessage(err) }, 'No runtime events');
      }
      this.#listening = false;
      await clock.sleep(EVENTS_RETRY_MS, signal);
    }
  }

  async #onEvent(
    event: { containerId: string; oom?: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log, onChange, onOom } = this.#deps;
    const uid = this.byContainer(event.containerId)?.uid;
    if (uid === undefined) return this.#relistSoon(signal);
    if (event.oom) return onOom(uid, event.containerId);
    const before = stateOf(this.get(uid), event.containerId);
    try {
      for (const wait of EVENT_RECHECKS_MS) {
        if (wait > 0) await clock.sleep(wait, signal);
        const now = stateOf(await this.refresh(uid, signal), event.containerId);
        if (now !== before || now === 'exited') break;
      }
      onChange(uid);
    } catch (err) {
      if (!signal.aborted) log.warn({ err: errorMessage(err) }, 'Cannot look at a pod');
    }
  }

  /** For an event of a container that is not known yet: it may have ended while it was first looked at. */
  async #relistSoon(signal: AbortSignal): Promise<void> {
    if (this.#relistPending) return;
    this.#relistPending = true;
    try {
      await this.#deps.clock.sleep(UNKNOWN_RELIST_MS, signal);
      this.#relistPending = false;
      for (const uid of await this.relist(signal)) this.#deps.onChange(uid);
    } catch (err) {
      if (!signal.aborted) this.#deps.log.warn({ err: errorMessage(err) }, 'Cannot list');
    } finally {
      this.#relistPending = false;
    }
  }

  async #store(uid: string, listed: Listed, look: number): Promise<boolean> {
    const before = this.#pods.get(uid);
    if (before && signatureOf(before) === signatureOfListed(listed)) return false;
    if (!before && listed.sandboxes.length + listed.containers.length === 0) return false;
    const pod = await this.#describe(uid, listed, before);
    if ((this.#lookedAt.get(uid) ?? 0) > look) return false;
    if (pod.sandboxes.length + pod.containers.length === 0) {
      this.#pods.delete(uid);
      this.#lookedAt.delete(uid);
      return true;
    }
    this.#lookedAt.set(uid, look);
    this.#pods.set(uid, pod);
    return true;
  }

  async #describe(uid: string, listed: Listed, before?: RuntimePod): Promise<RuntimePod> {
    const { sandboxes, containers } = listed;
    const labels = (sandboxes[0] ?? containers[0])?.labels ?? {};
    const named = {
      uid,
      name: labels[POD_NAME_LABEL] ?? before?.name ?? '',
      namespace: labels[POD_NAMESPACE_LABEL] ?? before?.namespace ?? '',
    };
    const described = await Promise.all([
      Promise.all(newestFirst(sandboxes).map((s) => this.#sandbox(s, before))),
      Promise.all(newestFirst(containers).map((c) => this.#container(named, c, before))),
    ]);
    return {
      ...named,
      sandboxes: described[0].filter((s) => s !== undefined),
      containers: described[1].filter((c) => c !== undefined),
    };
  }

  async #sandbox(listed: PodSandbox, before?: RuntimePod): Promise<RuntimeSandbox | undefined> {
    const known = before?.sandboxes.find((s) => s.id === listed.id);
    if (known?.ready === (listed.state === 'SANDBOX_READY')) return known;
    const status = await this.#deps.runtime.podSandboxStatus(listed.id);
    return status && runtimeSandbox(status);
  }

  async #container(
    pod: PodName,
    listed: Container,
    before?: RuntimePod,
  ): Promise<RuntimeContainer | undefined> {
    const known = before?.containers.find((c) => c.id === listed.id);
    return known?.state === runStateOf(listed.state) ? known : this.#ask(pod, listed);
  }

  async #ask(
    pod: PodName,
    listed: Pick<Container, 'id' | 'podSandboxId'>,
  ): Promise<RuntimeContainer | undefined> {
    const status = await this.#deps.runtime.containerStatus(listed.id);
    if (!status) return undefined;
    const container = runtimeContainer(status, listed.podSandboxId, '');
    if (container.state !== 'exited') return container;
    const message = await this.#deps.terminationMessage(container, pod);
    return runtimeContainer(status, listed.podSandboxId, message);
  }
}

type PodName = Pick<RuntimePod, 'uid' | 'name' | 'namespace'>;

interface Listed {
  sandboxes: PodSandbox[];
  containers: Container[];
}

function stateOf(pod: RuntimePod, id: string): string | undefined {
  const sandbox = pod.sandboxes.find((s) => s.id === id);
  if (sandbox) return sandbox.ready ? 'running' : 'exited';
  return pod.containers.find((c) => c.id === id)?.state;
}

function withFirst<T extends { id: string }>(first: T | undefined, others: readonly T[]) {
  return first ? [first, ...others.filter(({ id }) => id !== first.id)] : others;
}

function newestFirst<T extends { createdAt: number; metadata: { attempt: number } }>(
  items: readonly T[],
): T[] {
  return [...items].sort(
    (a, b) => b.createdAt - a.createdAt || b.metadata.attempt - a.metadata.attempt,
  );
}

function groupByPod(sandboxes: PodSandbox[], containers: Container[]): Map<string, Listed> {
  const pods = new Map<string, Listed>();
  const of = (labels: Record<string, string>): Listed | undefined => {
    const uid = labels[POD_UID_LABEL];
    // Somebody else's containers in the same engine are none of ours.
    if (uid === undefined) return undefined;
    const known = pods.get(uid) ?? { sandboxes: [], containers: [] };
    pods.set(uid, known);
    return known;
  };
  for (const sandbox of sandboxes) of(sandbox.labels)?.sandboxes.push(sandbox);
  for (const container of containers) of(container.labels)?.containers.push(container);
  return pods;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function signatureOf(pod: RuntimePod): string {
  return [
    ...pod.sandboxes.map((s) => `${s.id}${s.ready ? 'ready' : ''}`),
    ...pod.containers.map((c) => `${c.id}${c.state}`),
  ]
    .sort(byText)
    .join();
}

function signatureOfListed({ sandboxes, containers }: Listed): string {
  return [
    ...sandboxes.map((s) => `${s.id}${s.state === 'SANDBOX_READY' ? 'ready' : ''}`),
    ...containers.map((c) => `${c.id}${runStateOf(c.state)}`),
  ]
    .sort(byText)
    .join();
}
