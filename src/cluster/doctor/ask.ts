import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { connect } from 'node:net';
import { errorMessage } from '../../util/errors.ts';

const WITHIN_MS = 3000;

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Milliseconds since the epoch, as the other machine has it; NaN where it says nothing of that. */
  readonly time: number;
}

/** A client certificate, where one is asked for. */
export interface Pass {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** What is answered at a URL. Whoever answers need not prove who it is: only how it is doing is looked at. */
export function ask(url: string, pass: Pass = {}): Promise<Answer> {
  const address = new URL(url);
  const signal = AbortSignal.timeout(WITHIN_MS);
  const options = { rejectUnauthorized: false, agent: false as const, signal, ...pass };
  const request = address.protocol === 'https:' ? overHttps : overHttp;
  return new Promise((resolve, reject) => {
    const fail = (err: Error) =>
      reject(signal.aborted ? new Error(`no answer within ${WITHIN_MS / 1000} s`) : err);
    const asking = request(address, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.once('error', fail);
      response.once('end', () => {
        const time = Date.parse(response.headers.date ?? '');
        resolve({ status: response.statusCode ?? 0, body, time });
      });
    });
    asking.once('error', fail);
    asking.end();
  });
}

/** Why nothing can be connected to there; undefined where it can. */
export function connectionProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (problem: string | undefined) => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(WITHIN_MS, () => end('does not answer'));
    socket.once('connect', () => end(undefined));
    socket.once('error', (err) => end(refusalIn(errorMessage(err))));
  });
}

function refusalIn(message: string): string {
  return message.includes('ECONNREFUSED') ? 'refuses connections' : message;
}
