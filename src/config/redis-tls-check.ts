import { statSync } from 'node:fs'
import { FILES_ON_DISK, type ConfigFiles } from './config-files'
import { UnreadableFile } from './read-file'
import { checkTlsFiles } from './tls-check'
import type { ConfigProblem } from './types'
import { mistake } from './values/parsed'

/** The TLS settings for Redis, as text. */
interface Found {
  readonly redisUrl?: string | undefined
  readonly redisTlsCaFile?: string | undefined
  readonly redisTlsCertFile?: string | undefined
  readonly redisTlsKeyFile?: string | undefined
}

const VARIABLES = { ca: 'REDIS_TLS_CA_FILE', cert: 'REDIS_TLS_CERT_FILE', key: 'REDIS_TLS_KEY_FILE' } as const

/**
 * Reads regular files only. It runs before serving, so it may block, but not for ever, as on a pipe without a writer.
 */
const REGULAR_FILES: Pick<ConfigFiles, 'read'> = {
  read: path => {
    if (!statSync(path).isFile()) throw new UnreadableFile(mistake('is not a regular file', 'a regular file'))
    return FILES_ON_DISK.read(path)
  },
}

/** Reads the files as the Redis client will, so that a problem is reported at the start and not by an outage. */
export function checkRedisTls(found: Found): ConfigProblem[] {
  const files = { ca: found.redisTlsCaFile, cert: found.redisTlsCertFile, key: found.redisTlsKeyFile }
  const problems = checkTlsFiles(files, REGULAR_FILES).map(
    ({ key, mistake: { problem, ...hints }, severity }): ConfigProblem => {
      const text = problem.replace(/"(ca|cert|key)" beside it/, (_, other: keyof typeof VARIABLES) => VARIABLES[other])
      return { where: VARIABLES[key], problem: `"${files[key]}" ${text}`, ...hints, ...(severity && { severity }) }
    },
  )
  const [first] = (['ca', 'cert', 'key'] as const).filter(key => files[key] !== undefined)
  if (first === undefined || found.redisUrl === undefined || /^rediss/i.test(found.redisUrl)) return problems
  const useless = 'has no effect: REDIS_URL does not use TLS'
  return [
    ...problems,
    { where: VARIABLES[first], problem: useless, allowed: 'rediss:// in REDIS_URL', severity: 'warning' },
  ]
}
