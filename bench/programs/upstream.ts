import { createServer } from 'node:http'
import { listen } from './listen.ts'

/** The smallest upstream there is: 200 and about 200 bytes of JSON, whatever is asked. */
const BODY = Buffer.from(
  JSON.stringify({
    id: 'ord_7h2k9',
    status: 'shipped',
    customer: 'cus_41c8',
    total: { amount: 129_900, currency: 'EUR' },
    items: [
      { sku: 'A-1001', quantity: 2 },
      { sku: 'B-2040', quantity: 1 },
    ],
    createdAt: '2026-01-01T00:00:00Z',
  }),
)
const HEADERS = ['Content-Type', 'application/json', 'Content-Length', String(BODY.length)]

listen(
  createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
    response.writeHead(200, HEADERS)
    response.end(BODY)
  }),
)
