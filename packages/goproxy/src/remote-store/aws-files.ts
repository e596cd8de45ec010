/** The keys of one section of an AWS settings file. */
export type AwsProfile = ReadonlyMap<string, string>

/**
 * Reads `~/.aws/credentials` or `~/.aws/config`: sections by name, `[profile x]` as `x`. What is not
 * `key = value` is skipped, as are nested settings.
 */
export function parseAwsFile(text: string): ReadonlyMap<string, AwsProfile> {
  const sections = new Map<string, Map<string, string>>()
  let section: Map<string, string> | undefined
  for (const line of text.split('\n')) {
    const name = sectionName(line.trim())
    if (name !== undefined) {
      section = sections.get(name) ?? new Map<string, string>()
      sections.set(name, section)
    } else if (!line.startsWith(' ') && !line.startsWith('\t')) addSetting(section, line)
  }
  return sections
}

function sectionName(line: string): string | undefined {
  if (!line.startsWith('[')) return undefined
  const end = line.indexOf(']')
  if (end < 0) return undefined
  const name = line.slice(1, end).trim()
  return name.startsWith('profile ') ? name.slice('profile '.length).trim() : name
}

function addSetting(section: Map<string, string> | undefined, line: string): void {
  const equals = line.indexOf('=')
  if (section === undefined || equals < 0 || line.startsWith('#') || line.startsWith(';')) return
  const value = line.slice(equals + 1).trim()
  if (value !== '') section.set(line.slice(0, equals).trim(), value)
}
