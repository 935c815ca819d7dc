import type { FairQueue } from './fair-queue.ts';

/** A priority level as the dumps show it; exempt ones have no queue. */
export interface DumpedLevel {
  readonly name: string;
  readonly queue: FairQueue | undefined;
}

type Dump = (levels: readonly DumpedLevel[]) => string;

function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]) => `${cells.map((cell) => `${cell}, `).join('')}\n`;
  return line(columns) + rows.map(line).join('');
}

const priorityLevels: Dump = (levels) =>
  table(
    [
      ...['PriorityLevelName', 'ActiveQueues', 'IsIdle', 'IsQuiescing', 'WaitingRequests'],
      ...['ExecutingRequests', 'DispatchedRequests', 'RejectedRequests', 'TimedoutRequests'],
      'CancelledRequests',
    ],
    levels.map(({ name, queue }) => {
      if (!queue) return [name, ...Array(9).fill('<none>')];
      const active = queue.queues.filter(
        ({ waiting, executing }) => waiting.length + executing > 0,
      );
      const isIdle = queue.waiting + queue.executing === 0;
      const { dispatched, rejected, timedOut, cancelled } = queue.counts;
      return [
        ...[name, active.length, isIdle, false, queue.waiting, queue.executing],
        ...[dispatched, rejected, timedOut, cancelled],
      ];
    }),
  );

const queues: Dump = (levels) =>
  table(
    [
      ...['PriorityLevelName', 'Index', 'PendingRequests', 'ExecutingRequests', 'SeatsInUse'],
      ...['NextDispatchR', 'InitialSeatsSum', 'MaxSeatsSum', 'TotalWorkSum'],
    ],
    levels.flatMap(({ name, queue }) =>
      (queue?.queues ?? []).map(({ index, waiting, executing, seats, virtualStart }) => {
        const wanted = waiting.reduce((sum, { width }) => sum + width, 0);
        return [
          ...[name, index, waiting.length, executing, seats],
          ...[`${virtualStart.toFixed(8)}ss`, wanted, wanted],
          `${(wanted * 0.003).toFixed(8)}ss`,
        ];
      }),
    ),
  );

const requests: Dump = (levels) =>
  table(
    [
      ...['PriorityLevelName', 'FlowSchemaName', 'QueueIndex', 'RequestIndexInQueue'],
      ...['FlowDistingsher', 'ArriveTime', 'InitialSeats', 'FinalSeats', 'AdditionalLatency'],
      'StartTime',
    ],
    levels.flatMap(({ name, queue }) =>
      (queue?.queues ?? []).flatMap(({ index, waiting }) =>
        waiting.map(({ schema, flow, arrived, width }, i) => {
          const distinguisher = flow.slice(schema.length + 1);
          const time = new Date(arrived).toISOString();
          return [name, schema, index, i, distinguisher, time, width, 0, '0s', '<none>'];
        }),
      ),
    ),
  );

/** What /debug/api_priority_and_fairness/ answers, by the last word of the path. */
export const DUMPS: Readonly<Record<string, Dump>> = {
  dump_priority_levels: priorityLevels,
  dump_queues: queues,
  dump_requests: requests,
};
