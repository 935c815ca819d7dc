import type { QueueSortPlugin } from '../framework.ts';

/** Higher priority first; among equals the one that has waited longer. */
export const prioritySort: QueueSortPlugin = {
  name: 'PrioritySort',
  wakeOn: [],

  less(a, b) {
    if (a.info.priority !== b.info.priority) return a.info.priority > b.info.priority;
    return a.addedAt < b.addedAt;
  },
};
