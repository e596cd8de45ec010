import { type DestinationStream, type Logger, pino } from 'pino'
import { escapeInvisible } from './printable.ts'
import type { LogLevel } from './settings.ts'

export type { Logger } from 'pino'

/** Opens the log: JSON lines, one per event, on stderr (stdout carries only the ready line). */
export function openLog(level: LogLevel, write: (line: string) => void = writeStderr): Logger {
  const destination: DestinationStream = {
    // JSON leaves C1, DEL and direction marks as they are; a terminal does not.
    write: (line) => write(`${escapeInvisible(line.trimEnd())}\n`),
  }
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}

function writeStderr(line: string): void {
  process.stderr.write(line)
}
