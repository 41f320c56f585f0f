/** The first whole number that `holds`, given that it does at `high`, does not at `low`, and turns once between them. */
export function bisect(low: number, high: number, holds: (at: number) => boolean): number {
  let no = low;
  let yes = high;
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (holds(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}
