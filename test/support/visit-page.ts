import assert from 'node:assert/strict'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

export const DESKTOP: BrowserContextOptions = { viewport: { width: 1100, height: 800 } }
export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
}

export interface Visit {
  readonly browser: Browser
  /** The service, without a slash at the end. */
  readonly url: string
  readonly path: string
  readonly options: BrowserContextOptions
  /** Default 200. */
  readonly status?: number
}

/** Opens a page and sees to it that the browser has nothing to complain about, and asks nobody else for anything. */
export async function visitPage(visit: Visit, look: (page: Page) => Promise<void>): Promise<void> {
  const { browser, url, path, options, status = 200 } = visit
  const context = await browser.newContext(options)
  try {
    const page = await context.newPage()
    const complaints: string[] = []
    const asked: string[] = []
    page.on('console', message => complaints.push(message.text()))
    page.on('pageerror', error => complaints.push(error.message))
    page.on('dialog', dialog => complaints.push(dialog.message()))
    page.on('request', request => asked.push(request.url()))
    const response = await page.goto(url + path, { waitUntil: 'load' })
    assert.equal(response?.status(), status)
    await look(page)
    assert.deepEqual(
      complaints.filter(text => status === 200 || !text.includes(String(status))),
      [],
    )
    assert.deepEqual(
      asked.filter(address => !address.startsWith(url) && !address.startsWith('data:image/svg+xml,')),
      [],
    )
  } finally {
    await context.close()
  }
}

/** Pixels that the page is wider than the window. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')
}

const ELEMENTS =
  'html head meta title link style body main nav header h1 h2 h3 p span a ul ol li section figure figcaption ' +
  'svg rect line path circle text g desc table thead tbody tr th td strong small code details summary div dl dt dd time footer'

/**
 * What has no place in a page of ours, and what ran.
 *
 * @param elements more that this page is made of
 * @param links what the address of a link looks like
 */
export async function strangers(page: Page, links: RegExp, elements: readonly string[] = []): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const found = 'taken' in window ? ['a script ran'] : []
    const known = ${JSON.stringify([...ELEMENTS.split(' '), ...elements])}
    for (const element of document.querySelectorAll('*')) {
      if (!known.includes(element.localName)) found.push(element.localName)
      for (const { name } of element.attributes) if (name.startsWith('on') || name === 'style') found.push(name)
    }
    for (const link of document.querySelectorAll('a')) {
      const address = link.getAttribute('href') ?? ''
      if (!${links}.test(address)) found.push(address)
    }
    return found
  })()`)
}

/** Texts whose contrast to the ground they stand on is below 4.5 (WCAG 2.2, 1.4.3), as the browser computes both. */
export async function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const numbers = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number)
    const luminance = colour => {
      const [red, green, blue] = numbers(colour).map(part => {
        const share = part / 255
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
    const groundOf = element => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor
        if ((numbers(colour)[3] ?? 1) > 0) return colour
      }
      return getComputedStyle(document.body).backgroundColor
    }
    const found = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement
      if (!node.data.trim() || ['title', 'desc', 'style'].includes(element.localName)) continue
      const style = getComputedStyle(element)
      const [text, ground] = [element.localName === 'text' ? style.fill : style.color, groundOf(element)].map(luminance)
      const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)
      if (!(contrast >= 4.5)) found.push(node.data.trim() + ': ' + contrast.toFixed(2))
    }
    return found
  })()`)
}
