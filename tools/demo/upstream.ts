import { createServer, type Server } from 'node:http'
import type { Answer } from './answer'
import {
  answerBytes,
  answerDelayed,
  answerEcho,
  answerEvents,
  answerFailing,
  answerStatus,
  answerStream,
} from './answers'

/** Path's first segment to what answers it. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  status: answerStatus,
  delay: answerDelayed,
  stream: answerStream,
  sse: answerEvents,
  echo: answerEcho,
  bytes: answerBytes,
  fail: answerFailing,
  reset: request => void request.socket.resetAndDestroy(),
}

/**
 * A small upstream to try the gateway on: it answers, fails, stalls and streams as the path asks (`/status/503`,
 * `/delay/800`, `/stream?chunks=5&interval=200`, `/sse`, `/echo`, `/bytes/1000000`, `/fail?rate=0.5`, `/reset`); any other path
 * is answered with 200 and what arrived.
 */
export function createDemoUpstream(): Server {
  return createServer((request, response) => {
    const [path = '', query = ''] = (request.url ?? '/').split('?', 2)
    const [, name = '', argument = ''] = path.split('/')
    const answer = Object.hasOwn(ANSWERS, name) ? ANSWERS[name]! : answerEcho
    // A client that left in the middle of a stream is no reason for this process to end.
    Promise.resolve(answer(request, response, argument, new URLSearchParams(query))).catch(() => response.destroy())
  })
}

/** Lets what is under way finish, for `timeoutMs` at the most. */
export async function closeDemoUpstream(server: Server, timeoutMs = 2_000): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
