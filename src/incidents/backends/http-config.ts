import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { z } from 'zod'
import { problemsOf } from '../../config/findings'
import type { ConfigProblem } from '../../config/types'
import { readYaml } from '../../config/yaml-source'

/**
 * How a backend is queried: its credentials, headers and TLS, in the format that Prometheus calls `http_config`, so that
 * one file serves the incident service, `promtool --http.config.file` and `amtool --http.config.file`.
 */
export interface HttpConfig {
  /** Returns the header fields of a request. Reads credentials from their files each time, because they are rotated. */
  headers(): Promise<Record<string, string>>
  /** For connections; undefined without `tls_config`. */
  readonly tls: TlsOptions | undefined
}

export interface TlsOptions {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
}

const text = z.string().min(1)
const schema = z.strictObject({
  authorization: z
    .strictObject({ type: text.default('Bearer'), credentials: text.optional(), credentials_file: text.optional() })
    .optional(),
  basic_auth: z
    .strictObject({ username: text, password: z.string().optional(), password_file: text.optional() })
    .optional(),
  http_headers: z
    .record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/), z.strictObject({ values: z.array(text).min(1) }))
    .optional(),
  tls_config: z
    .strictObject({
      ca_file: text.optional(),
      cert_file: text.optional(),
      key_file: text.optional(),
      server_name: text.optional(),
    })
    .optional(),
})

type Parsed = z.output<typeof schema>

/** Reads a file and what it names; reports every problem, and never throws. */
export function readHttpConfig(path: string): {
  readonly config: HttpConfig | undefined
  readonly problems: readonly ConfigProblem[]
} {
  const failed = (problem: string): ReturnType<typeof readHttpConfig> => {
    return { config: undefined, problems: [{ where: path, problem }] }
  }
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (error) {
    return failed(`the file cannot be read: ${(error as Error).message}`)
  }
  const { source, problems } = readYaml(content, path, {})
  if (source === undefined || problems.length > 0) return { config: undefined, problems }
  const parsed = schema.safeParse(source.value ?? {})
  if (!parsed.success) return { config: undefined, problems: problemsOf(parsed.error, schema, source) }
  const wrong = contradictionIn(parsed.data)
  if (wrong !== undefined) return failed(wrong)
  try {
    return { config: open(parsed.data, file => resolve(dirname(path), file)), problems: [] }
  } catch (error) {
    return failed((error as Error).message)
  }
}

function contradictionIn({ authorization, basic_auth: basic, tls_config: tls }: Parsed): string | undefined {
  if (authorization && basic) return 'has both authorization and basic_auth: one of them'
  if (authorization && (authorization.credentials === undefined) === (authorization.credentials_file === undefined))
    return 'authorization needs either credentials or credentials_file'
  if (basic && basic.password !== undefined && basic.password_file !== undefined)
    return 'basic_auth has both password and password_file: one of them'
  if (tls && (tls.cert_file === undefined) !== (tls.key_file === undefined))
    return 'tls_config needs cert_file and key_file together'
  return undefined
}

/** @throws Error that names the file that cannot be used */
function open(config: Parsed, locate: (file: string) => string): HttpConfig {
  const { authorization, basic_auth: basic, http_headers: headers = {}, tls_config: tls } = config
  const secretFile = authorization?.credentials_file ?? basic?.password_file
  const readSecret = (): string => (secretFile === undefined ? '' : trimmed(locate(secretFile)))
  readSecret() // at the start, so that a missing file is reported before the first alert
  const fixed = Object.fromEntries(Object.entries(headers).map(([name, { values }]) => [name, values.join(', ')]))
  return {
    headers: async () => {
      if (authorization) {
        return { ...fixed, authorization: `${authorization.type} ${authorization.credentials ?? readSecret()}` }
      }
      if (basic) {
        const pair = `${basic.username}:${basic.password ?? readSecret()}`
        return { ...fixed, authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
      }
      return fixed
    },
    tls: tls && openTls(tls, locate),
  }
}

function openTls(tls: NonNullable<Parsed['tls_config']>, locate: (file: string) => string): TlsOptions {
  const options = {
    ...(tls.ca_file !== undefined && { ca: bytesOf(locate(tls.ca_file)) }),
    ...(tls.cert_file !== undefined && { cert: bytesOf(locate(tls.cert_file)) }),
    ...(tls.key_file !== undefined && { key: bytesOf(locate(tls.key_file)) }),
    ...(tls.server_name !== undefined && { servername: tls.server_name }),
  }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new Error(`tls_config: certificate or key cannot be used: ${(error as Error).message}`, { cause: error })
  }
  return options
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`a file that it names cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function trimmed(path: string): string {
  return bytesOf(path).toString('utf8').trim()
}
