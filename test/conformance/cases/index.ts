import type { Subject } from '../case.ts'
import { altered } from './altered.ts'
import { database, databaseFaults } from './database.ts'
import { files } from './files.ts'
import { headers } from './headers.ts'
import { localPort } from './local-port.ts'
import { mutable } from './mutable.ts'
import { names } from './names.ts'
import { sharing } from './sharing.ts'
import { lists, upstream } from './upstream.ts'

/** Every case, by subject. */
export const subjects: readonly Subject[] = [
  files,
  mutable,
  names,
  headers,
  localPort,
  upstream,
  lists,
  altered,
  database,
  databaseFaults,
  sharing,
]
