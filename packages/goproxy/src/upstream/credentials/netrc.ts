/** One machine of a netrc file. */
export interface NetrcEntry {
  readonly machine: string
  readonly login: string
  readonly password: string
}

/**
 * Reads a netrc file as `go` does: entries with machine, login and password; macros are skipped and `default` ends
 * it, because a password for everybody is nobody's. One pass; what is malformed is no entry.
 */
export function parseNetrc(text: string): readonly NetrcEntry[] {
  const entries: NetrcEntry[] = []
  let entry = { machine: '', login: '', password: '' }
  let inMacro = false
  for (const line of text.split('\n')) {
    if (inMacro) {
      inMacro = line.trim() !== ''
      continue
    }
    const words = splitWords(line)
    if (words[0]?.startsWith('#')) continue
    for (let i = 0; i < words.length; i += 2) {
      const [key, value] = [words[i], words[i + 1]]
      if (key === 'default') return entries
      if (value === undefined) break
      if (key === 'macdef') inMacro = true
      if (key === 'machine') entry = { machine: value.toLowerCase(), login: '', password: '' }
      if (key === 'login' || key === 'password') entry = { ...entry, [key]: value }
      if (entry.machine !== '' && entry.login !== '' && entry.password !== '') {
        entries.push(entry)
        entry = { machine: '', login: '', password: '' }
      }
    }
  }
  return entries
}

function splitWords(line: string): readonly string[] {
  const words: string[] = []
  let start = -1
  for (let at = 0; at <= line.length; at++) {
    const isSpace = at === line.length || ' \t\r\v\f'.includes(line[at] ?? ' ')
    if (!isSpace && start < 0) start = at
    if (isSpace && start >= 0) {
      words.push(line.slice(start, at))
      start = -1
    }
  }
  return words
}
