/** Why a request is not accepted, with the HTTP status that says so. Thrown by intake, worded for the sender. */
export class Refusal extends Error {
  readonly status: 400 | 413 | 501 | 503;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | null;

  constructor(status: Refusal['status'], message: string, retryAfter: number | null = null) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
