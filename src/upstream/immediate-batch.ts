/**
 * Runs an action on each item at the end of the event-loop turn in which it was added. One immediate serves all items,
 * which is cheaper than a callback for each; most of them no longer need the action by then.
 */
export class ImmediateBatch<Item> {
  readonly #act: (item: Item) => void
  #items: Item[] = []

  constructor(act: (item: Item) => void) {
    this.#act = act
  }

  add(item: Item): void {
    if (this.#items.push(item) === 1) setImmediate(runBatch<Item>, this)
  }

  end(): void {
    const items = this.#items
    this.#items = []
    for (const item of items) this.#act(item)
  }
}

function runBatch<Item>(batch: ImmediateBatch<Item>): void {
  batch.end()
}
