import { createRpcClient } from '../../util/grpc.ts';

/** A claim as drivers are told of it. */
export interface ClaimRef {
  readonly namespace: string;
  readonly uid: string;
  readonly name: string;
}

/** A device that a driver made ready. */
export interface PreparedDevice {
  /** Requests of the claim that it is for; none: all of them. */
  readonly requestNames: readonly string[];
  readonly poolName: string;
  readonly deviceName: string;
  /** What the runtime is told: names of the container device interface. */
  readonly cdiDeviceIds: readonly string[];
}

/** A driver's service on this node (dra v1). Both calls may be made again at any time. */
export interface DraDriver {
  /** The devices of each claim, by its uid. Throws, with the claim's name, what the driver says went wrong. */
  prepare(
    claims: readonly ClaimRef[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly PreparedDevice[]>>;
  unprepare(claims: readonly ClaimRef[], signal?: AbortSignal): Promise<void>;
  close(): void;
}

/** What a driver registers that speaks it. */
export const DRA_VERSION = 'v1.DRAPlugin';

// Upstream's default for calls of a driver.
const TIMEOUT = { timeoutMs: 45_000 };

interface Answer {
  readonly claims: Readonly<Record<string, { error: string; devices?: PreparedDevice[] }>>;
}

/** Connects to the driver's socket, given as a path. */
export function connectDraDriver(socket: string): DraDriver {
  const rpc = createRpcClient({
    proto: 'dra.proto',
    service: 'k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin',
    address: `unix://${socket}`,
  });
  const ask = async (method: string, claims: readonly ClaimRef[], signal?: AbortSignal) => {
    const answer = await rpc.call<Answer>(method, { claims }, TIMEOUT, signal);
    checkAnswer(method, claims, answer);
    return answer;
  };
  return {
    async prepare(claims, signal) {
      const answer = await ask('NodePrepareResources', claims, signal);
      const devices = Object.entries(answer.claims);
      return new Map(devices.map(([uid, one]) => [uid, one.devices ?? []]));
    },
    async unprepare(claims, signal) {
      await ask('NodeUnprepareResources', claims, signal);
    },
    close: () => rpc.close(),
  };
}

/** Throws unless every claim is answered, and well. Pure. */
export function checkAnswer(method: string, asked: readonly ClaimRef[], answer: Answer): void {
  for (const [uid, { error }] of Object.entries(answer.claims)) {
    const claim = asked.find((one) => one.uid === uid);
    if (!claim) throw new Error(`${method} returned result for unknown claim UID ${uid}`);
    if (error === '') continue;
    throw new Error(`${method} failed for claim ${claim.namespace}/${claim.name}: ${error}`);
  }
  const missing = asked.length - Object.keys(answer.claims).length;
  if (missing > 0) throw new Error(`${method} skipped ${missing} ResourceClaims`);
}
