import type { DecodedPacket, Packet, Answer as WireAnswer } from 'dns-packet';
import type { Forwarder } from './forwarder.ts';
import type { Answer, ClusterRecords, Found } from './records.ts';
import { encodeReply, type Rcode, type Reply } from './wire.ts';

/** Cluster records may be believed this long: as CoreDNS does by default. */
const TTL_SECONDS = 5;

export interface ResolverDeps {
  readonly records: ClusterRecords;
  readonly forwarder: Forwarder;
  readonly zone: string;
}

/** Answers questions: names of the cluster from its records, all others by asking upstream servers. */
export class Resolver {
  readonly #deps: ResolverDeps;

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  /** Never rejects: what goes wrong is SERVFAIL. */
  async resolve(query: DecodedPacket, signal: AbortSignal): Promise<Reply> {
    const refusal = refusalOf(query);
    if (refusal !== undefined) return reply(refusal);
    const [question] = query.questions ?? [];
    if (!question) return reply('FORMERR');
    const name = question.name.toLowerCase().replace(/\.$/, '');
    const { records, forwarder } = this.#deps;
    if (records.isInZone(name)) return await this.#cluster(name, question, signal);
    const reverse = records.findReverse(name);
    if (reverse) return this.#positive(question, reverse);
    const forwarded = await forwarder.ask(question, signal);
    return forwarded ?? reply('SERVFAIL');
  }

  async #cluster(name: string, question: Question, signal: AbortSignal): Promise<Reply> {
    const found = this.#deps.records.find(name);
    if (!found) return { ...reply('NXDOMAIN'), authoritative: true, authorities: [this.#soa()] };
    const answered = this.#positive(question, found);
    const [alias] = found.answers;
    if (alias?.type !== 'CNAME' || question.type === 'CNAME' || answered.answers.length === 0) {
      return answered;
    }
    // An ExternalName is followed, within the cluster or outside; its own loop ends as it is.
    const target = { ...question, name: alias.data };
    const rest = this.#deps.records.isInZone(alias.data)
      ? this.#inZone(target)
      : await this.#deps.forwarder.ask(target, signal);
    return { ...answered, answers: [...answered.answers, ...(rest?.answers ?? [])] };
  }

  #inZone(question: Question): Reply | undefined {
    const found = this.#deps.records.find(question.name);
    return found ? this.#positive(question, found) : undefined;
  }

  /** The records of the wanted type; none of them: NODATA, which carries the SOA. */
  #positive(question: Question, found: Found): Reply {
    const wanted = found.answers.filter(
      ({ type }) => type === question.type || type === 'CNAME' || String(question.type) === 'ANY',
    );
    const answers = wanted.map((answer) => toWire({ ...answer, name: question.name }));
    const additionals = answers.length > 0 ? found.additionals.map(toWire) : [];
    const authorities = answers.length > 0 ? [] : [this.#soa()];
    return { rcode: 'NOERROR', authoritative: true, answers, authorities, additionals };
  }

  #soa(): WireAnswer {
    const { zone } = this.#deps;
    const data = {
      mname: `ns.dns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: TTL_SECONDS,
    };
    return { type: 'SOA', name: zone, ttl: TTL_SECONDS, data };
  }
}

type Question = NonNullable<Packet['questions']>[number];

function reply(rcode: Rcode): Reply {
  return { rcode, authoritative: false, answers: [], authorities: [], additionals: [] };
}

function toWire(answer: Answer): WireAnswer {
  return { ...answer, ttl: TTL_SECONDS } as WireAnswer;
}

/** Questions that are not answered at all: other operations, several questions, other classes, zone transfers. */
function refusalOf(query: DecodedPacket): Rcode | undefined {
  if ((query as { opcode?: string }).opcode !== 'QUERY') return 'NOTIMP';
  const [question, ...more] = query.questions ?? [];
  if (!question || more.length > 0) return 'FORMERR';
  if (question.class !== undefined && question.class !== 'IN') return 'REFUSED';
  return ['AXFR', 'IXFR'].includes(question.type) ? 'REFUSED' : undefined;
}

/** The reply as bytes, at most `limit` of them: additional records go first, then the answer is cut (TC). */
export function packReply(query: DecodedPacket, answer: Reply, limit: number): Buffer {
  const whole = encodeReply(query, answer, { truncated: false });
  if (whole.length <= limit) return whole;
  const plain = { ...answer, additionals: [] };
  const smaller = encodeReply(query, plain, { truncated: false });
  if (smaller.length <= limit) return smaller;
  const empty = { ...plain, answers: [], authorities: [] };
  return encodeReply(query, empty, { truncated: true });
}
