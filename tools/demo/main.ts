import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { closeDemoUpstream, createDemoUpstream } from './upstream'

/** The demo upstream as a process: `node dist/tools/demo/main.js --port 9001 --host 127.0.0.1`. */
const { values } = parseArgs({
  options: { port: { type: 'string', default: '9001' }, host: { type: 'string', default: '127.0.0.1' } },
})

const server = createDemoUpstream()

server.once('error', error => {
  process.stderr.write(`The demo upstream cannot listen on ${values.host}:${values.port}: ${error.message}\n`)
  process.exit(71)
})

server.listen(Number(values.port), values.host, () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ event: 'listening', name: 'demo upstream', port })}\n`)
  process.send?.({ event: 'listening', port })
})

let stopping = false

function stop(): void {
  if (stopping) return
  stopping = true
  void closeDemoUpstream(server).then(() => process.exit(0))
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
// The parent is gone, perhaps without a signal.
process.once('disconnect', stop)
