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

/** Handlers by the path's first segment. */
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
 * A small upstream for trying out the gateway: the path selects whether it answers, fails, stalls or streams
 * (`/status/503`, `/delay/800`, `/stream?chunks=5&interval=200`, `/sse`, `/echo`, `/bytes/1000000`, `/fail?rate=0.5`,
 * `/reset`); any other path returns 200 and the received request.
 */
export function createDemoUpstream(): Server {
  return createServer((request, response) => {
    const [path = '', query = ''] = (request.url ?? '/').split('?', 2)
    const [, name = '', argument = ''] = path.split('/')
    const answer = Object.hasOwn(ANSWERS, name) ? ANSWERS[name]! : answerEcho
    // A client that disconnects in the middle of a stream must not end this process.
    Promise.resolve(answer(request, response, argument, new URLSearchParams(query))).catch(() => response.destroy())
  })
}

/** Lets requests in flight finish, for at most `timeoutMs`. */
export async function closeDemoUpstream(server: Server, timeoutMs = 2_000): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
