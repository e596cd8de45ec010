/** Writes a name and a password as the value of an Authorization header (RFC 7617). */
export function basicCredential(login: string, password: string): string {
  return `Basic ${Buffer.from(`${login}:${password}`, 'utf8').toString('base64')}`
}

/** As `basicCredential`, of a URL's user info; undefined when it has none. What is no percent-encoding is taken as it is. */
export function urlCredential({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  return basicCredential(decode(username), decode(password))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return text
    throw error
  }
}
