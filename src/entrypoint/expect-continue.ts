import type { IncomingMessage } from 'node:http'

/** Requests whose client waits for `100 Continue`. */
const expecting = new WeakSet<IncomingMessage>()

export function noteExpectation(request: IncomingMessage): void {
  expecting.add(request)
}

export function expectsContinue(request: IncomingMessage): boolean {
  return expecting.has(request)
}
