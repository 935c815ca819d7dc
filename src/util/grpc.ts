import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** Where the messages are described that we speak. The bundle lies as deep as this file: elsewhere the way would be another. */
export const PROTO_DIR = join(import.meta.dirname, '../../proto');

/** A call that the other side refused or that never reached it. `code` is gRPC's name: `NOT_FOUND`. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: string;

  constructor(method: string, code: string, details: string, cause?: unknown) {
    super(`${method}: ${details === '' ? code : details}`, { cause });
    this.code = code;
    this.details = details;
  }

  /** The other side's own words, without the method. */
  readonly details: string;
}

const codeIs = (err: unknown, ...codes: string[]): boolean =>
  err instanceof RpcError && codes.includes(err.code);

export const isRpcNotFound = (err: unknown): boolean => codeIs(err, 'NOT_FOUND');
/**
 * Whether the other side did what it was asked is not known: the connection broke, the stream ended without a status
 * (INTERNAL), or it took too long.
 */
export const isRpcCutOff = (err: unknown): boolean =>
  codeIs(err, 'UNAVAILABLE', 'CANCELLED', 'DEADLINE_EXCEEDED', 'INTERNAL');
export const isRpcUnimplemented = (err: unknown): boolean => codeIs(err, 'UNIMPLEMENTED');
export const isRpcDeadline = (err: unknown): boolean => codeIs(err, 'DEADLINE_EXCEEDED');

export interface RpcOptions {
  /** Milliseconds until the call fails with DEADLINE_EXCEEDED; none by default. */
  timeoutMs?: number | undefined;
}

/**
 * One service of a .proto file over one connection. Fields are in camelCase, enums are names, 64-bit numbers
 * are JavaScript numbers (nanoseconds since the epoch lose their last digits), absent messages are null.
 */
export interface RpcClient {
  call<Response>(
    method: string,
    request: object,
    options?: RpcOptions,
    signal?: AbortSignal,
  ): Promise<Response>;
  /** The messages of a server stream; ends when the server ends it, throws `RpcError` when it breaks. */
  stream<Response>(method: string, request: object, signal: AbortSignal): AsyncIterable<Response>;
  close(): void;
}

export interface RpcTarget {
  /** File name below proto/. */
  proto: string;
  /** Full name: `runtime.v1.RuntimeService`. */
  service: string;
  /** `unix:///run/x.sock` or `HOST:PORT`, without TLS. */
  address: string;
  userAgent?: string | undefined;
  /** Sent with every call. */
  metadata?: Readonly<Record<string, string>> | undefined;
}

const definitions = new Map<string, PackageDefinition>();

/** A .proto file below proto/, read once. */
export function definitionOf(proto: string): PackageDefinition {
  const known = definitions.get(proto);
  if (known) return known;
  const loaded = loadSync(join(PROTO_DIR, proto), {
    longs: Number,
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
  });
  definitions.set(proto, loaded);
  return loaded;
}

// A call waits for the socket that long at most to come back before it fails; callers retry by themselves.
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2000,
  'grpc.enable_http_proxy': 0,
};

/** Connects lazily: the first call opens the connection, a lost one is opened again by the next call. */
export function createRpcClient(target: RpcTarget): RpcClient {
  const service = definitionOf(target.proto)[target.service] as grpc.ServiceDefinition | undefined;
  if (!service) throw new Error(`${target.proto} has no service ${target.service}`);
  const client = new grpc.Client(
    target.address,
    grpc.credentials.createInsecure(),
    target.userAgent === undefined
      ? CHANNEL_OPTIONS
      : { ...CHANNEL_OPTIONS, 'grpc.primary_user_agent': target.userAgent },
  );
  const methodOf = (name: string): grpc.MethodDefinition<object, object> => {
    const method = service[name];
    if (!method) throw new Error(`${target.service} has no method ${name}`);
    return method;
  };
  const { metadata = {} } = target;
  const callOf = (name: string, request: object): Call => ({
    name,
    method: methodOf(name),
    request,
    metadata,
  });
  return {
    call: (name, request, options = {}, signal) =>
      unary(client, callOf(name, request), options, signal),
    stream: (name, request, signal) => serverStream(client, callOf(name, request), signal),
    close: () => client.close(),
  };
}

interface Call {
  name: string;
  method: grpc.MethodDefinition<object, object>;
  request: object;
  metadata: Readonly<Record<string, string>>;
}

function metadataOf(entries: Readonly<Record<string, string>>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
}

function unary<Response>(
  client: grpc.Client,
  { name, method, request, metadata }: Call,
  options: RpcOptions,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => {
      call.cancel();
      reject(signal?.reason);
    };
    const callOptions: grpc.CallOptions =
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataOf(metadata),
      callOptions,
      (err, response) => {
        signal?.removeEventListener('abort', abort);
        if (err) reject(rpcError(name, err));
        else resolve(response as Response);
      },
    );
    signal?.addEventListener('abort', abort, { once: true });
  });
}

async function* serverStream<Response>(
  client: grpc.Client,
  { name, method, request, metadata }: Call,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  signal.throwIfAborted();
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadataOf(metadata),
    {},
  );
  const cancel = (): void => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) yield message as Response;
  } catch (err) {
    signal.throwIfAborted();
    throw rpcError(name, err as grpc.ServiceError);
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}

function rpcError(method: string, err: grpc.ServiceError): RpcError {
  const code = grpc.status[err.code] ?? 'UNKNOWN';
  return new RpcError(method, code, err.details ?? err.message, err);
}
