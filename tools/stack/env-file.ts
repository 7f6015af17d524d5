/**
 * Imported second by what npm starts: adds the variables of `.env` in the working directory, which for npm's scripts is the
 * folder of package.json. Variables that are set already win. Not for a program that is started without npm: it has the
 * environment that its supervisor gives it.
 */
if (process.env['npm_lifecycle_event'] !== undefined) {
  try {
    process.loadEnvFile('.env')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') process.stderr.write(`.env is not read: ${message}\n`)
  }
}
