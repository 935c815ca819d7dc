import {
  LOCAL_SUBJECT_ACCESS_REVIEWS,
  SELF_SUBJECT_ACCESS_REVIEWS,
  SELF_SUBJECT_RULES_REVIEWS,
  SUBJECT_ACCESS_REVIEWS,
} from '../../../api/system-resource-types.ts';
import { defineKind } from '../kind.ts';

const review = { verbs: ['create'], virtual: true } as const;

/** Questions about permission: nothing is stored, the answer is in the object's status. */
export const authorizationReviewKinds = [
  defineKind({ type: LOCAL_SUBJECT_ACCESS_REVIEWS, ...review }),
  defineKind({ type: SELF_SUBJECT_ACCESS_REVIEWS, ...review }),
  defineKind({ type: SELF_SUBJECT_RULES_REVIEWS, ...review }),
  defineKind({ type: SUBJECT_ACCESS_REVIEWS, ...review }),
];
