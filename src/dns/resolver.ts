import dnsPacket, { type DecodedPacket, type Question } from 'dns-packet';
import type { Autopath } from './autopath.ts';
import type { Forwarder } from './forwarder.ts';
import type { Answer, ClusterRecords, Found } from './records.ts';
import { ednsOf, type Forwarded, type Rcode, type Reply, TTL_SECONDS } from './wire.ts';

export interface ResolverDeps {
  readonly records: ClusterRecords;
  readonly forwarder: Forwarder;
  readonly zone: string;
  /** Absent: askers walk their search path themselves. */
  readonly autopath?: Autopath | undefined;
}

/** Answers questions: names of the cluster from its records, all others by asking upstream servers. */
export class Resolver {
  readonly #deps: ResolverDeps;
  #turn = 0;

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  /** Never rejects: what goes wrong is SERVFAIL. `client`: the asker's address. */
  async resolve(
    query: DecodedPacket,
    client: string,
    signal: AbortSignal,
  ): Promise<Reply | Forwarded> {
    const refusal = refusalOf(query);
    if (refusal !== undefined) return reply(refusal);
    const [question] = query.questions ?? [];
    if (!question) return reply('FORMERR');
    const name = question.name.toLowerCase().replace(/\.$/, '');
    const { records, forwarder } = this.#deps;
    if (records.isInZone(name)) {
      const answer = await this.#cluster(name, question, signal);
      if (answer.rcode !== 'NXDOMAIN') return answer;
      return (await this.#alongPath(question, client, signal)) ?? answer;
    }
    const reverse = records.findReverse(name);
    if (reverse) return this.#positive(question, reverse);
    return (await forwarder.ask(question, signal)) ?? reply('SERVFAIL');
  }

  async #cluster(name: string, question: Question, signal: AbortSignal): Promise<Reply> {
    const found = this.#deps.records.find(name, question.type);
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
      : await this.#outside(target, signal);
    return { ...answered, answers: [...answered.answers, ...rest] };
  }

  /** The first name of the asker's search path that has an answer, as the alias of the one that was asked for. */
  async #alongPath(
    question: Question,
    client: string,
    signal: AbortSignal,
  ): Promise<Reply | undefined> {
    const { autopath, records } = this.#deps;
    for (const data of autopath?.namesAfter(question.name.toLowerCase(), client) ?? []) {
      const target = { ...question, name: data };
      const answers = records.isInZone(data)
        ? this.#inZone(target)
        : await this.#outside(target, signal);
      if (answers.length === 0) continue;
      const alias: Answer = { type: 'CNAME', name: question.name, data };
      return { ...reply('NOERROR'), authoritative: true, answers: [alias, ...answers] };
    }
    return undefined;
  }

  #inZone(question: Question): readonly Answer[] {
    const found = this.#deps.records.find(question.name, question.type);
    return found ? this.#positive(question, found).answers : [];
  }

  /** The records of a name outside that we can write, in the chain of its aliases. */
  async #outside(question: Question, signal: AbortSignal): Promise<Answer[]> {
    const given = await this.#deps.forwarder.ask(question, signal);
    if (!given) return [];
    const { answers = [] } = dnsPacket.decode(given.forwarded.bytes);
    return answers.filter((answer): answer is typeof answer & Answer =>
      ['A', 'AAAA', 'CNAME', 'SRV'].includes(answer.type),
    );
  }

  /** The records of the wanted type; none of them: NODATA, which carries the SOA. */
  #positive(question: Question, found: Found): Reply {
    const wanted = found.answers.filter(
      ({ type }) => type === question.type || type === 'CNAME' || String(question.type) === 'ANY',
    );
    const isStart = question.type === 'SOA' && question.name.toLowerCase() === this.#deps.zone;
    if (isStart) wanted.push(this.#soa());
    const answers = this.#rotated(wanted.map((answer) => ({ ...answer, name: question.name })));
    const additionals = answers.length > 0 ? found.additionals : [];
    const authorities = answers.length > 0 ? [] : [this.#soa()];
    return { rcode: 'NOERROR', authoritative: true, answers, authorities, additionals };
  }

  /** Many clients take the first address: each answer begins with another one. */
  #rotated(answers: Answer[]): Answer[] {
    if (answers.length < 2) return answers;
    this.#turn = (this.#turn + 1) % 1_000_000_007;
    const first = this.#turn % answers.length;
    return [...answers.slice(first), ...answers.slice(0, first)];
  }

  #soa(): Answer {
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
    return { type: 'SOA', name: zone, data };
  }
}

function reply(rcode: Rcode): Reply {
  return { rcode, authoritative: false, answers: [], authorities: [], additionals: [] };
}

/** Questions that are not answered at all: other operations, a later EDNS, several questions, other classes, zone transfers. */
function refusalOf(query: DecodedPacket): Rcode | undefined {
  if ((query as { opcode?: string }).opcode !== 'QUERY') return 'NOTIMP';
  if ((ednsOf(query)?.ednsVersion ?? 0) > 0) return 'BADVERS';
  const [question, ...more] = query.questions ?? [];
  if (!question || more.length > 0) return 'FORMERR';
  if (question.class !== undefined && question.class !== 'IN') return 'REFUSED';
  return ['AXFR', 'IXFR'].includes(question.type) ? 'REFUSED' : undefined;
}
