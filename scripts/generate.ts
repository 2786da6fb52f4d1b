/**
 * Writes the files that are made from others:
 *
 *   docs/policy.schema.json                     the JSON Schema of policy files, from rules-compiler/validate/schema.ts
 *   rules-compiler/model/instance-type-table.ts the published thresholds, from data/instance-types.csv
 *   docs/{agent,daemon}-config.schema.json      the JSON Schemas of settings, from agent/config.ts and daemon/config.ts
 *   docs/configuration.md                       its tables, from the same
 *   docs/ecs-api/actions.md                     every action of the RPC API, from daemon/rpc/actions
 *   docs/access-control.md                      its tables, from daemon/ram and daemon/routes/access.ts
 *   systemd/{agent,daemon}.yaml                 files with every setting as a comment, from the same
 *
 * Usage: scripts/generate.ts
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { agentConfig } from '../agent/config.ts'
import { exampleFileOf, jsonSchemaOf, withTables } from '../common/config/describe.ts'
import { daemonConfig } from '../daemon/config.ts'
import { withAccessTables } from '../daemon/routes/describe-access.ts'
import { rpcActions } from '../daemon/rpc/actions.ts'
import { actionsPage } from '../daemon/rpc/describe.ts'
import { schemaText } from '../rules-compiler/validate/schema.ts'

const root = join(import.meta.dirname, '..')
const csv = await readFile(join(root, 'data/instance-types.csv'), 'utf8')
const configs = [agentConfig, daemonConfig]
const accessControl = await readFile(join(root, 'docs/access-control.md'), 'utf8')
const configuration = await readFile(join(root, 'docs/configuration.md'), 'utf8')
const files = {
  'docs/policy.schema.json': schemaText(),
  'rules-compiler/model/instance-type-table.ts': tableModule(csv),
  'docs/configuration.md': withTables(configuration, configs),
  'docs/ecs-api/actions.md': actionsPage(rpcActions),
  'docs/access-control.md': withAccessTables(accessControl),
  ...Object.fromEntries(configs.map(each => [`docs/${each.program}-config.schema.json`, jsonSchemaOf(each)])),
  ...Object.fromEntries(configs.map(each => [`systemd/${each.program}.yaml`, exampleFileOf(each)])),
}
for (const [file, text] of Object.entries(files)) {
  await writeFile(join(root, file), text)
  console.log(`Wrote ${file}`)
}

/** The compiler reads no files, so the table is part of it. */
function tableModule(csv: string): string {
  return `/** Made by scripts/generate.ts from data/instance-types.csv: change that, and run \`npm run generate\`. */\nexport const instanceTypeTable = \`${csv}\`\n`
}
