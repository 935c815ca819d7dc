import { SELF_SUBJECT_REVIEWS, TOKEN_REVIEWS } from '../../../api/system-resource-types.ts';
import { defineKind } from '../kind.ts';

const review = { verbs: ['create'], virtual: true } as const;

/** Questions about identity: nothing is stored, the answer is in the object's status. */
export const authenticationReviewKinds = [
  defineKind({ type: SELF_SUBJECT_REVIEWS, ...review }),
  defineKind({ type: TOKEN_REVIEWS, ...review }),
];
