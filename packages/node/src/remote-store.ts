import { type S3Change, S3RemoteStore } from '@modmesh/goproxy'
import type { Logger } from './log.ts'
import type { Surroundings } from './settings.ts'
import type { StartPlan } from './start-plan.ts'
import { userAgent } from './version.ts'

/** Opens the bucket of `--s3`; touches no network. Throws NoS3CredentialsError, InvalidCaFileError. */
export async function openRemoteStore(
  { s3, settings: { caFile } }: StartPlan,
  { log, around }: { readonly log: Logger; readonly around: Surroundings },
): Promise<S3RemoteStore | undefined> {
  if (s3 === undefined) return undefined
  const onChange = ({ what, isDown, reason }: S3Change): void => {
    if (isDown)
      log.warn({ what, reason }, 'remote store failed several times: left alone for a while')
    else log.info({ what }, 'remote store answers again')
  }
  const init = { location: s3, caFile, userAgent: userAgent(), onChange }
  return await S3RemoteStore.open({ around }, init)
}
