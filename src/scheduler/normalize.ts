import { MAX_NODE_SCORE } from './framework.ts';

/** Scales scores in place so that the highest becomes MAX_NODE_SCORE. All zero: all zero. */
export function normalizeUp(scores: number[]): void {
  scale(scores, (share) => share);
}

/** The same upside down: the highest becomes 0, zero becomes MAX_NODE_SCORE. */
export function normalizeDown(scores: number[]): void {
  scale(scores, (share) => MAX_NODE_SCORE - share);
}

function scale(scores: number[], finish: (share: number) => number): void {
  const max = scores.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < scores.length; i++) {
    const share = max === 0 ? 0 : Math.floor((MAX_NODE_SCORE * (scores[i] ?? 0)) / max);
    scores[i] = finish(share);
  }
}
