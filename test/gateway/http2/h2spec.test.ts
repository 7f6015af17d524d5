import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { findH2spec } from '../../../tools/stack/h2spec'
import { createAuthority } from '../../support/certificates'
import { needsFound } from '../../support/needs'
import { proxyTo, startPipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { temporaryFolder } from '../../support/temporary-folder'

/** Cases of h2spec, which tests RFC 7540. */
const CASES = 145

/** Cases that fail on both ports. Their reasons are in docs/protocols.md. */
const FAILING = [
  '5.1 Sends a DATA frame after sending RST_STREAM frame',
  '5.1 Sends a HEADERS frame after sending RST_STREAM frame',
  '5.1 Sends a DATA frame',
  '5.1 Sends a HEADERS frame',
  '5.1.1 Sends stream identifier that is numerically smaller than previous',
  '5.3.1 Sends PRIORITY frame that depend on itself',
  '6.3 Sends a PRIORITY frame with 0x0 stream identifier',
  '6.7 Sends a PING frame with ACK',
  '6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream',
]
/** The port without TLS speaks HTTP/1.1, too. */
const FAILING_WITHOUT_TLS = ['3.5 Sends invalid connection preface']

describe('conformance with HTTP/2 by h2spec', function () {
  this.timeout(240_000)

  let upstream: RunningUpstream
  let h2spec: string

  before(needsFound(findH2spec))
  before(async () => {
    h2spec = await findH2spec()
    upstream = await startUpstream()
  })
  after(async () => {
    await upstream?.stop()
  })

  /** Runs all cases. @returns those that fail, in their order */
  async function run(port: number, options: readonly string[], timeoutS: number): Promise<string[]> {
    const report = join(temporaryFolder(), 'report.xml')
    const args = ['--host=127.0.0.1', `--port=${port}`, '--path=/app', `--timeout=${timeoutS}`]
    const child = spawn(h2spec, [...args, `--junit-report=${report}`, ...options], {
      stdio: 'ignore',
      timeout: 100_000,
    })
    await once(child, 'exit')
    const xml = readFileSync(report, 'utf8')
    const cases = [...xml.matchAll(/<testcase package="[^"/]+\/([^"]+)" classname="([^"]+)"[^>]*>(.*?)<\/testcase>/gs)]
    assert.equal(cases.length, CASES)
    const failed = cases.filter(([, , , body]) => /<(?:failure|error)/.test(body as string))
    return failed.map(([, section, title]) => `${section} ${(title as string).replace(/^closed: /, '')}`)
  }

  /**
   * Cases that fail wait for the whole timeout, so the first run has a short one. On a busy machine the answer to one frame
   * may come after the next: a case fails if it does so in each of three runs.
   */
  async function assertFailing(port: number, options: readonly string[], expected: readonly string[]): Promise<void> {
    let failed = await run(port, options, 1)
    for (let again = 0; again < 2 && !isDeepStrictEqual(failed, expected); again++) {
      const later = new Set(await run(port, options, 4))
      failed = failed.filter(one => later.has(one))
    }
    assert.deepEqual(failed, expected)
  }

  it('fails in the cases that docs/protocols.md lists', () => {
    const page = readFileSync(resolve(__dirname, '../../../../docs/protocols.md'), 'utf8')
    const listed = [...page.matchAll(/^\| (\d+(?:\.\d+)+ Sends [^|]+) \|/gm)].map(([, title]) => title)
    assert.deepEqual(listed, [...FAILING_WITHOUT_TLS, ...FAILING])
  })

  it('fails in the documented cases only, with TLS', async () => {
    const { certFile: cert, keyFile: key } = createAuthority('Test Authority').issue('localhost')
    const pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls: { cert, key } } }))
    await assertFailing(pipeline.port, ['--tls', '--insecure'], FAILING)
    await pipeline.stop()
  })

  it('fails in the documented cases only, without TLS', async () => {
    const pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } }))
    await assertFailing(pipeline.port, [], [...FAILING_WITHOUT_TLS, ...FAILING])
    await pipeline.stop()
  })
})
