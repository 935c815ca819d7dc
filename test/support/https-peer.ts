import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';

export interface PeerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The common name of the client's certificate, if it showed one that `clientAuthority` signed. */
  readonly client: string | undefined;
}

export interface PeerAnswer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

/** An HTTPS server that the API server shall ask: a webhook, an aggregated API server. */
export interface HttpsPeer {
  readonly port: number;
  /** PEM in base64, as caBundle wants it. */
  readonly caBundle: string;
  readonly requests: readonly PeerRequest[];
  close(): Promise<void>;
}

export async function startHttpsPeer(
  answer: (request: PeerRequest) => PeerAnswer | Promise<PeerAnswer>,
  options: { names?: string[]; clientAuthority?: string } = {},
): Promise<HttpsPeer> {
  const now = Date.now();
  const authority = await createAuthority('peer-ca', now);
  const names = ['localhost', '127.0.0.1', ...(options.names ?? [])];
  const { certificate, key } = await issueCertificate(
    authority,
    { commonName: 'peer', names, usages: ['server'], notAfter: certificateEnd(now) },
    now,
  );
  const requests: PeerRequest[] = [];
  const client = options.clientAuthority
    ? { ca: options.clientAuthority, requestCert: true, rejectUnauthorized: false }
    : {};
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const socket = req.socket as TLSSocket;
    const { method = '', url: path = '', headers } = req;
    const text = Buffer.concat(chunks).toString();
    const name = socket.authorized ? String(socket.getPeerCertificate().subject.CN) : undefined;
    const request = { method, path, headers, text, client: name };
    requests.push(request);
    const { status = 200, headers: more = {}, body } = await answer(request);
    res.writeHead(status, { 'content-type': 'application/json', ...more });
    res.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = createServer({ cert: certificate, key, ...client }, (req, res) => {
    // Whoever asks may leave in the middle.
    serve(req, res).catch(() => res.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    caBundle: Buffer.from(authority.certificate).toString('base64'),
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
