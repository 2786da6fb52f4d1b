/**
 * Writes docs/policy.schema.json, the JSON Schema of policy files for editors, from rules-compiler/validate/schema.ts.
 *
 * Usage: scripts/write-schema.ts
 */
import { writeFile } from 'node:fs/promises'
import { schemaText } from '../rules-compiler/validate/schema.ts'

const file = `${import.meta.dirname}/../docs/policy.schema.json`
await writeFile(file, schemaText())
console.log('Wrote docs/policy.schema.json')
