import * as grpc from '@grpc/grpc-js';
import { definitionOf, RpcError } from './grpc.ts';

/** One service of a .proto file, served on a Unix socket. */
export interface RpcService {
  /** File name below proto/. */
  proto: string;
  /** Full name: `v1beta1.Registration`. */
  service: string;
  /** Path of the socket; there must be none. */
  socket: string;
  /** The unary methods; an `RpcError` keeps its code, whatever else is thrown is UNKNOWN, as Go's servers have it. */
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own request
  methods: Readonly<Record<string, (request: any) => Promise<object>>>;
}

export interface RpcServer {
  /** Ends what is under way, and takes the socket away. */
  close(): void;
}

export async function serveRpc(what: RpcService): Promise<RpcServer> {
  const { proto, service, socket, methods } = what;
  const definition = definitionOf(proto)[service] as grpc.ServiceDefinition | undefined;
  if (!definition) throw new Error(`${proto} has no service ${service}`);
  const handlers: grpc.UntypedServiceImplementation = {};
  for (const [name, work] of Object.entries(methods)) {
    const handler: grpc.handleUnaryCall<object, object> = (call, callback) => {
      work(call.request).then(
        (answer) => callback(null, answer),
        (err: unknown) => callback(statusOf(err)),
      );
    };
    handlers[name] = handler;
  }
  const server = new grpc.Server();
  server.addService(definition, handlers);
  await new Promise<void>((done, failed) =>
    server.bindAsync(`unix://${socket}`, grpc.ServerCredentials.createInsecure(), (err) =>
      err ? failed(err) : done(),
    ),
  );
  return { close: () => server.forceShutdown() };
}

function statusOf(err: unknown): { code: grpc.status; details: string } {
  if (!(err instanceof RpcError)) {
    return { code: grpc.status.UNKNOWN, details: err instanceof Error ? err.message : String(err) };
  }
  const code = grpc.status[err.code as keyof typeof grpc.status] ?? grpc.status.UNKNOWN;
  return { code, details: err.details };
}
