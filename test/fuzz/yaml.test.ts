import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { fuzz, SEED, TIMEOUT_MS } from './settings'
import { shrink } from './shrink'
import { mutateYaml } from './yaml-mutations'
import type { Checked } from './yaml-worker'

const ROUNDS = 250
const PARSED_WITHIN_MS = 2_000
/** A worker that says nothing for so long hangs, or the machine does. */
const ANSWERED_WITHIN_MS = 10_000

/** The example without the keys of files that are not here, and with targets that need no name server. */
function exampleFile(): string {
  const text = readFileSync(join(__dirname, '../../../docs/gateway.example.yaml'), 'utf8')
  return (
    text
      .replace(/^ {2}tls:[^]*?(?=^#|^\S)/m, '\n')
      .replace(/^ {4}tls:\n(?: {6}.*\n)+/m, '')
      .replace(/^ {4}(?:apiKeys|users):.*\n/gm, '')
      // Without TLS no client has a certificate.
      .replace(/^ +(?:certificates: \[\w|certificate: true).*\n/gm, '')
      .replace(/^include:.*\n/m, '')
      .replace('${AFFINITY_SECRET}', 'a secret of more than thirty-two characters')
      .replace(/https?:\/\/(?:10[\d.]+|web-.\.internal):\d+/g, 'http://127.0.0.1:1')
      .replace('targets: [http://127.0.0.1:1, http://127.0.0.1:1]', 'targets: [http://127.0.0.1:1, http://127.0.0.1:2]')
      .replace('- http://127.0.0.1:1', '- http://127.0.0.1:2')
  )
}

describe('a changed gateway.yaml', function () {
  this.timeout(TIMEOUT_MS)
  let worker: Worker
  before(() => (worker = new Worker(join(__dirname, 'yaml-worker.js'))))
  after(async () => {
    await worker.terminate()
  })

  it('is refused with a line for each problem, or can be served', async () => {
    const example = exampleFile()
    assert.deepEqual(await check(example), { accepted: true, fault: undefined }, 'the file to change')
    let accepted = 0
    const rounds = await fuzz(ROUNDS, async (random, number) => {
      const text = mutateYaml(example, random)
      const checked = await check(text)
      if (checked.accepted) accepted++
      if (checked.fault === undefined) return
      const minimal = await shrink(
        text,
        async shorter => (await check(shorter)).fault?.slice(0, 20) === checked.fault?.slice(0, 20),
      )
      assert.fail(`${checked.fault}\nseed ${SEED}, round ${number}, minimal file:\n${JSON.stringify(minimal)}`)
    })
    assert.ok(accepted > 0 && accepted < rounds, `${accepted} of ${rounds} files were taken`)
  })

  async function check(text: string): Promise<Omit<Checked, 'ms'>> {
    const hang = new AbortController()
    try {
      const { ms, accepted, fault } = await Promise.race([answer(text), silence(hang.signal)])
      return { accepted, fault: fault ?? (ms > PARSED_WITHIN_MS ? `took ${Math.round(ms)} ms` : undefined) }
    } catch (error) {
      await worker.terminate()
      worker = new Worker(join(__dirname, 'yaml-worker.js'))
      return { accepted: false, fault: (error as Error).message }
    } finally {
      hang.abort()
    }
  }

  async function answer(text: string): Promise<Checked> {
    const asked = worker
    const over = new AbortController()
    try {
      const ended = once(asked, 'exit', over).then(([code]) => Promise.reject(new Error(`ended with ${String(code)}`)))
      const message = once(asked, 'message', over)
      message.catch(() => undefined)
      ended.catch(() => undefined)
      asked.postMessage(text)
      const [checked] = (await Promise.race([message, ended])) as [Checked]
      return checked
    } finally {
      over.abort()
    }
  }
})

async function silence(over: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no word for ${ANSWERED_WITHIN_MS} ms`)), ANSWERED_WITHIN_MS)
    over.addEventListener('abort', () => clearTimeout(timer))
  })
}
