import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CHART, chartFiles } from './chart-files'

/** `npm run chart`: writes the files of the chart that are made from `monitoring/`. From `dist/tools/kubernetes` to the root. */
const FOLDER = join(__dirname, '../../..', CHART)

for (const [name, text] of chartFiles()) {
  const path = join(FOLDER, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
