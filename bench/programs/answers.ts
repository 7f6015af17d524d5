/** The answer of the upstream, whichever program it is. */
export const ANSWER = JSON.stringify({
  id: 'ord_7h2k9',
  status: 'shipped',
  customer: 'cus_41c8',
  total: { amount: 129_900, currency: 'EUR' },
  items: [
    { sku: 'A-1001', quantity: 2 },
    { sku: 'B-2040', quantity: 1 },
  ],
  createdAt: '2026-01-01T00:00:00Z',
})

/** Body sizes by path; every other path returns `ANSWER`. */
export const LARGE_ANSWERS: Readonly<Record<string, number>> = { '/100k': 100 * 1024, '/1m': 1024 * 1024 }
