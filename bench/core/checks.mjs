// Answers are compared before anything is timed.

export const equal = (a, b, what) => {
  if (Buffer.compare(Buffer.from(a), Buffer.from(b)) !== 0) throw new Error(`${what}: answers differ`);
};

export const must = (condition, what) => {
  if (!condition) throw new Error(`${what}: wrong answer`);
};

/** A package that is measured against when it is installed, and named as left out otherwise. */
export async function optional(name) {
  try {
    return await import(name);
  } catch {
    return null;
  }
}
