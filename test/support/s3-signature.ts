import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * Whether a request is signed by these keys: AWS Signature Version 4 for S3, computed anew from the
 * request as it came. Only the region is taken from what was sent.
 */
export function hasGoodSignature(
  request: IncomingMessage,
  keys: { readonly accessKeyId: string; readonly secretAccessKey: string },
): boolean {
  const sent = fieldsOf(request.headers.authorization ?? '')
  const [accessKeyId, ...scope] = (sent.get('Credential') ?? '').split('/')
  if (accessKeyId !== keys.accessKeyId || scope[2] !== 's3') return false
  const names = (sent.get('SignedHeaders') ?? '').split(';')
  if (!names.includes('host') || !names.includes('x-amz-date')) return false
  const text = [
    'AWS4-HMAC-SHA256',
    request.headers['x-amz-date'],
    scope.join('/'),
    createHash('sha256').update(canonical(request, names)).digest('hex'),
  ].join('\n')
  const key = scope.reduce(
    (secret: string | Buffer, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${keys.secretAccessKey}`,
  )
  return createHmac('sha256', key).update(text).digest('hex') === sent.get('Signature')
}

function canonical(request: IncomingMessage, names: readonly string[]): string {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const headers = names.map((name) => `${name}:${String(request.headers[name]).trim()}\n`)
  const sha256 = String(request.headers['x-amz-content-sha256'])
  return [request.method, path, query, headers.join(''), names.join(';'), sha256].join('\n')
}

/** `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` */
function fieldsOf(authorization: string): ReadonlyMap<string, string> {
  const [, rest = ''] = authorization.split('AWS4-HMAC-SHA256 ', 2)
  return new Map(rest.split(', ').map((field) => field.split('=', 2) as [string, string]))
}
