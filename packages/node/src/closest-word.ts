/** Finds the word that somebody who typed `typed` may have meant; undefined when none is near. */
export function closestWord(typed: string, words: readonly string[]): string | undefined {
  const wanted = normalise(typed)
  const ranked = words
    .map((word) => ({ word, distance: editDistance(wanted, normalise(word)) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  if (best === undefined) return undefined
  return best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.word : undefined
}

function normalise(word: string): string {
  return word.slice(0, 64).toLowerCase().replaceAll('_', '-')
}

/** Levenshtein's distance; inputs are at most 64 characters. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
