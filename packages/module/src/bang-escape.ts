/** Writes `A` as `!a`, for file systems that fold case. Returns undefined when `!` or non-ASCII is present. */
export function bangEscape(text: string): string | undefined {
  let escaped = ''
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === 0x21 || unit >= 0x80) return undefined
    escaped += isUpper(unit) ? `!${String.fromCharCode(unit + 0x20)}` : text.charAt(i)
  }
  return escaped
}

/** Reads what bangEscape wrote. Returns undefined for raw A-Z, a `!` not before a-z, and non-ASCII. */
export function bangUnescape(escaped: string): string | undefined {
  let text = ''
  for (let i = 0; i < escaped.length; i++) {
    let unit = escaped.charCodeAt(i)
    if (unit >= 0x80 || isUpper(unit)) return undefined
    if (unit === 0x21) {
      unit = escaped.charCodeAt(++i)
      if (!(unit >= 0x61 && unit <= 0x7a)) return undefined
      unit -= 0x20
    }
    text += String.fromCharCode(unit)
  }
  return text
}

function isUpper(unit: number): boolean {
  return unit >= 0x41 && unit <= 0x5a
}
