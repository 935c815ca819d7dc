import dnsPacket, { type DecodedPacket, type Answer as WireAnswer } from 'dns-packet';

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;
export type Rcode = keyof typeof RCODE;

export interface Reply {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  readonly answers: WireAnswer[];
  readonly authorities: WireAnswer[];
  readonly additionals: WireAnswer[];
}

const HEADER_BYTES = 12;
const QUERY_RESPONSE = 0x80;
/** What every resolver can take without EDNS (RFC 1035). */
const PLAIN_LIMIT = 512;
/** More might be fragmented on the way (DNS flag day 2020). */
const EDNS_LIMIT = 1232;

/** A message that asks something; undefined for one that is malformed. */
export function decodeQuery(message: Buffer): DecodedPacket | undefined {
  try {
    return dnsPacket.decode(message);
  } catch {
    return undefined;
  }
}

/** The answer to a message that cannot be read; undefined where silence is right: no header, or itself an answer. */
export function formatError(message: Buffer): Buffer | undefined {
  const flags = message[2];
  if (message.length < HEADER_BYTES || flags === undefined || flags & QUERY_RESPONSE)
    return undefined;
  const answer = Buffer.alloc(HEADER_BYTES);
  message.copy(answer, 0, 0, 2);
  answer[2] = QUERY_RESPONSE | (flags & 0x79);
  answer[3] = RCODE.FORMERR;
  return answer;
}

/** How many bytes the asker takes in one datagram. */
export function datagramLimit(query: DecodedPacket): number {
  const edns = ednsOf(query);
  return edns ? Math.min(Math.max(edns.udpPayloadSize, PLAIN_LIMIT), EDNS_LIMIT) : PLAIN_LIMIT;
}

function ednsOf(query: DecodedPacket) {
  return query.additionals?.find((record) => record.type === 'OPT');
}

export function encodeReply(
  query: DecodedPacket,
  reply: Reply,
  { truncated }: { truncated: boolean },
): Buffer {
  const recursionDesired = (query.flags ?? 0) & dnsPacket.RECURSION_DESIRED;
  const flags =
    recursionDesired |
    dnsPacket.RECURSION_AVAILABLE |
    (reply.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0) |
    (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) |
    RCODE[reply.rcode];
  const opt = ednsOf(query)
    ? [{ type: 'OPT' as const, name: '.', udpPayloadSize: EDNS_LIMIT, flags: 0, options: [] }]
    : [];
  return dnsPacket.encode({
    type: 'response',
    id: query.id ?? 0,
    flags,
    questions: query.questions ?? [],
    answers: reply.answers,
    authorities: reply.authorities,
    additionals: [...reply.additionals, ...(opt as never[])],
  });
}
