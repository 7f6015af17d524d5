import { join } from 'node:path'
import { processEnv } from '../../../config/env'
import { readFileBounded } from '../../../config/read-file'
import type { KubernetesConfig } from '../../../config/types'
import { errorCode, toError } from '../../../errors/error-code'

/** Where the kubelet mounts the credentials of a pod's ServiceAccount. */
const MOUNTED = '/var/run/secrets/kubernetes.io/serviceaccount'
const TOKEN = /^[\x21-\x7e]+$/

/** What a request to the API server needs. */
export interface ClusterAccess {
  readonly server: string
  /** Undefined without TLS. */
  readonly token: string | undefined
  /** Authorities of the API server, PEM; undefined: those that Node trusts. */
  readonly ca: string | undefined
}

/** Where the credentials are, for messages. */
export function credentialsFolder({ credentials = MOUNTED }: KubernetesConfig): string {
  return credentials
}

/**
 * Reads the credentials of the pod's ServiceAccount, or those in a folder of the same shape. Called before each request,
 * because the kubelet replaces the token every hour.
 *
 * @throws Error with the reason, worded for the person who set it up
 */
export async function readAccess(config: KubernetesConfig, env = processEnv()): Promise<ClusterAccess> {
  const server = config.server ?? serverIn(env)
  if (server.startsWith('http:')) return { server, token: undefined, ca: undefined }
  const folder = credentialsFolder(config)
  const [token, ca] = await Promise.all([readText(join(folder, 'token')), readText(join(folder, 'ca.crt'))])
  if (token === undefined) {
    throw new Error(`there is no token in ${folder}: the pod needs automountServiceAccountToken`)
  }
  if (!TOKEN.test(token)) throw new Error(`${join(folder, 'token')} is not one line of text`)
  return { server, token, ca }
}

/** The namespace that the gateway runs in. @throws Error if no file says so */
export async function ownNamespace(config: KubernetesConfig): Promise<string> {
  const path = join(credentialsFolder(config), 'namespace')
  const namespace = await readText(path)
  if (namespace === undefined) throw new Error(`there is no ${path}: add "namespace" to the target`)
  return namespace
}

function serverIn(env: Readonly<Record<string, string | undefined>>): string {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (!host) {
    throw new Error('not in a cluster (no KUBERNETES_SERVICE_HOST): outside of one, set discovery.kubernetes.server')
  }
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** @returns undefined if there is no such file */
async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFileBounded(path)).toString('utf8').trim()
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`${path} cannot be read (${code ?? toError(error).message})`, { cause: error })
  }
}
