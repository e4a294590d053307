// Waiting for conditions: every wait ends as soon as its condition holds, and none without a limit.

/** PATIENCE: by how much limits are longer, where a server is slower than usual. */
export const patience = Number(process.env.PATIENCE || 1);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls check until it returns something truthy, and returns that. After limit ms it fails with what was
 * waited for; what may be a function that describes the state at that moment. An error thrown by check counts as "not yet".
 */
export async function until(check, what, limit = 10000, pause = 15) {
  const end = Date.now() + limit * patience;
  let last;
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= end) {
      const text = typeof what === 'function' ? await what() : what;
      throw new Error(`not within ${limit * patience} ms: ${text}${last ? ` (${last.message})` : ''}`, { cause: last });
    }
    await sleep(pause);
  }
}

/** Fails when promise does not settle within limit ms. */
export async function within(promise, what, limit = 10000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limit * patience} ms: ${what}`)), limit * patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
