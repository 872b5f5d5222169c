/** The candidate with the smallest edit distance to `name`, case and separators aside; absent when none is close enough to be a typing error. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = canonicalName(name);
  let best: string | undefined;
  // A third of the letters wrong is no typing error any more.
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, canonicalName(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `max-model-len`, `max_model_len` and `maxModelLen` are one name. */
export function canonicalName(name: string): string {
  return name.replaceAll(/[-_]/g, "").toLowerCase();
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, (previous[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    previous = row;
  }
  return previous[b.length] as number;
}
