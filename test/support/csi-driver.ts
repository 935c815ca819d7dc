import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { hostMounts } from '../../src/host/mounts.ts';

const PROTO = resolve(import.meta.dirname, '../../proto');

/** One call that the kubelet made, with the fields that tests look at. */
export interface CsiCall {
  readonly method: string;
  // biome-ignore lint/suspicious/noExplicitAny: requests of every method
  readonly request: any;
}

/** A CSI driver of this machine: a volume is a directory, staged and published by bind mounts. */
export interface CsiDriver {
  readonly name: string;
  readonly calls: CsiCall[];
  /** What the kubelet said about the registration. */
  readonly registered: Promise<{ pluginRegistered: boolean; error: string }>;
  /** Ends every call of the method with this error until it is taken away. */
  fail(method: string, error: Error | undefined): void;
  stop(): Promise<void>;
}

/** `kubeletRoot` is the kubelet's --root-dir; `storage` holds the volumes. */
export async function startCsiDriver(
  name: string,
  { kubeletRoot, storage }: { kubeletRoot: string; storage: string },
): Promise<CsiDriver> {
  const calls: CsiCall[] = [];
  const failures = new Map<string, Error>();
  const socket = join(storage, 'csi.sock');
  const registration = join(kubeletRoot, 'plugins_registry', `${name}-reg.sock`);
  mkdirSync(storage, { recursive: true });
  const directory = (id: string) => join(storage, 'volumes', id);
  const bind = async (source: string, target: string): Promise<void> => {
    mkdirSync(target, { recursive: true });
    if ((await hostMounts.list()).some((m) => m.path === target)) return;
    await hostMounts.mount({ source, target, options: ['bind'] });
  };
  const release = async (target: string): Promise<void> => {
    await hostMounts.unmount(target);
    rmSync(target, { recursive: true, force: true });
  };
  const node = service(
    'csi.proto',
    'csi.v1.Node',
    { calls, failures },
    {
      NodeGetInfo: () => ({ nodeId: `node-of-${name}`, maxVolumesPerNode: 5 }),
      NodeGetCapabilities: () => ({ capabilities: [{ rpc: { type: 'STAGE_UNSTAGE_VOLUME' } }] }),
      async NodeStageVolume({ volumeId, stagingTargetPath }) {
        mkdirSync(directory(volumeId), { recursive: true });
        await bind(directory(volumeId), stagingTargetPath);
      },
      async NodePublishVolume({ volumeId, stagingTargetPath, targetPath }) {
        mkdirSync(directory(volumeId), { recursive: true });
        await bind(stagingTargetPath || directory(volumeId), targetPath);
      },
      NodeUnpublishVolume: ({ targetPath }) => release(targetPath),
      NodeUnstageVolume: ({ stagingTargetPath }) => release(stagingTargetPath),
    },
  );
  const told = Promise.withResolvers<{ pluginRegistered: boolean; error: string }>();
  const registrar = service(
    'plugin-registration.proto',
    'pluginregistration.Registration',
    { calls: [], failures },
    {
      GetInfo: () => ({ type: 'CSIPlugin', name, endpoint: socket, supportedVersions: ['1.0.0'] }),
      NotifyRegistrationStatus: (status) => told.resolve(status),
    },
  );
  const servers = [await serve(socket, node), await serve(registration, registrar)];
  return {
    name,
    calls,
    registered: told.promise,
    fail(method, error) {
      if (error) failures.set(method, error);
      else failures.delete(method);
    },
    async stop() {
      for (const server of servers) server.forceShutdown();
      rmSync(registration, { force: true });
      rmSync(storage, { recursive: true, force: true });
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the requests of every method
type Methods = Record<string, (request: any) => unknown>;

interface Service {
  definition: grpc.ServiceDefinition;
  handlers: grpc.UntypedServiceImplementation;
}

function service(
  proto: string,
  name: string,
  { calls, failures }: { calls: CsiCall[]; failures: ReadonlyMap<string, Error> },
  methods: Methods,
): Service {
  const loaded = loadSync(join(PROTO, proto), { enums: String, defaults: true, longs: Number });
  const handlers: grpc.UntypedServiceImplementation = {};
  for (const [method, work] of Object.entries(methods)) {
    const handler: grpc.handleUnaryCall<object, object> = (call, callback) => {
      calls.push({ method, request: call.request });
      const failure = failures.get(method);
      const done = failure ? Promise.reject(failure) : Promise.resolve(work(call.request));
      done.then(
        (answer) => callback(null, (answer as object | undefined) ?? {}),
        (err: Error) => callback({ code: grpc.status.INTERNAL, details: err.message }),
      );
    };
    handlers[method] = handler;
  }
  return { definition: loaded[name] as grpc.ServiceDefinition, handlers };
}

function serve(socket: string, { definition, handlers }: Service): Promise<grpc.Server> {
  const server = new grpc.Server();
  server.addService(definition, handlers);
  return new Promise((done, failed) =>
    server.bindAsync(`unix://${socket}`, grpc.ServerCredentials.createInsecure(), (err) =>
      err ? failed(err) : done(server),
    ),
  );
}
