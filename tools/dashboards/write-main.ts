import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { dashboardTexts } from './files'

/** `npm run dashboards`: writes monitoring/grafana/dashboards. Compiled, this file is dist/tools/dashboards/write-main.js. */
const FOLDER = resolve(__dirname, '../../..', 'monitoring/grafana/dashboards')

for (const [name, text] of dashboardTexts()) writeFileSync(join(FOLDER, name), text)
