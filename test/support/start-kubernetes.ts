import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { findApiServer, findEtcd } from '../../tools/kubernetes/programs'
import { freePort } from '../../tools/stack/free-port'
import { startProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

/** An object of Kubernetes, as far as tests look into it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> }
  readonly [key: string]: unknown
}

export interface Answer {
  readonly status: number
  readonly body: KubernetesObject & { readonly message?: string; readonly items?: readonly KubernetesObject[] }
}

export interface RunningKubernetes {
  /** A kubeconfig of an administrator. */
  readonly kubeconfig: string
  readonly url: string
  /** The certificate that the API server has made for itself, PEM. */
  readonly caFile: string
  send(method: string, path: string, body?: object): Promise<Answer>
  /** The path of all objects of a kind, in the namespace where the kind has one. */
  pathOf(apiVersion: string, kind: string, namespace: string): Promise<string>
  /** Ends the API server alone. */
  stopServer(): Promise<void>
  /** Starts it again, on the same port and with the same data. */
  startServer(): Promise<void>
  stop(): Promise<void>
}

const TOKEN = 'administrator-of-a-test'
const START_TIMEOUT_MS = 60_000

/** Starts etcd and a real API server on loopback, without nodes and without controllers: what it accepts, it stores. */
export async function startKubernetes(): Promise<RunningKubernetes> {
  const folder = temporaryFolder()
  const [clients, peers, port] = [await freePort(), await freePort(), await freePort()]
  const etcd = startProcess({
    name: 'etcd',
    path: await findEtcd(),
    args: [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=http://127.0.0.1:${clients}`,
      `--advertise-client-urls=http://127.0.0.1:${clients}`,
      `--listen-peer-urls=http://127.0.0.1:${peers}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peers}`,
      `--initial-cluster=default=http://127.0.0.1:${peers}`,
    ],
  })
  const key = join(folder, 'service-accounts.pem')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(folder, 'tokens.csv'), `${TOKEN},administrator,1,"system:masters"\n`)
  const apiServer = {
    name: 'kube-apiserver',
    path: await findApiServer(),
    args: [
      `--etcd-servers=http://127.0.0.1:${clients}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, 'certificates')}`,
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
    ],
  }
  let server = startProcess(apiServer)
  const kubeconfig = join(folder, 'kubeconfig.json')
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(port)))

  async function send(method: string, path: string, body?: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
      // Its certificate is made at its start, and it is on loopback.
      const options = { host: '127.0.0.1', port, path, method, headers, rejectUnauthorized: false, timeout: 30_000 }
      const outgoing = request(options, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const isJson = response.headers['content-type']?.startsWith('application/json') === true
          resolve({ status: response.statusCode ?? 0, body: (isJson ? JSON.parse(text) : { message: text }) as never })
        })
        response.on('error', reject)
      })
      outgoing.on('error', reject)
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)))
      outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  const isReady = async (): Promise<boolean> => (await send('GET', '/readyz')).status === 200
  const ready = async (): Promise<void> => {
    try {
      await until(isReady, { what: 'the API server is ready', timeoutMs: START_TIMEOUT_MS, intervalMs: 200 })
    } catch (error) {
      throw new Error(`${String(error)}\n${[...etcd.lines.slice(-3), ...server.lines.slice(-5)].join('\n')}`, {
        cause: error,
      })
    }
  }
  await ready()
  return {
    kubeconfig,
    url: `https://127.0.0.1:${port}`,
    caFile: join(folder, 'certificates/apiserver.crt'),
    send,
    async pathOf(apiVersion, kind, namespace) {
      const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
      const { body } = await send('GET', group)
      const resources = body['resources'] as { name: string; kind: string; namespaced: boolean }[] | undefined
      const resource = resources?.find(({ name, kind: its }) => its === kind && !name.includes('/'))
      if (resource === undefined) throw new Error(`the API server has no ${kind} in ${apiVersion}`)
      return `${group}${resource.namespaced ? `/namespaces/${namespace}` : ''}/${resource.name}`
    },
    async stopServer() {
      await server.stop()
    },
    async startServer() {
      server = startProcess(apiServer)
      await ready()
    },
    async stop() {
      await server.stop()
      await etcd.stop()
    },
  }
}

function kubeconfigOf(port: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [{ name: 'test', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: { token: TOKEN } }],
  }
}
