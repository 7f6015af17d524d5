import { constants, type Stats } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { noteBlockedCall } from '../process/blocked-calls'
import { mistake, type Mistake } from './values/parsed'

/** Stands for the state and the hash of a file that does not exist or cannot be read. */
export const UNREADABLE = 'unreadable'

/**
 * Maximum file size: a few thousand routes or a few hundred certificates; a larger file was probably named by mistake.
 */
export const MAX_FILE_BYTES = 1_048_576
const CHUNK_BYTES = 65_536
/** Maximum time for a read: on a mount that hangs it may never return. */
const READ_TIMEOUT_MS = 5_000

/** The error for a file that was rejected here although the operating system could read it. */
export class UnreadableFile extends Error {
  readonly mistake: Mistake

  constructor(mistake: Mistake) {
    super([mistake.problem, ...(mistake.allowed === undefined ? [] : [`allowed: ${mistake.allowed}`])].join('; '))
    this.name = 'UnreadableFile'
    this.mistake = mistake
  }
}

/** Files whose read timed out and has not returned: another read would block another thread. */
const hanging = new Set<string>()

/**
 * Reads a regular file without blocking the event loop, with limits for time and size. Pipes and devices are rejected:
 * they may never end, or wait for a writer.
 *
 * @throws UnreadableFile, or the operating system's error
 */
export async function readFileBounded(path: string, timeoutMs = READ_TIMEOUT_MS): Promise<Buffer> {
  return giveUpAfter(timeoutMs, path, hanging.has(path) ? refuseHanging() : readRegular(path))
}

/** `stat` with the same timeout. */
export async function statBounded(path: string, timeoutMs = READ_TIMEOUT_MS): Promise<Stats> {
  return giveUpAfter(timeoutMs, path, hanging.has(path) ? refuseHanging() : stat(path))
}

/** The names in a folder, with the same timeout. */
export async function listFolderBounded(path: string, timeoutMs = READ_TIMEOUT_MS): Promise<string[]> {
  return giveUpAfter(timeoutMs, path, hanging.has(path) ? refuseHanging() : readdir(path))
}

async function readRegular(path: string): Promise<Buffer> {
  // Checked before opening: opening a device may have side effects.
  refuseUnlessRegular(await stat(path))
  // Without O_NONBLOCK, opening a pipe that replaced the file meanwhile would wait for a writer.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    refuseUnlessRegular(await file.stat())
    const chunks: Buffer[] = []
    // The file may have grown since `stat`.
    for (let length = 0; length <= MAX_FILE_BYTES;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES)
      if (bytesRead === 0) return Buffer.concat(chunks)
      chunks.push(buffer.subarray(0, bytesRead))
      length += bytesRead
    }
    throw tooLarge(`more than ${MAX_FILE_BYTES}`)
  } finally {
    await file.close()
  }
}

function refuseUnlessRegular(stats: Stats): void {
  if (!stats.isFile()) throw new UnreadableFile(mistake(`is ${kindOf(stats)}`, 'a regular file'))
  if (stats.size > MAX_FILE_BYTES) throw tooLarge(`${stats.size}`)
}

function tooLarge(bytes: string): UnreadableFile {
  return new UnreadableFile(mistake(`has ${bytes} bytes`, `at most ${MAX_FILE_BYTES}`))
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a pipe (FIFO)'
  return stats.isSocket() ? 'a socket' : 'a device'
}

const NO_ANSWER = 'could not be read in time: its file system does not respond'

async function refuseHanging(): Promise<never> {
  throw new UnreadableFile(mistake(NO_ANSWER, 'a file on a mount that responds'))
}

/** Rejects if the call does not return in time; until it has returned, the same file is not read again. */
export async function giveUpAfter<T>(timeoutMs: number, path: string, reading: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let returned: (() => void) | undefined
    const timer = setTimeout(() => {
      hanging.add(path)
      returned = noteBlockedCall()
      reject(new UnreadableFile(mistake(NO_ANSWER, 'a file on a mount that responds')))
    }, timeoutMs)
    reading.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      if (returned === undefined) return
      returned()
      hanging.delete(path)
    })
  })
}

/** The message for a file that could not be read, worded to follow its path. */
export function readMistake(error: unknown, wanted: string): Mistake {
  if (error instanceof UnreadableFile) return error.mistake
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return mistake('is not there', `the path of ${wanted}`)
  return mistake(`cannot be read (${code ?? message})`, wanted)
}
