/** "Did you mean": the nearest of the words that exist. */

/** Edits between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

/** The word that was meant by this one, if one is near enough: a quarter of its letters may be wrong, or two that are swapped. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const plain = word.toLowerCase().replaceAll('-', '_');
  let best: string | undefined;
  let least = Math.max(word.length < 4 ? 1 : 2, Math.floor(word.length / 4)) + 1;
  for (const candidate of words) {
    const edits = distance(plain, candidate.toLowerCase().replaceAll('-', '_'));
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}
