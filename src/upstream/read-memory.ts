/** Smaller chunks are left to V8. Node never cuts a buffer of this size from memory that it shares between buffers. */
const LEAST_BYTES = Math.max(32_768, Buffer.poolSize >>> 1)

/**
 * Frees the memory of the network read that ends with this chunk. Call it only when nobody uses the chunk or earlier bytes
 * of the same read any more: neither this process nor a write that the system has not finished.
 *
 * Node allocates 64 KiB outside V8's heap for each read, and V8 collects its whole heap after every 64 MiB of them: after
 * sixty responses of 1 MiB. Freed memory does not count, and the next read gets a block that is still in the caches of
 * the processor.
 */
export function freeRead({ buffer, byteOffset, byteLength }: Buffer): void {
  const isEndOfRead = byteOffset + byteLength === buffer.byteLength
  if (byteLength >= LEAST_BYTES && isEndOfRead && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** Whether {@link freeRead} can free the memory of the chunk later. */
export function isLargeRead(chunk: Buffer): boolean {
  return chunk.length >= LEAST_BYTES
}
