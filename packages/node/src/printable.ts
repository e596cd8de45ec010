/** Longest foreign name in a log or on a terminal; longer ones are cut. Characters. */
const maxNameLength = 256

/** Makes text of unknown origin safe for a terminal and a log: escaped and cut to 256 characters. */
export function printableName(text: string): string {
  const cut = text.length > maxNameLength ? `${text.slice(0, maxNameLength)}…` : text
  return escapeInvisible(cut)
}

/**
 * Escapes what a terminal or a reader could take for something else, as \uXXXX: C0 (line feeds
 * too), DEL, C1, line separators, direction marks, tags. Lone surrogates are replaced. What remains is valid inside a JSON string.
 */
export function escapeInvisible(text: string): string {
  let result = ''
  for (const character of text.toWellFormed()) {
    result += isInvisible(character.codePointAt(0) ?? 0) ? escape(character) : character
  }
  return result
}

function escape(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}

function isInvisible(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    code === 0xad ||
    code === 0x61c ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff ||
    (code >= 0xfff9 && code <= 0xfffb) ||
    (code >= 0xe0000 && code <= 0xe007f)
  )
}
