import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RpcCall, rpcService, serveRpc } from './rpc-server.ts';

/** A driver of resource claims on this machine: a device is a variable of its containers. */
export interface TestDraDriver {
  readonly calls: RpcCall[];
  /** Resolves when the kubelet has taken it up. */
  readonly registered: Promise<unknown>;
  /** Ends every call of the method with this error until it is taken away. */
  fail(method: string, error: Error | undefined): void;
  stop(): void;
}

interface DriverSpec {
  name: string;
  kubeletRoot: string;
  /** Where it has its socket. */
  directory: string;
  devices: readonly string[];
  /** What the claim of that name got: each device with the request that it is for. */
  allocated(namespace: string, name: string): Promise<{ request: string; device: string }[]>;
}

interface ClaimsRequest {
  claims: { namespace: string; name: string; uid: string }[];
}

export async function startDraDriver(spec: DriverSpec): Promise<TestDraDriver> {
  const { name, kubeletRoot, directory, allocated } = spec;
  const calls: RpcCall[] = [];
  const failures = new Map<string, Error>();
  const socket = join(directory, 'dra.sock');
  const registration = join(kubeletRoot, 'plugins_registry', `${name}-reg.sock`);
  mkdirSync(directory, { recursive: true });
  const cdi = writeCdi(spec);
  const driver = rpcService(
    'dra.proto',
    'k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin',
    { calls, failures },
    {
      async NodePrepareResources({ claims }: ClaimsRequest) {
        const prepared = claims.map(async (claim) => {
          const devices = (await allocated(claim.namespace, claim.name)).map((one) => ({
            requestNames: [one.request],
            poolName: 'pool',
            deviceName: one.device,
            cdiDeviceIds: [`${name}/thing=${one.device}`],
          }));
          return [claim.uid, { devices }];
        });
        return { claims: Object.fromEntries(await Promise.all(prepared)) };
      },
      NodeUnprepareResources: ({ claims }: ClaimsRequest) => ({
        claims: Object.fromEntries(claims.map(({ uid }) => [uid, {}])),
      }),
    },
  );
  const registered = Promise.withResolvers();
  const registrar = rpcService(
    'plugin-registration.proto',
    'pluginregistration.Registration',
    { calls: [], failures },
    {
      GetInfo: () => ({
        ...{ type: 'DRAPlugin', name, endpoint: socket, supportedVersions: ['v1.DRAPlugin'] },
      }),
      NotifyRegistrationStatus: (status) => registered.resolve(status),
    },
  );
  const servers = [await serveRpc(socket, driver), await serveRpc(registration, registrar)];
  return {
    calls,
    registered: registered.promise,
    fail(method, error) {
      if (error) failures.set(method, error);
      else failures.delete(method);
    },
    stop() {
      for (const server of servers) server.forceShutdown();
      for (const file of [registration, cdi]) rmSync(file, { force: true });
    },
  };
}

/** What runtimes are to do with the driver's devices; they look for it in this directory alone. */
function writeCdi({ name, devices }: DriverSpec): string {
  mkdirSync('/var/run/cdi', { recursive: true });
  const file = `/var/run/cdi/${name}-${process.pid}.json`;
  const spec = {
    ...{ cdiVersion: '0.5.0', kind: `${name}/thing` },
    devices: devices.map((device) => ({
      name: device,
      containerEdits: {
        env: [`THING=${device}`],
        deviceNodes: [{ path: '/dev/thing', hostPath: '/dev/zero' }],
      },
    })),
  };
  writeFileSync(file, JSON.stringify(spec));
  return file;
}
