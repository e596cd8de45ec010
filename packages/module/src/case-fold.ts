/**
 * Maps a text so that two texts become equal when Go calls them equal under simple case folding
 * (unicode.SimpleFold, strings.EqualFold). Which member stands for its class is our own affair.
 */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase()
  let folded = ''
  for (const char of text) folded += foldChar(char)
  return folded
}

/**
 * Goes up, then down, but only over mappings to one character: longer ones (ß to SS) and the dotless i
 * belong to full and Turkish folding, which neither Go nor the file systems it guards against use.
 */
function foldChar(char: string): string {
  if (char === 'ı') return char
  const upper = onlySingle(char.toUpperCase(), char)
  return onlySingle(upper.toLowerCase(), upper)
}

function onlySingle(mapped: string, otherwise: string): string {
  const [first, second] = mapped
  return first === undefined || second !== undefined ? otherwise : mapped
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false
  return true
}
