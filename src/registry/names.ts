/**
 * JSON of the SDKs in one spelling. They write the names of members in several cases (`appname`, `Singleton`), and `null` for what they
 * leave out (wire 0.3, AP-20a).
 */
import { isObject } from '../lib/json.ts';

const APP = 'url appName appVersion sdk framework platform headers functions';
/** In the answer to an in-band sync. */
const ANSWER = 'app_id sdk_language sdk_version';
const FUNCTION =
  'id name triggers steps retries cancel timeouts concurrency throttle rateLimit debounce batchEvents priority singleton idempotency';
const OPTION =
  'event expression cron jitter runtime attempts if timeout start finish limit key scope fn step period burst maxSize run mode';

const NAMES = new Map(
  [APP, ANSWER, FUNCTION, OPTION].flatMap((names) =>
    names.split(' ').map((name) => [name.toLowerCase(), name]),
  ),
);

/** Copies; members of unknown names keep them. */
export function spelled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(spelled);
  if (!isObject(value)) return value;
  const present = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(
    present.map(([name, member]) => [NAMES.get(name.toLowerCase()) ?? name, spelled(member)]),
  );
}
