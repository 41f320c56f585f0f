/**
 * Rate limiting (RL-8, RL-9): GCRA without burst, which is to say that two starts of one key are at least a part of the period apart.
 * It goes by the times at which the starts asked, and looks at those that passed on either side: so whoever was refused once is
 * refused whenever he asks again, without anybody remembering him.
 */

/** Least time between two starts, in milliseconds; it need not be a whole number. */
export function spacing({ limit, period }: { limit: number; period: number }): number {
  return period / limit;
}

/** Whose presence refuses a start that asked at `at`: passes after the first and before the second time. */
export function neighbourhood(at: number, space: number): { after: number; before: number } {
  return { after: at - space, before: at + space };
}
