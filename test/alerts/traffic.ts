import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What the upstream does is in the path. */
export const behave: RequestListener = (request, response) => {
  const url = request.url ?? ''
  // Every n-th request, so that the share holds from the first minute on.
  const isChosen = (kind: string): boolean => {
    const share = Number(new RegExp(`/${kind}-([\\d.]+)`).exec(url)?.[1] ?? 0) / 100
    const place = (countOf.get(url) ?? 0) + (kind === 'slow' ? 0.5 / (share || 1) : 0)
    return share > 0 && Math.floor(place * share) !== Math.floor((place - 1) * share)
  }
  countOf.set(url, (countOf.get(url) ?? 0) + 1)
  if (url.includes('/spike')) return void response.writeHead((countOf.get(url) ?? 0) % 2 === 0 ? 500 : 200).end()
  if (url.includes('/leak') && (countOf.get(url) ?? 0) % 33 === 0) return void response.writeHead(500).end()
  if (isChosen('faults')) return void response.writeHead(500).end()
  if (isChosen('slow')) return void setTimeout(() => response.end(), 400)
  if (url.includes('/very-slow')) return void setTimeout(() => response.end(), 1_200)
  if (url.includes('/slowly')) return void setTimeout(() => response.end(), 200)
  response.end()
}
const countOf = new Map<string, number>()

/** @returns what ends it, once the last answer is there */
export function keepSending(url: string, everyMs: number, parallel: number): () => Promise<void> {
  const stopping = new AbortController()
  const sender = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await fetch(url)
        .then(async response => response.arrayBuffer())
        .catch(() => undefined)
      await delay(everyMs)
    }
  }
  const senders = Array.from({ length: parallel }, sender)
  return async () => {
    stopping.abort()
    await Promise.all(senders)
  }
}

/** Connections to Redis that are open and idle; those that it refuses are opened again. */
export function holdConnections(port: number, number: number): () => Promise<void> {
  let isOver = false
  const sockets = new Set<Socket>()
  const open = (): void => {
    if (isOver) return
    const socket = connect(port, '127.0.0.1')
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      if (!isOver) setTimeout(open, 1_000)
    })
  }
  for (let i = 0; i < number; i++) open()
  return async () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
}
