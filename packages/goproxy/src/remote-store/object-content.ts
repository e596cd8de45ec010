import { createHash } from 'node:crypto'
import type { RemoteObject } from '@modmesh/fill'
import { formatRecordObject } from './record-object.ts'
import type { S3Request } from './s3-client.ts'

/** What a write sends. */
export interface Content extends Required<Pick<S3Request, 'body' | 'sha256'>> {
  readonly headers: Readonly<Record<string, string>>
}

/** Makes the content of an object; `progress` is called as a zip is read. */
export function contentOf(object: RemoteObject, progress: () => void): Content {
  switch (object.part) {
    case 'zip': {
      const { zip } = object
      const headers = {
        'content-type': 'application/zip',
        'content-length': String(zip.size),
        // For people: nobody believes it.
        'x-amz-meta-h1': zip.zipHash,
      }
      return { body: watched(zip.read(), progress), headers, sha256: zip.zipDigest }
    }
    case 'record':
      return smallContent(formatRecordObject(object.module, object.record), 'application/json')
    case 'info':
      return smallContent(object.bytes, 'application/json')
    case 'mod':
      return smallContent(object.bytes, 'text/plain; charset=utf-8')
  }
}

function smallContent(body: Uint8Array, type: string): Content {
  const sha256 = createHash('sha256').update(body).digest('hex')
  const headers = { 'content-type': type, 'content-length': String(body.length) }
  return { body, headers, sha256 }
}

async function* watched(
  body: AsyncIterable<Uint8Array>,
  progress: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    progress()
    yield chunk
  }
}
