import dnsPacket, { type DecodedPacket } from 'dns-packet';
import { type ForwardedAnswer, questionEnd } from './forwarded-answer.ts';
import { MessageWriter, OPT_BYTES } from './message-writer.ts';
import type { Answer } from './records.ts';

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** Its upper bits are in the OPT record (RFC 6891). */
  BADVERS: 16,
} as const;
export type Rcode = keyof typeof RCODE;

export function rcodeName(code: number): Rcode | undefined {
  return (Object.keys(RCODE) as Rcode[]).find((name) => RCODE[name] === code);
}

/** An answer of our own. */
export interface Reply {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

/** Another server's answer, given to us so many seconds ago. */
export interface Forwarded {
  readonly forwarded: ForwardedAnswer;
  readonly ageSeconds: number;
}

/** Cluster records may be believed this long: as CoreDNS does by default. */
export const TTL_SECONDS = 5;

const HEADER_BYTES = 12;
const QUERY_RESPONSE = 0x80;
/** What every resolver can take without EDNS (RFC 1035). */
const PLAIN_LIMIT = 512;
/** More might be fragmented on the way (DNS flag day 2020). */
export const EDNS_LIMIT = 1232;

/** A message that asks something, and the bytes of its question. */
export interface Query {
  readonly packet: DecodedPacket;
  readonly question: Buffer;
}

/** Undefined for a malformed message. */
export function decodeQuery(message: Buffer): Query | undefined {
  try {
    const packet = dnsPacket.decode(message);
    const asked = (packet.questions ?? []).length > 0;
    const end = asked ? questionEnd(message) : HEADER_BYTES;
    return { packet, question: message.subarray(HEADER_BYTES, end) };
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
export function datagramLimit({ packet }: Query): number {
  const edns = ednsOf(packet);
  return edns ? Math.min(Math.max(edns.udpPayloadSize, PLAIN_LIMIT), EDNS_LIMIT) : PLAIN_LIMIT;
}

export function ednsOf(query: DecodedPacket) {
  return query.additionals?.find((record) => record.type === 'OPT');
}

/**
 * The reply as bytes, at most `limit` of them. Additional records only help and are left out where they do not fit; an
 * answer that does not fit is marked as cut (TC), with as many records as there is room for.
 */
export function encodeReply(query: Query, reply: Reply, limit: number): Buffer {
  const edns = ednsOf(query.packet) !== undefined;
  const writer = new MessageWriter(limit - (edns ? OPT_BYTES : 0));
  const asked = query.question.length > 0 && writer.question(query.question);
  const counts = [Number(asked), 0, 0, 0];
  const sections = [reply.answers, reply.authorities, reply.additionals];
  let truncated = false;
  for (const [index, records] of sections.entries()) {
    const written = truncated ? 0 : writeAll(writer, records);
    counts[index + 1] = written;
    if (written < records.length && index < 2) truncated = true;
  }
  const flags =
    replyFlags(query.packet) |
    (reply.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0) |
    (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) |
    (RCODE[reply.rcode] & 0xf);
  counts[3] = (counts[3] ?? 0) + Number(edns);
  writer.header({ id: query.packet.id ?? 0, flags, counts });
  const extended = RCODE[reply.rcode] >> 4;
  const record = extended === 0 ? OUR_EDNS : ednsRecord(EDNS_LIMIT, extended);
  return edns ? Buffer.concat([writer.finish(), record]) : writer.finish();
}

function writeAll(writer: MessageWriter, records: readonly Answer[]): number {
  const failed = records.findIndex((record) => !writer.record(record, TTL_SECONDS));
  return failed < 0 ? records.length : failed;
}

/** Another server's answer as bytes, at most `limit` of them. */
export function encodeForwarded(
  { packet, question }: Query,
  { forwarded, ageSeconds }: Forwarded,
  limit: number,
): Buffer {
  const edns = ednsOf(packet) ? OUR_EDNS : undefined;
  const flags = replyFlags(packet);
  return forwarded.render({ id: packet.id ?? 0, question, flags, ageSeconds, limit, edns });
}

function replyFlags(query: DecodedPacket): number {
  const recursionDesired = (query.flags ?? 0) & dnsPacket.RECURSION_DESIRED;
  return (QUERY_RESPONSE << 8) | recursionDesired | dnsPacket.RECURSION_AVAILABLE;
}

const OUR_EDNS = ednsRecord(EDNS_LIMIT);

function ednsRecord(udpPayloadSize: number, extendedRcode = 0): Buffer {
  const record = Buffer.alloc(OPT_BYTES);
  record.writeUInt16BE(41, 1);
  record.writeUInt16BE(udpPayloadSize, 3);
  record[5] = extendedRcode;
  return record;
}
