import fc from 'fast-check';

const { K8TS_TEST_SEED: asked = '1' } = process.env;
const seed = Number(asked);
if (asked !== 'random' && !Number.isInteger(seed)) {
  throw new Error(`K8TS_TEST_SEED is ${JSON.stringify(asked)}: give an integer, or "random"`);
}

/**
 * fast-check, which tries properties on the same examples each time: what passes passes again, and what fails can be looked at.
 * `K8TS_TEST_SEED=random`, or another number, looks for examples that nobody has thought of.
 */
fc.configureGlobal(asked === 'random' ? {} : { seed });

export { fc };
