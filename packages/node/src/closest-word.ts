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

/** Insertions, deletions, substitutions and swaps of neighbours; inputs are at most 64 characters. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? at(beforeLast, j - 2) + 1 : substituted
      row.push(Math.min(substituted, swapped, at(last, j) + 1, at(row, j - 1) + 1))
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0
}
