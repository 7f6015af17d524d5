import { createServer } from 'node:http'
import { ANSWER, LARGE_ANSWERS } from './answers.ts'
import { listen } from './listen.ts'

/** A minimal upstream in Node: 200 and a prepared body for every request. */
const bodies = new Map(Object.entries(LARGE_ANSWERS).map(([path, bytes]) => [path, Buffer.alloc(bytes, 'x')]))
const small = Buffer.from(ANSWER)

listen(
  createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
    const body = bodies.get(request.url ?? '') ?? small
    response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(body.length)])
    request.resume()
    response.end(body)
  }),
)
