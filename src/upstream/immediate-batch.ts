/**
 * Does something to each of many at the end of the turn of the event loop in which they came: one immediate for all of them,
 * where each would need a callback of its own. Most of them no longer need it by then.
 */
export class ImmediateBatch<Item> {
  readonly #act: (item: Item) => void
  #items: Item[] = []

  constructor(act: (item: Item) => void) {
    this.#act = act
  }

  add(item: Item): void {
    if (this.#items.push(item) === 1) setImmediate(onTurnEnd<Item>, this)
  }

  end(): void {
    const items = this.#items
    this.#items = []
    for (const item of items) this.#act(item)
  }
}

function onTurnEnd<Item>(turn: ImmediateBatch<Item>): void {
  turn.end()
}
