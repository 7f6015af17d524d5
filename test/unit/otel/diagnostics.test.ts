import assert from 'node:assert/strict'
import { Diagnostics } from '../../../otel/sdk/diagnostics'
import type { Diagnostic } from '../../../otel/sdk/telemetry'

/** Diagnostics with a clock that only moves when told to, and everything that was delivered. */
function withSink(): { diagnostics: Diagnostics; delivered: Diagnostic[]; pass: (milliseconds: number) => void } {
  let now = 0
  const diagnostics = new Diagnostics(() => now)
  const delivered: Diagnostic[] = []
  diagnostics.onDiagnostic(diagnostic => delivered.push(diagnostic))
  return { diagnostics, delivered, pass: milliseconds => void (now += milliseconds) }
}

describe('diagnostics of the SDK', () => {
  it('wait for a sink, in order', () => {
    const diagnostics = new Diagnostics()
    diagnostics.say('warn', 'first')
    diagnostics.logger.error('second')
    const delivered: Diagnostic[] = []
    diagnostics.onDiagnostic(diagnostic => delivered.push(diagnostic))
    diagnostics.logger.verbose('third')
    assert.deepEqual(delivered, [
      { level: 'warn', message: 'first' },
      { level: 'error', message: 'second' },
      { level: 'debug', message: 'third' },
    ])
  })

  it('wait in a bounded number, the newest of them', () => {
    const diagnostics = new Diagnostics()
    for (let count = 0; count < 1_000; count++) diagnostics.say('warn', `message ${letters(count)}`)
    const delivered: Diagnostic[] = []
    diagnostics.onDiagnostic(diagnostic => delivered.push(diagnostic))
    assert.equal(delivered.length, 100)
    assert.equal(delivered.at(-1)?.message, `message ${letters(999)}`)
  })

  it('say the same at most once a minute, and how often it was not said', () => {
    const { diagnostics, delivered, pass } = withSink()
    for (let count = 0; count < 5; count++) {
      diagnostics.say('error', 'export failed', [new Error(`connect ECONNREFUSED 127.0.0.1:431${count}`)])
      pass(10_000)
    }
    pass(10_000)
    diagnostics.say('error', 'export failed', [new Error('connect ECONNREFUSED 127.0.0.1:4318')])
    assert.deepEqual(
      delivered.map(diagnostic => diagnostic.message),
      [
        'export failed Error: connect ECONNREFUSED 127.0.0.1:4310',
        'export failed Error: connect ECONNREFUSED 127.0.0.1:4318 (and 4 more like it)',
      ],
    )
  })

  it('tell different messages and levels apart', () => {
    const { diagnostics, delivered } = withSink()
    diagnostics.say('error', 'a')
    diagnostics.say('warn', 'a')
    diagnostics.say('error', 'b')
    assert.equal(delivered.length, 3)
  })

  it('count every error, said or not', () => {
    const { diagnostics } = withSink()
    diagnostics.say('error', 'a')
    diagnostics.say('error', 'a')
    diagnostics.say('warn', 'a')
    assert.equal(diagnostics.errors, 2)
  })

  it('put an error into one line', () => {
    const { diagnostics, delivered } = withSink()
    const refused = new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')])
    diagnostics.say('error', 'lost', [refused, { code: 14 }, new TypeError('')])
    assert.equal(delivered[0]?.message, 'lost Error: connect ::1; Error: connect 127.0.0.1 { code: 14 } TypeError')
  })

  it('survive a sink that throws', () => {
    const diagnostics = new Diagnostics()
    diagnostics.onDiagnostic(() => {
      throw new Error('disk full')
    })
    diagnostics.say('error', 'a')
  })
})

/** A number in letters, since digits do not make a message another one. */
function letters(number: number): string {
  return String(number).replace(/\d/g, digit => String.fromCharCode(97 + Number(digit)))
}
