import { type MessagePort, parentPort } from 'node:worker_threads'
import { asError } from '../errors.ts'
import { assembleZip } from './assemble-zip.ts'
import { MalformedError } from './chunk-reader.ts'
import type { DeltaJob } from './job-message.ts'
import { filesTogether } from './limits.ts'
import { packFiles } from './pack-files.ts'
import { type KeptFile, UnequalError, type UnpackJob, unpackFiles } from './unpack-files.ts'
import { StoppedError, WorkerPort } from './worker-port.ts'
import { ZipContents } from './zip-contents.ts'

/** Does one job; what becomes of it goes through its port. */
async function run(job: DeltaJob, port: WorkerPort): Promise<void> {
  try {
    await work(job, port)
    port.tell({ kind: 'done' })
  } catch (error) {
    port.tell({ kind: 'failed', why: whyOf(error), message: asError(error).message })
  } finally {
    port.close()
  }
}

async function work(job: DeltaJob, port: WorkerPort): Promise<void> {
  switch (job.kind) {
    case 'pack':
      return await port.send(packFiles(job))
    case 'assemble':
      return await port.send(assembleZip(job))
    case 'manifest': {
      using zip = new ZipContents(job.path)
      return port.tell({ kind: 'lines', lines: await zip.manifest() })
    }
    case 'unpack':
      return await unpack(job, port)
  }
}

/** What was verified is told also of a job that is stopped, or fails. */
async function unpack(job: UnpackJob, port: WorkerPort): Promise<void> {
  let files: KeptFile[] = []
  const flush = (): void => {
    if (files.length > 0) port.tell({ kind: 'kept', files })
    files = []
  }
  try {
    await unpackFiles(job, port.chunks(), (file) => {
      files.push(file)
      if (files.length >= filesTogether) flush()
    })
  } finally {
    flush()
  }
}

function whyOf(error: unknown): 'malformed' | 'unequal' | 'stopped' | 'failed' {
  if (error instanceof MalformedError) return 'malformed'
  if (error instanceof UnequalError) return 'unequal'
  return error instanceof StoppedError ? 'stopped' : 'failed'
}

parentPort?.on('message', ({ job, port }: { job: DeltaJob; port: MessagePort }) => {
  void run(job, new WorkerPort(port))
})
