import assert from 'node:assert/strict'
import { Diagnostics } from '../../../otel/sdk/diagnostics'
import { shutdownAll } from '../../../otel/sdk/shutdown'

const NEVER = new Promise<void>(() => {})

describe('shutting telemetry down', () => {
  it('resolves with true when everything was sent', async () => {
    assert.equal(await shutdownAll([{ shutdown: async () => {} }], 1_000, new Diagnostics()), true)
  })

  it('waits for the others when one fails, and resolves with false', async () => {
    let sent = false
    const slow = async (): Promise<void> => {
      await new Promise(resolve => setImmediate(resolve))
      sent = true
    }
    const parts = [{ shutdown: () => Promise.reject(new Error('refused')) }, { shutdown: slow }]
    assert.equal(await shutdownAll(parts, 1_000, new Diagnostics()), false)
    assert.equal(sent, true)
  })

  it('resolves with false when a part only reports its failure', async () => {
    const diagnostics = new Diagnostics()
    const reader = async (): Promise<void> => diagnostics.say('error', 'metrics export failed')
    assert.equal(await shutdownAll([{ shutdown: reader }], 1_000, diagnostics), false)
  })

  it('gives up after the time it was given', async () => {
    const before = performance.now()
    assert.equal(await shutdownAll([{ shutdown: () => NEVER }], 50, new Diagnostics()), false)
    assert.ok(performance.now() - before < 5_000)
  })

  it('survives a part that throws instead of rejecting', async () => {
    const broken = (): Promise<void> => {
      throw new Error('not a promise')
    }
    assert.equal(await shutdownAll([{ shutdown: broken }], 1_000, new Diagnostics()), false)
  })
})
