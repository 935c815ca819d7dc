import { ApiError } from '../api/errors.ts';

/** A webhook answered that it cannot convert, or answered nonsense: the fault is in the objects, others may do well. */
export class ConversionRefused extends ApiError {}
