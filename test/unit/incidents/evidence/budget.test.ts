import assert from 'node:assert/strict'
import { budgetInWords, findBudget } from '../../../../src/incidents/evidence/budget'
import type { Sample } from '../../../../src/incidents/evidence/prometheus'
import { alertOf, NOW } from '../record/alerts'

const WINDOW = { startMs: NOW - 1_200_000, endMs: NOW }

describe('the error budget that an incident costs', () => {
  const prometheus = (answers: Readonly<Record<string, number>>) => ({
    async query(expression: string, timeMs: number): Promise<Sample[]> {
      const [found] = Object.entries(answers).filter(([part]) => expression.includes(part))
      if (found === undefined) return []
      const isCounter = found[0] === 'gateway_requests_total'
      return [{ labels: {}, value: isCounter && timeMs === WINDOW.startMs ? 0 : found[1] }]
    },
  })
  const RULES = {
    'slo:objective:ratio': 0.999,
    slo_error_budget_remaining: 0.63,
    // Recorded every four minutes over five: a million requests, of which a thousand may fail.
    'slo_requests:increase5m': 1_250_000,
    gateway_requests_total: 120,
  }

  it('is what failed of what may fail, in words', async () => {
    const budget = await findBudget(alertOf(), WINDOW, prometheus(RULES), AbortSignal.timeout(1_000))
    assert.ok(budget)
    assert.equal(
      budgetInWords(budget, WINDOW.endMs - WINDOW.startMs),
      '12 % of the 30-day error budget in 20 minutes, 63 % is left',
    )
    assert.match(budgetInWords({ spent: 2, left: -1 }, 60_000), /200 % .* in 1 minute, none is left/)
  })

  it('is what was slow of what may be slow, for an alert about latency', async () => {
    const slow = { 'slo_bad_requests:increase5m': 25_000, ...RULES, 'slo:objective:ratio': 0.9 }
    const asked: string[] = []
    const recording = {
      query: async (expression: string, timeMs: number): Promise<Sample[]> => {
        asked.push(expression)
        return prometheus(slow).query(expression, timeMs)
      },
    }
    const budget = await findBudget(alertOf({ family: 'latency' }), WINDOW, recording, AbortSignal.timeout(1_000))
    assert.ok(budget)
    // 20,000 of the 100,000 requests that may be slow.
    assert.equal(budgetInWords(budget, 1_200_000), '20 % of the 30-day error budget in 20 minutes, 63 % is left')
    assert.ok(
      asked.every(expression => expression.includes('slo="latency"')),
      asked.join('\n'),
    )
    assert.ok(
      asked.some(expression => expression.includes('[1200s]')),
      asked.join('\n'),
    )
  })

  it('is counted over the window of the objective, which the message names', async () => {
    const asked: string[] = []
    const weekly = {
      query: async (expression: string, timeMs: number): Promise<Sample[]> => {
        asked.push(expression)
        return prometheus({ 'slo:objective_window:days': 7, ...RULES }).query(expression, timeMs)
      },
    }
    const budget = await findBudget(alertOf(), WINDOW, weekly, AbortSignal.timeout(1_000))
    assert.ok(budget)
    assert.equal(budgetInWords(budget, 1_200_000), '12 % of the 7-day error budget in 20 minutes, 63 % is left')
    assert.ok(
      asked.some(expression => expression.includes('slo_requests:increase5m') && expression.includes('[7d]')),
      asked.join('\n'),
    )
  })

  it('is counted over whole hours for a window of part of a day: Prometheus takes no 7.5d', async () => {
    const asked: string[] = []
    const half = {
      query: async (expression: string, timeMs: number): Promise<Sample[]> => {
        asked.push(expression)
        return prometheus({ 'slo:objective_window:days': 7.5, ...RULES }).query(expression, timeMs)
      },
    }
    const budget = await findBudget(alertOf(), WINDOW, half, AbortSignal.timeout(1_000))
    assert.match(budgetInWords(budget!, 1_200_000), /of the 7\.5-day error budget/)
    assert.ok(
      asked.some(expression => expression.includes('[180h]')),
      asked.join('\n'),
    )
  })

  it('is not there without an objective, and not asked for about something else', async () => {
    assert.equal(await findBudget(alertOf(), WINDOW, prometheus({}), AbortSignal.timeout(1_000)), undefined)
    const failing = { query: () => Promise.reject(new Error('asked')) }
    assert.equal(
      await findBudget(alertOf({ family: 'refusals' }), WINDOW, failing, AbortSignal.timeout(1_000)),
      undefined,
    )
  })
})
