import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { StandardOutput } from '../../../src/telemetry/standard-output'
import { temporaryFolder } from '../../support/temporary-folder'
import { until } from '../../support/until'

/** Bytes that a pipe of Linux holds. */
const PIPE_BYTES = 65_536

describe('log lines for standard output', function () {
  let reader: number
  let writer: number
  let recovered: [number, string][]
  let output: StandardOutput

  before(function () {
    if (process.platform !== 'linux') this.skip()
  })
  beforeEach(() => {
    const path = join(temporaryFolder(), 'output')
    execFileSync('mkfifo', [path])
    reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    recovered = []
    output = new StandardOutput({
      fd: writer,
      errorFd: openSync('/dev/null', 'w'),
      maxBufferedBytes: 100_000,
      onRecovered: (...lost) => recovered.push(lost),
    })
  })
  afterEach(() => {
    closeSync(writer)
    closeSync(reader)
  })

  function drain(): string {
    const buffer = Buffer.alloc(1 << 20)
    try {
      return buffer.toString('utf8', 0, readSync(reader, buffer))
    } catch {
      return ''
    }
  }

  it('are written in their order', async () => {
    for (let i = 0; i < 100; i++) output.write(`${i}\n`)
    await output.flush(1_000)
    assert.equal(drain(), Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
  })

  it('keep their order and every character, whatever their number and length', async () => {
    const big = new StandardOutput({ fd: writer, errorFd: openSync('/dev/null', 'w'), onRecovered: () => undefined })
    const lines = [
      ...Array.from({ length: 2_000 }, (_, i) => `${i} ${'€ ü 😀 '.repeat(i % 20)}\n`),
      `${'ü'.repeat(30_000)}\n`,
      `${'x'.repeat(200_000)}\n`,
      '\ud800 a lone surrogate\n',
      'the last\n',
    ]
    for (const line of lines) big.write(line)
    const expected = Buffer.from(lines.join('')).toString()
    const chunks: Buffer[] = []
    const flushed = big.flush(10_000)
    await until(
      () => {
        const buffer = Buffer.alloc(1 << 20)
        try {
          chunks.push(buffer.subarray(0, readSync(reader, buffer)))
        } catch {
          // The pipe is empty.
        }
        return Buffer.concat(chunks).length >= Buffer.byteLength(expected)
      },
      { what: 'all lines are read' },
    )
    await flushed
    assert.equal(Buffer.concat(chunks).toString(), expected)
  })

  it('wait for a slow reader up to a bound, then are dropped; the rest arrives whole', async () => {
    const line = `${'x'.repeat(999)}\n`
    for (let batch = 0; batch < 20; batch++) {
      for (let i = 0; i < 20; i++) output.write(line)
      await output.flush(1)
    }
    let read = ''
    await until(
      () => {
        read += drain()
        return recovered.length > 0
      },
      { what: 'the reader has caught up' },
    )
    await output.flush(1_000)
    read += drain()
    assert.equal(recovered[0]?.[1], 'slow_reader')
    assert.ok(recovered[0][0] >= 200, `${recovered[0][0]} lines lost`)
    assert.ok(read.length <= PIPE_BYTES + 100_000, `${read.length} bytes kept`)
    assert.ok(read.split('\n').every(found => found === '' || found.length === 999))
  })
})
