import assert from 'node:assert/strict'
import { BURN_ALERTS, burnFactor, forecast } from '../../../src/slo/burn-rates'
import type { Objective } from '../../../src/slo/objectives'

const DAY_MS = 86_400_000
const OBJECTIVE: Objective = {
  route: '/orders',
  slo: 'availability',
  target: 99.9,
  thresholdS: undefined,
  windowMs: 30 * DAY_MS,
}

describe('burn rates', () => {
  it('are those of the SRE workbook for 30 days', () => {
    assert.deepEqual(
      BURN_ALERTS.map(alert => burnFactor(alert, OBJECTIVE)),
      [14.4, 6, 3, 1],
    )
  })

  it('follow the window', () => {
    const [first] = BURN_ALERTS
    assert.equal(burnFactor(first as (typeof BURN_ALERTS)[0], { windowMs: 7 * DAY_MS }), 3.36)
  })
})

describe('forecast of a constant error rate', () => {
  it('says when 2 % errors page against 99.9 %, and what is spent by then', () => {
    const { burnRate, page } = forecast(OBJECTIVE, 0.02)
    assert.equal(Math.round(burnRate), 20)
    assert.equal(page?.afterMinutes.toFixed(1), '43.2')
    assert.equal(page?.budgetSpent.toFixed(3), '0.020')
  })

  it('pages later, by the longer window, for a slower burn', () => {
    const { page } = forecast(OBJECTIVE, 0.01)
    assert.equal(page?.afterMinutes.toFixed(0), '216')
    assert.equal(page?.budgetSpent.toFixed(3), '0.050')
  })

  it('makes a ticket of what burns too slowly for a page', () => {
    const { page, ticket } = forecast(OBJECTIVE, 0.004)
    assert.equal(page, undefined)
    assert.equal(ticket?.afterMinutes.toFixed(0), '1080')
  })

  it('tells nobody while the budget lasts', () => {
    assert.deepEqual(forecast(OBJECTIVE, 0.0009), {
      burnRate: forecast(OBJECTIVE, 0.0009).burnRate,
      page: undefined,
      ticket: undefined,
    })
  })
})
