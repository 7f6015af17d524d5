import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Browser } from 'playwright-core'
import { BinaryMissing } from '../../tools/stack/binaries'

/** A browser of the Chromium family, as its maker and the distributions call it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge']
/** Where macOS keeps what is not on the `PATH`. */
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

export interface FoundBrowser {
  readonly name: string
  readonly version: string
  readonly path: string
}

/** @throws {BinaryMissing} with how to get one */
export async function findBrowser(): Promise<FoundBrowser> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder))
  const paths = [...NAMES.flatMap(name => folders.map(folder => join(folder, name))), ...APPLICATIONS]
  for (const path of paths) {
    const version = await versionOf(path)
    if (version !== undefined) return { name: 'chromium', version, path }
  }
  throw new BinaryMissing(
    'chromium: not found on the PATH. To get it: apt-get install chromium fonts-dejavu-core (Debian), or any browser of its family on the PATH.',
  )
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK)
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 20_000 })
    return /\d+(?:\.\d+)+/.exec(stdout)?.[0]
  } catch {
    return undefined // not there, or the stub of a package that was never unpacked
  }
}

/** For a suite that looks at pages: `before(needsBrowser)`. As `needs`, for the browser. */
export async function needsBrowser(this: Mocha.Context): Promise<void> {
  this.timeout(60_000)
  try {
    await findBrowser()
  } catch (error) {
    if (!(error instanceof BinaryMissing) || process.env['CI'] === 'true') throw error
    this.skip()
  }
}

/** A browser that talks to nobody but the pages it is shown. */
export async function startBrowser(): Promise<Browser> {
  const { path } = await findBrowser()
  return chromium.launch({
    executablePath: path,
    args: [
      // Its sandbox needs rights that a container has not; it sees pages of our own alone.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
