import { setFlagsFromString } from 'node:v8';

/**
 * Garbage is collected when the heap has grown by a fifth, not by the half or more that V8 lets it grow: for processes that
 * hold a copy of the cluster and mostly wait. It costs a little time in each collection. Before the heap grows.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=20');
}
