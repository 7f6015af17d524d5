/** Characters of the name of a product. */
const MAX_CHARACTERS = 32

/** Browsers call each other's names too: the first that fits is the one that it is. */
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdgA?\/|\bEdgiOS\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bChrome\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
]

/** "Firefox", "Chrome mobile", "curl 8": which program asks, without what tells its users apart. */
export function userAgentFamily(userAgent: string | undefined): string {
  if (userAgent === undefined || userAgent === '') return 'none'
  // As long as it is, only its beginning is searched.
  const text = userAgent.slice(0, 512)
  if (text.startsWith('Mozilla/')) {
    const browser = BROWSERS.find(([pattern]) => pattern.test(text))?.[1]
    if (browser === undefined) return 'Mozilla'
    return /\bMobile\b|\bAndroid\b/.test(text) ? `${browser} mobile` : browser
  }
  const [, name = '', major] = /^([^\s/(]+)(?:\/v?(\d+))?/.exec(text) ?? []
  return name === '' ? 'other' : `${name.slice(0, MAX_CHARACTERS)}${major === undefined ? '' : ` ${major.slice(0, 4)}`}`
}
