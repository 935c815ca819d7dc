import { writeFile } from 'node:fs/promises';
import type Docker from 'dockerode';
import type { ContainerRuntime, PodSandbox, PodSandboxConfig } from '../runtime.ts';
import { ATTEMPT_LABEL, sandboxSpec } from './container-spec.ts';
import { type Engine, nanoseconds, netnsOf } from './engine.ts';
import { orUndefined, unlessUnchanged } from './errors.ts';
import { fromLabels, labelFilter } from './labels.ts';

type SandboxCalls = Pick<
  ContainerRuntime,
  'runPodSandbox' | 'stopPodSandbox' | 'removePodSandbox' | 'podSandboxStatus' | 'listPodSandboxes'
>;

/** Sandboxes: a pause container each, with its network by CNI. */
export function sandboxCalls(engine: Engine): SandboxCalls {
  const { docker, cni } = engine;
  return {
    async runPodSandbox(config, handler, signal) {
      const spec = sandboxSpec(config, { ...engine.facts, handler });
      await removeNamesake(docker, spec.name ?? '');
      const container = await docker.createContainer(spec);
      try {
        await container.start();
        const { State, ResolvConfPath } = await container.inspect();
        if (config.dnsConfig) await writeFile(ResolvConfPath, resolvConf(config.dnsConfig));
        if (config.linux.securityContext.namespaceOptions.network !== 'NODE') {
          await cni.add(container.id, netnsOf(State.Pid), config, signal);
        }
        return container.id;
      } catch (err) {
        await unlessUnchanged(container.remove({ force: true, v: true })).catch(() => {});
        throw err;
      }
    },
    async stopPodSandbox(id, signal) {
      const inside = await docker.listContainers({
        filters: { label: [`io.kubernetes.sandbox.id=${id}`] },
      });
      await Promise.all(inside.map((c) => unlessUnchanged(docker.getContainer(c.Id).kill())));
      const found = await orUndefined(docker.getContainer(id).inspect());
      await cni.remove(id, netnsOf(found?.State.Pid), signal);
      if (found?.State.Running) await unlessUnchanged(docker.getContainer(id).kill());
    },
    async removePodSandbox(id, signal) {
      const inside = await docker.listContainers({
        all: true,
        filters: { label: [`io.kubernetes.sandbox.id=${id}`] },
      });
      for (const one of inside) {
        await unlessUnchanged(docker.getContainer(one.Id).remove({ force: true, v: true }));
      }
      await cni.remove(id, '', signal);
      await unlessUnchanged(docker.getContainer(id).remove({ force: true, v: true }));
    },
    async podSandboxStatus(id) {
      const found = await orUndefined(docker.getContainer(id).inspect());
      if (!found) return undefined;
      const [ip = '', ...more] = await cni.addresses(id);
      const onHost = found.HostConfig.NetworkMode === 'host';
      const options = {
        network: onHost ? ('NODE' as const) : ('POD' as const),
        pid: found.HostConfig.PidMode === 'host' ? ('NODE' as const) : ('POD' as const),
        ipc: found.HostConfig.IpcMode === 'host' ? ('NODE' as const) : ('POD' as const),
      };
      return {
        ...sandboxOf(id, found.Config.Labels, nanoseconds(found.Created)),
        state: found.State.Running ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY',
        network: { ip, additionalIps: more.map((other) => ({ ip: other })) },
        linux: { namespaces: { options } },
      };
    },
    async listPodSandboxes(filter) {
      const filters = labelFilter('podsandbox', filter);
      return (await docker.listContainers({ all: true, filters })).map((one) => ({
        ...sandboxOf(one.Id, one.Labels, nanoseconds(one.Created)),
        state: one.State === 'running' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY',
      }));
    },
  };
}

/** A sandbox that was made and never became known, because somebody ended in between. */
export async function removeNamesake(docker: Docker, name: string): Promise<void> {
  await unlessUnchanged(docker.getContainer(name).remove({ force: true, v: true }));
}

function sandboxOf(id: string, all: Record<string, string>, createdAt: number): PodSandbox {
  const { labels, annotations } = fromLabels(all);
  return {
    id,
    metadata: {
      name: labels['io.kubernetes.pod.name'] ?? '',
      namespace: labels['io.kubernetes.pod.namespace'] ?? '',
      uid: labels['io.kubernetes.pod.uid'] ?? '',
      attempt: Number(all[ATTEMPT_LABEL] ?? 0),
    },
    state: 'SANDBOX_NOTREADY',
    createdAt,
    labels,
    annotations,
  };
}

function resolvConf({
  servers,
  searches,
  options,
}: NonNullable<PodSandboxConfig['dnsConfig']>): string {
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}
