import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { ManagedProcess, type ProcessCommand } from './managed-process'

/** How to start one program of the stack, and how to check that it is ready. */
export interface ComponentPlan extends ProcessCommand {
  /** Its address, for people. */
  readonly address: string
  /** False, or rejects, until it is ready. */
  isReady(): Promise<boolean>
}

/** Limit far above the usual start-up time, so that only a defect reaches it. */
const READY_TIMEOUT_MS = 30_000

/**
 * Starts a program and waits until it is ready.
 *
 * @param started called before it is ready, so that the caller can end it if this fails
 * @throws if it ends or times out before it is ready, with its last lines
 */
export async function startComponent(
  plan: ComponentPlan,
  started: (child: ManagedProcess) => void = () => {},
): Promise<ManagedProcess> {
  const child = new ManagedProcess(plan)
  started(child)
  await untilReady(child, plan)
  return child
}

/** Waits until a started program is ready. */
export async function untilReady(child: ManagedProcess, plan: ComponentPlan): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (!(await plan.isReady().catch(() => false))) {
    if (child.exit !== undefined) throw child.failure('ended before it was ready')
    if (Date.now() > deadline) throw child.failure(`not ready within ${READY_TIMEOUT_MS / 1000} s`)
    await delay(50)
  }
}

/** Whether a GET is answered with 2xx within a second. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1_000) })
  await response.body?.cancel()
  return response.ok
}

/** Whether a Redis answers PING within a second. */
export async function pongs(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 })
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', data => {
      socket.destroy()
      resolve(data.toString().startsWith('+PONG'))
    })
    socket.once('timeout', () => socket.destroy(new Error('no answer')))
    socket.once('error', reject)
  })
}
