import type { DecisionReport, NodeVerdict } from './decisions.ts';

/** A decision for people: what became of the Pod, the scores of the nodes that fit, the refusals of the others. */
export function formatDecision(report: DecisionReport, maxNodes: number): string {
  const fits = report.nodes.filter((node) => node.total !== undefined);
  const refused = report.nodes.filter((node) => node.total === undefined);
  const lines = [
    `Pod:       ${report.pod}`,
    `Scheduler: ${report.profile}, attempt ${report.attempt}, ${report.time}`,
    `Outcome:   ${outcomeOf(report)}`,
    `Nodes:     ${report.nodeCount}, of which ${report.nodes.length} are recorded here`,
    ...(report.message ? [`Message:   ${report.message}`] : []),
  ];
  if (fits.length > 0) lines.push('', ...scoreTable(fits, maxNodes));
  if (refused.length > 0) lines.push('', ...refusalTable(refused, maxNodes));
  return `${lines.join('\n')}\n`;
}

function outcomeOf({ outcome, node }: DecisionReport): string {
  if (outcome === 'placed') return `placed on ${node}`;
  return node ? `${outcome}; room is being made on ${node}` : outcome;
}

function scoreTable(nodes: readonly NodeVerdict[], max: number): string[] {
  const plugins = Object.keys(nodes[0]?.scores ?? {});
  const rows = nodes
    .slice(0, max)
    .map(({ node, total, scores }) => [
      node,
      String(total),
      ...plugins.map((plugin) => String(scores?.[plugin] ?? 0)),
    ]);
  return [...table([['NODE', 'SCORE', ...plugins], ...rows]), ...more(nodes.length, max)];
}

function refusalTable(nodes: readonly NodeVerdict[], max: number): string[] {
  const rows = nodes
    .slice(0, max)
    .map(({ node, rejectedBy, reasons }) => [node, rejectedBy ?? '', (reasons ?? []).join(', ')]);
  return [...table([['NODE', 'REFUSED BY', 'REASON'], ...rows]), ...more(nodes.length, max)];
}

function more(count: number, max: number): string[] {
  return count > max ? [`… and ${count - max} more (--nodes)`] : [];
}

function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
