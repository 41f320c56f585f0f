/**
 * Apps of local development: the ones that were named, and those that answer on the usual ports (DS-6, DS-11, DS-12). Each is asked to
 * sync again and again, so that it may start later, restart and change (DS-14).
 */

export const PORTS = [
  80, 443, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 5000, 5173, 8000, 8080, 8081,
  8787, 8888, 8910, 8911, 8912, 8913, 8914, 8915,
];
export const PATHS = [
  '/api/inngest',
  '/x/inngest',
  '/.netlify/functions/inngest',
  '/.redwood/functions/inngest',
];

/** What a round needs of the world. */
export interface World {
  /** Whether anybody listens there. */
  isOpen(port: number): Promise<boolean>;
  /** Null where nobody answers in time. */
  get(url: string): Promise<{ status: number; headers: Headers } | null>;
  /** Has the engine sync the app; what became of it, in one line. */
  sync(url: string): Promise<string>;
  say(line: string): void;
}

export class Discovery {
  readonly #world: World;
  /** Ports that are looked at; none where discovery is off. */
  readonly #ports: readonly number[];
  readonly #named: readonly string[];
  /** By port. */
  readonly #found = new Map<number, string>();
  /** What was last said of an app: only news are said. */
  readonly #said = new Map<string, string>();

  constructor(world: World, { named, ports }: { named: readonly string[]; ports: readonly number[] }) {
    this.#world = world;
    this.#named = named;
    this.#ports = ports;
  }

  async round(): Promise<void> {
    await Promise.all(this.#ports.map((port) => this.#look(port)));
    const urls = new Set([...this.#named, ...this.#found.values()]);
    await Promise.all([...urls].map(async (url) => this.#say(url, await this.#world.sync(url))));
  }

  /** A port whose app was found is not looked at again, unless nobody listens there any more. */
  async #look(port: number): Promise<void> {
    const isOpen = await this.#world.isOpen(port);
    if (!isOpen) return void this.#found.delete(port);
    if (this.#found.has(port)) return;
    for (const path of PATHS) {
      const url = `http://localhost:${port}${path}`;
      const answer = await this.#world.get(url);
      if (answer === null) continue;
      if (answer.headers.has('x-inngest-sdk')) return void this.#found.set(port, url);
      if (answer.headers.has('x-inngest-sdk-handled')) {
        return this.#say(url, 'found, but in cloud mode: start it with INNGEST_DEV=1');
      }
    }
  }

  #say(url: string, line: string): void {
    if (this.#said.get(url) === line) return;
    this.#said.set(url, line);
    this.#world.say(`${url}: ${line}`);
  }
}
