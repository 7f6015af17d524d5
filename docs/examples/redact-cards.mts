import { Transform } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { definePolicy, z } from 'myesi-gateway'

/** Digits that may be a card number, and longest such number. */
const CARD = /\b\d{13,19}\b/g
const LONGEST = 19
const TEXT = /^(?:text\/|application\/(?:.*\+)?json)/

/** Masks card numbers in text and JSON, while the body streams. */
export default definePolicy({
  name: 'redact-cards',
  schema: z.strictObject({ mask: z.string().default('[card]') }),
  describe: () => 'card numbers are masked',
  create: ({ mask }) => ({
    onAttempt(_context, { fields }) {
      // A compressed body could not be read, and a part of one would show a number that is cut in two.
      for (let i = fields.length - 2; i >= 0; i -= 2) {
        if (['accept-encoding', 'range', 'if-range'].includes(fields[i] ?? '')) fields.splice(i, 2)
      }
    },
    onBody(context, { fields }) {
      const field = (wanted: string): string => {
        const at = fields.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === wanted)
        return at < 0 ? '' : (fields[at + 1] ?? '')
      }
      if (!TEXT.test(field('content-type'))) return undefined
      // An upstream that compresses unasked: better no body than one that nobody has looked at.
      if (field('content-encoding') !== '') throw new Error('the response is compressed')
      return redact(mask, () => context.count('acme.cards.redacted'))
    },
  }),
})

function redact(mask: string, onCard: () => void): Transform {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const masked = (text: string): string =>
    text.replace(CARD, () => {
      onCard()
      return mask
    })
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = rest + decoder.write(chunk)
      // A number at the end may continue in the next chunk. What is longer than a number is none, and need not wait.
      const tail = /\w+$/.exec(text)?.[0] ?? ''
      const waits = tail.length > LONGEST ? '' : tail
      rest = waits
      done(null, masked(text.slice(0, text.length - waits.length)))
    },
    flush(done) {
      done(null, masked(rest + decoder.end()))
    },
  })
}
