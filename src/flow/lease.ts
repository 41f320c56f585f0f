/** Who is next under a limit that several may share. Each compares the limit of its own with the common count (CC-31). */

export interface Candidate {
  /** Place in the line, smallest first (OR-3); ties by the event, then by the run. */
  score: number;
  eventId: string;
  runId: string;
}

function isBefore(a: Candidate, b: Candidate): boolean {
  if (a.score !== b.score) return a.score < b.score;
  return a.eventId === b.eventId ? a.runId < b.runId : a.eventId < b.eventId;
}

/** The oldest of those that have room (OR-5): one that is blocked holds up nobody behind it (CC-30). @param heads the first of each kind. */
export function next<One extends Candidate>(
  heads: readonly One[],
  hasRoom: (one: One) => boolean,
): One | null {
  let best: One | null = null;
  for (const head of heads) {
    if (hasRoom(head) && (best === null || isBefore(head, best))) best = head;
  }
  return best;
}
