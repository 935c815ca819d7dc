import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { RpcError } from '../../../util/grpc.ts';
import { injectCdi } from '../cdi.ts';
import type {
  ContainerConfig,
  ContainerRuntime,
  ContainerState,
  ContainerStatus,
} from '../runtime.ts';
import { ATTEMPT_LABEL, containerSpec, LOG_PATH_LABEL, resourceConfig } from './container-spec.ts';
import { type Engine, nanoseconds } from './engine.ts';
import { orUndefined, unlessUnchanged } from './errors.ts';
import { fromLabels, labelFilter, SANDBOX_ID_LABEL } from './labels.ts';
import { removeNamesake } from './sandboxes.ts';

type ContainerCalls = Pick<
  ContainerRuntime,
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'updateContainerResources'
  | 'reopenContainerLog'
  | 'checkpointContainer'
>;

export function containerCalls(engine: Engine): ContainerCalls {
  const { docker, logs, facts } = engine;
  const at = (id: string): Docker.Container => docker.getContainer(id);
  return {
    async createContainer(sandboxId, wanted, sandbox) {
      const config = await injectCdi(wanted);
      const spec = containerSpec(config, sandbox, {
        ...facts,
        handler: '',
        sandboxId,
        logPath: join(sandbox.logDirectory, config.logPath),
        seccompProfile: await seccompProfile(config),
      });
      await removeNamesake(docker, spec.name ?? '');
      return (await docker.createContainer(spec)).id;
    },
    async startContainer(id) {
      await at(id).start();
      const { Config } = await at(id).inspect();
      logs.follow(id, Config.Labels[LOG_PATH_LABEL] ?? '', Config.Tty);
    },
    async stopContainer(id, timeoutSeconds) {
      await unlessUnchanged(at(id).stop({ t: timeoutSeconds }));
    },
    async removeContainer(id) {
      await unlessUnchanged(at(id).remove({ force: true, v: true }));
    },
    async listContainers(filter) {
      const filters = labelFilter('container', filter);
      const found = await docker.listContainers({ all: true, filters });
      return found.map((one) => {
        const { labels, annotations } = fromLabels(one.Labels);
        return {
          id: one.Id,
          podSandboxId: one.Labels[SANDBOX_ID_LABEL] ?? '',
          metadata: metadataOf(one.Labels),
          image: { image: one.Image },
          imageRef: one.ImageID,
          state: STATES[one.State] ?? 'CONTAINER_UNKNOWN',
          createdAt: nanoseconds(one.Created),
          labels,
          annotations,
        };
      });
    },
    async containerStatus(id) {
      const found = await orUndefined(at(id).inspect());
      if (!found) return undefined;
      if (found.State.Status === 'exited') await logs.drained(id);
      const image = await orUndefined(docker.getImage(found.Image).inspect());
      return statusOf(found, image);
    },
    async updateContainerResources(id, resources) {
      const { OomScoreAdj: _unchangeable, ...limits } = resourceConfig(resources, 0);
      await at(id).update(limits);
    },
    reopenContainerLog: (id) => logs.reopen(id),
    async checkpointContainer() {
      throw new RpcError('CheckpointContainer', 'UNIMPLEMENTED', 'not implemented by Docker');
    },
  };
}

/** Docker wants the profile's text; the CRI names its file. */
async function seccompProfile({ linux }: ContainerConfig): Promise<string | undefined> {
  const { seccomp } = linux.securityContext;
  if (seccomp?.profileType !== 'Localhost' || !seccomp.localhostRef) return undefined;
  return readFile(seccomp.localhostRef, 'utf8');
}

const STATES: Readonly<Record<string, ContainerState>> = {
  created: 'CONTAINER_CREATED',
  running: 'CONTAINER_RUNNING',
  paused: 'CONTAINER_RUNNING',
  restarting: 'CONTAINER_RUNNING',
  removing: 'CONTAINER_EXITED',
  exited: 'CONTAINER_EXITED',
  dead: 'CONTAINER_EXITED',
};

function metadataOf(labels: Readonly<Record<string, string>>) {
  return {
    name: labels['io.kubernetes.container.name'] ?? '',
    attempt: Number(labels[ATTEMPT_LABEL] ?? 0),
  };
}

// What runc says when it could not start the program: Docker leaves such a container in state "created".
const START_FAILED =
  /OCI runtime create failed|executable file not found|no such file or directory/;

function statusOf(
  { Id, Config, State, Created, Image, HostConfig }: Docker.ContainerInspectInfo,
  image: Docker.ImageInspectInfo | undefined,
): ContainerStatus {
  const { labels, annotations } = fromLabels(Config.Labels);
  const failed = State.Status === 'created' && START_FAILED.test(State.Error ?? '');
  const state = failed ? 'CONTAINER_EXITED' : (STATES[State.Status] ?? 'CONTAINER_UNKNOWN');
  const ended = state === 'CONTAINER_EXITED';
  const finishedAt = nanoseconds(State.FinishedAt) || nanoseconds(Created);
  return {
    id: Id,
    metadata: metadataOf(Config.Labels),
    state,
    createdAt: nanoseconds(Created),
    startedAt: nanoseconds(State.StartedAt),
    finishedAt: ended ? finishedAt : 0,
    exitCode: failed ? 128 : State.ExitCode,
    image: { image: image?.RepoTags[0] ?? Config.Image },
    imageRef: image?.RepoDigests[0] ?? Image,
    imageId: Image,
    reason: ended ? reasonOf(State, failed) : '',
    message: failed ? (State.Error ?? '') : '',
    labels,
    annotations,
    logPath: Config.Labels[LOG_PATH_LABEL] ?? '',
    resources: { linux: limitsOf(HostConfig) },
  };
}

function reasonOf(state: Docker.ContainerInspectInfo['State'], failed: boolean): string {
  if (state.OOMKilled) return 'OOMKilled';
  if (failed) return 'StartError';
  return state.ExitCode === 0 ? 'Completed' : 'Error';
}

function limitsOf(host: Docker.HostConfig) {
  return {
    cpuPeriod: host.CpuPeriod ?? 0,
    cpuQuota: host.CpuQuota ?? 0,
    cpuShares: host.CpuShares ?? 0,
    memoryLimitInBytes: host.Memory ?? 0,
  };
}
