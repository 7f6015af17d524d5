import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../support/free-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { newIssuerKey, startIssuer } from '../support/start-issuer'
import type { Scenario } from './scenario'

/** Three within the shortened 15 minutes are enough; a start on a busy machine takes seconds. */
const MAX_RESTARTS = 40

export interface ProcessBench {
  /** Those that run now. */
  gateways(): readonly RunningGateway[]
  kill(): Promise<unknown>
  /** The one without workers. */
  startAgain(): Promise<void>
  readonly scenarios: readonly Scenario[]
}

/**
 * Gateways for what is wrong with a process: one with many routes, an issuer that does not answer, restarts and no CPU time,
 * and one with two workers.
 */
export async function startProcessBench(upstreamUrl: string): Promise<ProcessBench> {
  const [issuerPort, opsPort] = await Promise.all([freePort(), freePort()])
  const routes = Array.from({ length: 150 }, (_, index) => ({
    name: `r${index}`,
    match: { path: `/r${index}` },
    upstream: 'one',
    ...(index === 0 && { auth: { jwt: { tokens: 'login' } } }),
  }))
  const config = JSON.stringify({
    upstreams: { one: { targets: [upstreamUrl] } },
    tokens: {
      login: {
        issuer: 'https://login.example/',
        audience: 'orders',
        algorithms: ['ES256'],
        jwks: `http://127.0.0.1:${issuerPort}/jwks.json`,
      },
    },
    routes,
  })
  const start = async (): Promise<RunningGateway> => startGateway({ config, env: { OPS_PORT: `${opsPort}` } })
  let gateway = await start()
  const withWorkers = await startGateway({
    config: JSON.stringify({
      upstreams: { one: { targets: [upstreamUrl] } },
      routes: [{ name: 'one', match: { path: '/one' }, upstream: 'one' }],
    }),
    env: { WORKERS: '2' },
  })
  const place = `127.0.0.1:${opsPort}`
  const startAgain = async (): Promise<void> => {
    gateway = await start()
  }
  return {
    gateways: () => [gateway, withWorkers],
    kill: async () => Promise.all([gateway.kill(), withWorkers.kill()]),
    startAgain,
    scenarios: [
      {
        alert: 'GatewaySeriesNearLimit',
        cause: '150 routes with every reason',
        place,
        fromStart: true,
        end: 'not waited for: series end with the process',
        provoke: async () => async () => undefined,
      },
      {
        alert: 'GatewayTokenKeysUnavailable',
        cause: 'the issuer of the tokens does not run',
        place,
        fromStart: true,
        provoke: async () => async () => void (await startIssuer([(await newIssuerKey('a')).publicJwk], issuerPort)),
      },
      {
        alert: 'GatewayEventLoopLate',
        cause: 'the process gets no CPU time for 200 ms, again and again',
        place,
        provoke: async () => {
          const stopping = new AbortController()
          const toggling = (async () => {
            while (!stopping.signal.aborted) {
              gateway.process.signal('SIGSTOP')
              await delay(200)
              gateway.process.signal('SIGCONT')
              await delay(200)
            }
          })()
          return async () => {
            stopping.abort()
            await toggling
          }
        },
      },
      {
        alert: 'GatewayWorkerRestarting',
        cause: 'one of two workers is killed',
        place: new URL(withWorkers.opsUrl).host,
        provoke: async () => {
          await killWorker(withWorkers)
          return async () => undefined
        },
      },
      {
        alert: 'GatewayRestarting',
        cause: 'a gateway is killed and started again and again',
        place,
        provoke: async () => {
          const stopping = new AbortController()
          const restarting = (async () => {
            for (let i = 0; i < MAX_RESTARTS && !stopping.signal.aborted; i++) {
              await gateway.kill()
              await startAgain()
              // Prometheus sees each of them: it scrapes every 600 ms here.
              await delay(1_500)
            }
          })()
          return async () => {
            stopping.abort()
            await restarting
          }
        },
      },
    ],
  }
}

/** As the kernel does when there is no memory left. */
async function killWorker({ opsUrl }: RunningGateway): Promise<void> {
  const { workers } = (await (await fetch(`${opsUrl}/status`)).json()) as {
    workers: { running: readonly { readonly pid: number }[] }
  }
  const pid = workers.running[0]?.pid
  if (pid === undefined) throw new Error('no worker runs')
  process.kill(pid, 'SIGKILL')
}
