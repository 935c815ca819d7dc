import { isSidecar } from '../../api/pods.ts';
import type { Container, Pod, Probe } from '../../api/types.ts';
import type { EventRecorder } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import {
  containerFieldPath,
  containersOf,
  initContainersOf,
  isHostNetwork,
  isStatic,
  podKey,
} from '../names.ts';
import type { ProbeVerdicts } from '../pod-actions.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { RuntimeContainer, RuntimePod } from '../runtime-pod.ts';
import { type ProbeOutcome, runProbe } from './probe-runner.ts';
import { type ProbeKind, ProbeWorker } from './probe-worker.ts';

export interface ProbeDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  hostIps(): readonly string[];
  /** The mirror that shows a static pod in the API, once it is there. */
  mirrorOf(pod: Pod): Pod | undefined;
  /** A verdict about one of the pod's containers changed. */
  onChange(podUid: string): void;
  /** Counts one run: prober_probe_total. */
  onRun(given: { kind: ProbeKind; outcome: ProbeOutcome; pod: Pod; container: string }): void;
}

/** The probes of one running container. */
interface Probed {
  readonly podUid: string;
  readonly workers: Map<ProbeKind, ProbeWorker>;
  /** What was known of it before this kubelet started, until its probes have said something. */
  before(): { ready: boolean; started: boolean };
}

const KINDS: readonly ProbeKind[] = ['startup', 'liveness', 'readiness'];

/** Runs the probes of running containers and remembers what they found, by container id. */
export class ProbeManager implements ProbeVerdicts {
  readonly #deps: ProbeDeps;
  readonly #probed = new Map<string, Probed>();
  readonly #startedAt: number;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
  }

  /** Starts and stops probes so that just the pod's running containers are probed. */
  follow(pod: Pod, runtime: RuntimePod): void {
    const alive = new Set<string>();
    for (const spec of [...initContainersOf(pod).filter(isSidecar), ...containersOf(pod)]) {
      const container = runtime.containers.find((c) => c.name === spec.name);
      if (container?.state !== 'running') continue;
      alive.add(container.id);
      if (!this.#probed.has(container.id)) this.#begin(pod, spec, container, runtime);
    }
    for (const [id, probed] of this.#probed) {
      if (probed.podUid === pod.metadata.uid && !alive.has(id)) this.#end(id, probed);
    }
  }

  /** A pod that ends is no longer asked whether it lives, only whether it is ready. */
  stopLiveness(podUid: string): void {
    for (const { podUid: owner, workers } of this.#probed.values()) {
      if (owner !== podUid) continue;
      for (const kind of ['liveness', 'startup'] as const) {
        workers.get(kind)?.stop();
        workers.delete(kind);
      }
    }
  }

  forget(podUid: string): void {
    for (const [id, probed] of this.#probed) if (probed.podUid === podUid) this.#end(id, probed);
  }

  stop(): void {
    for (const [id, probed] of this.#probed) this.#end(id, probed);
  }

  liveness(containerId: string): boolean | undefined {
    return this.#probed.get(containerId)?.workers.get('liveness')?.verdict;
  }

  startup(containerId: string): boolean | undefined {
    const probed = this.#probed.get(containerId);
    if (!probed) return undefined;
    const worker = probed.workers.get('startup');
    return worker ? (worker.verdict ?? (probed.before().started || undefined)) : true;
  }

  isStarted(container: RuntimeContainer): boolean {
    return this.startup(container.id) === true;
  }

  isReady(container: RuntimeContainer): boolean {
    const probed = this.#probed.get(container.id);
    if (!probed || !this.isStarted(container)) return false;
    const worker = probed.workers.get('readiness');
    return worker ? (worker.verdict ?? probed.before().ready) : true;
  }

  #begin(pod: Pod, spec: Container, container: RuntimeContainer, runtime: RuntimePod): void {
    const workers = new Map<ProbeKind, ProbeWorker>();
    const probed: Probed = {
      podUid: pod.metadata.uid,
      workers,
      // A mirror is heard of only when its pod is looked after already.
      before: () => earlierVerdict(isStatic(pod) ? this.#deps.mirrorOf(pod) : pod, container),
    };
    this.#probed.set(container.id, probed);
    for (const kind of KINDS) {
      const probe = spec[`${kind}Probe`];
      if (!probe) continue;
      const worker = this.#worker(kind, probe, { pod, spec, container, runtime });
      workers.set(kind, worker);
      worker.start(this.#firstDelay(probe, container));
    }
  }

  #worker(
    kind: ProbeKind,
    probe: Probe,
    given: { pod: Pod; spec: Container; container: RuntimeContainer; runtime: RuntimePod },
  ): ProbeWorker {
    const { runtime: cri, clock, log, onChange, onRun } = this.#deps;
    const { pod, spec, container, runtime } = given;
    const ips = isHostNetwork(pod) ? this.#deps.hostIps() : (runtime.sandboxes[0]?.ips ?? []);
    const target = { pod, container: spec, containerId: container.id, podIp: ips[0] ?? '' };
    return new ProbeWorker(kind, probe, {
      clock,
      held: () => kind !== 'startup' && !this.isStarted(container),
      run: async (signal) => {
        const outcome = await runProbe(probe, target, cri, signal);
        onRun({ kind, outcome, pod, container: spec.name });
        return outcome;
      },
      onTrouble: (outcome) => this.#trouble(kind, outcome, { pod, spec }),
      onVerdict: (passed) => {
        log.info({ pod: podKey(pod), container: spec.name, probe: kind, passed }, 'Probe verdict');
        if (kind === 'startup' && passed) this.#release(container.id);
        onChange(pod.metadata.uid);
      },
    });
  }

  /** As upstream, only readiness does not wait for its period: traffic may wait for it. */
  #release(containerId: string): void {
    this.#probed.get(containerId)?.workers.get('readiness')?.release();
  }

  #trouble(
    kind: ProbeKind,
    outcome: ProbeOutcome,
    { pod, spec }: { pod: Pod; spec: Container },
  ): void {
    const subject = { ...pod, fieldPath: containerFieldPath(pod, spec) };
    const title = kind.charAt(0).toUpperCase() + kind.slice(1);
    const { recorder } = this.#deps;
    if (outcome.result === 'warning') {
      recorder.event(
        subject,
        'Warning',
        'ProbeWarning',
        `${title} probe warning: ${outcome.message}`,
      );
      return;
    }
    const how = outcome.result === 'error' ? 'errored and resulted in unknown state' : 'failed';
    recorder.event(subject, 'Warning', 'Unhealthy', `${title} probe ${how}: ${outcome.message}`);
  }

  /** Probes that a restarted kubelet takes up all at once are spread over their period. */
  #firstDelay(probe: Probe, container: RuntimeContainer): number {
    const now = this.#deps.clock.now();
    const period = (probe.periodSeconds ?? 10) * 1000;
    const initial = (probe.initialDelaySeconds ?? 0) * 1000;
    // By a clock that was set back since, the container starts only later.
    const left = Math.min(initial, container.startedAt + initial - now);
    const isOld = container.startedAt < this.#startedAt;
    const spread = isOld && now - this.#startedAt < period ? Math.random() * period : 0;
    return Math.max(0, left, spread);
  }

  #end(id: string, probed: Probed): void {
    for (const worker of probed.workers.values()) worker.stop();
    this.#probed.delete(id);
  }
}

/** The API remembers the verdicts of the kubelet before this one, for the very same container. */
function earlierVerdict(
  pod: Pod | undefined,
  container: RuntimeContainer,
): { ready: boolean; started: boolean } {
  const { containerStatuses = [], initContainerStatuses = [] } = pod?.status ?? {};
  const told = [...containerStatuses, ...initContainerStatuses].find((s) =>
    s.containerID?.endsWith(`//${container.id}`),
  );
  return { ready: told?.ready === true, started: told?.started === true };
}
