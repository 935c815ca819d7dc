import type { OutgoingHttpHeaders } from 'node:http';
import { ApiError, type Status } from '../api/errors.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import { dialUpgrade, type UpgradeRefusal, type UpgradeTarget } from './upgrade.ts';

/** Which streams an exec or attach asks for. A terminal has no stderr of its own. */
export interface StreamFlags {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The streams of a running exec or attach, towards the kubelet. */
export interface ExecStreams {
  readonly connection: SpdyConnection;
  /** Ends with a Status in JSON: how the command ended. */
  readonly error: SpdyStream;
  readonly stdin: SpdyStream | undefined;
  readonly stdout: SpdyStream | undefined;
  readonly stderr: SpdyStream | undefined;
  /** Takes terminal sizes as JSON. */
  readonly resize: SpdyStream | undefined;
}

export const REMOTE_COMMAND_V4 = 'v4.channel.k8s.io';

/**
 * Opens a remote command over SPDY/3.1, protocol v4. Streams are opened in upstream's order: error first. Rejects
 * with the kubelet's own Status, or with InternalError for other refusals.
 */
export async function openExecStreams(
  target: UpgradeTarget,
  flags: StreamFlags,
  signal?: AbortSignal,
): Promise<ExecStreams> {
  const headers: OutgoingHttpHeaders = {
    connection: 'Upgrade',
    upgrade: 'SPDY/3.1',
    'x-stream-protocol-version': REMOTE_COMMAND_V4,
  };
  const answer = await dialUpgrade(target, 'POST', headers, signal);
  if (answer.kind === 'refused') throw refusalError(answer);
  const connection = new SpdyConnection(answer.socket, { role: 'client', head: answer.head });
  try {
    const open = (streamtype: string) => connection.open({ streamtype });
    const error = await open('error');
    const stdin = flags.stdin ? await open('stdin') : undefined;
    const stdout = flags.stdout ? await open('stdout') : undefined;
    const stderr = flags.stderr && !flags.tty ? await open('stderr') : undefined;
    const resize = flags.tty ? await open('resize') : undefined;
    return { connection, error, stdin, stdout, stderr, resize };
  } catch (err) {
    connection.close();
    throw err;
  }
}

function refusalError({ code, body }: UpgradeRefusal): ApiError {
  const text = body.toString('utf8').trim();
  const status = parseStatus(text);
  if (status) return ApiError.fromStatus(status);
  const why = text === '' ? `the back end answered ${code}` : text;
  return internalError(`unable to upgrade connection: ${why}`);
}

export function internalError(message: string): ApiError {
  return new ApiError('InternalError', `Internal error occurred: ${message}`, {
    details: { causes: [{ message }] },
  });
}

/** A Status in JSON. The one that ends a command does not always say its kind. */
export function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status> | null;
    const ended = value?.status === 'Success' || value?.status === 'Failure';
    return value?.kind === 'Status' || ended ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}
