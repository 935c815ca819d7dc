import { join, resolve } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const PROTO = resolve(import.meta.dirname, '../../proto');

/** One call that somebody made, with the fields that tests look at. */
export interface RpcCall {
  readonly method: string;
  // biome-ignore lint/suspicious/noExplicitAny: requests of every method
  readonly request: any;
}

// biome-ignore lint/suspicious/noExplicitAny: the requests of every method
type Methods = Record<string, (request: any) => unknown>;

/** One service of a .proto file with what answers it. */
export interface RpcService {
  definition: grpc.ServiceDefinition;
  handlers: grpc.UntypedServiceImplementation;
}

export function rpcService(
  proto: string,
  name: string,
  { calls, failures }: { calls: RpcCall[]; failures: ReadonlyMap<string, Error> },
  methods: Methods,
): RpcService {
  const loaded = loadSync(join(PROTO, proto), { enums: String, defaults: true, longs: Number });
  const definition = loaded[name] as grpc.ServiceDefinition;
  const handlers: grpc.UntypedServiceImplementation = {};
  for (const [method, work] of Object.entries(methods)) {
    if (definition[method]?.responseStream) {
      handlers[method] = streaming(work);
      continue;
    }
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
  return { definition, handlers };
}

/** The method answers an async iterable of what is sent. */
function streaming(work: Methods[string]): grpc.handleServerStreamingCall<object, object> {
  return (call) => {
    void (async () => {
      for await (const message of work(call.request) as AsyncIterable<object>) {
        if (call.cancelled) break;
        call.write(message);
      }
      call.end();
    })().catch((err: Error) => call.destroy(err));
  };
}

/** Serves on a Unix socket. */
export function serveRpc(
  socket: string,
  { definition, handlers }: RpcService,
): Promise<grpc.Server> {
  const server = new grpc.Server();
  server.addService(definition, handlers);
  return new Promise((done, failed) =>
    server.bindAsync(`unix://${socket}`, grpc.ServerCredentials.createInsecure(), (err) =>
      err ? failed(err) : done(server),
    ),
  );
}
