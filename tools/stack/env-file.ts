/**
 * Adds the variables of `.env` in the working directory, which is the project folder for npm scripts. Imported second
 * by programs that npm starts. Variables that are already set take precedence. Does nothing in a program started
 * without npm: its supervisor sets the environment.
 */
if (process.env['npm_lifecycle_event'] !== undefined) {
  try {
    process.loadEnvFile('.env')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') process.stderr.write(`.env is not read: ${message}\n`)
  }
}
