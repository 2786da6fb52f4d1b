/**
 * Writes the files that are made from others:
 *
 *   docs/policy.schema.json                     the JSON Schema of policy files, from rules-compiler/validate/schema.ts
 *   rules-compiler/model/instance-type-table.ts the published thresholds, from data/instance-types.csv
 *
 * Usage: scripts/generate.ts
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { schemaText } from '../rules-compiler/validate/schema.ts'

const root = join(import.meta.dirname, '..')
const csv = await readFile(join(root, 'data/instance-types.csv'), 'utf8')
const files = {
  'docs/policy.schema.json': schemaText(),
  'rules-compiler/model/instance-type-table.ts': tableModule(csv),
}
for (const [file, text] of Object.entries(files)) {
  await writeFile(join(root, file), text)
  console.log(`Wrote ${file}`)
}

/** The compiler reads no files, so the table is part of it. */
function tableModule(csv: string): string {
  return `/** Made by scripts/generate.ts from data/instance-types.csv: change that, and run \`npm run generate\`. */\nexport const instanceTypeTable = \`${csv}\`\n`
}
