/** Waiting for no longer than a while. Not the Clock port: that tells the time, this lets it pass. */

/** Calls `fire` after `ms` unless the returned function is called first. */
export type Timer = (ms: number, fire: () => void) => () => void;

export const systemTimer: Timer = (ms, fire) => {
  const handle = setTimeout(fire, ms);
  return () => clearTimeout(handle);
};

/** The promise's value, or `late`; the promise itself goes on. The timer is taken back, so that nothing keeps an object awake. */
export async function within<Value>(
  promise: Promise<Value>,
  ms: number,
  timer: Timer,
): Promise<Value | 'late'> {
  const late = Promise.withResolvers<'late'>();
  const cancel = timer(ms, () => late.resolve('late'));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}
