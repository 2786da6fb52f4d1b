/** Whatever a setting may be, it is the same by file, variable and flag; whatever a file holds, reading it ends well. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { agentConfig } from '../../../agent/config.ts'
import { parseSettingFlags } from '../../../cli/arguments.ts'
import { readConfig } from '../../../common/config/read.ts'
import { type ConfigOutline, flagOf, type SettingSchema, variableOf } from '../../../common/config/setting.ts'
import { textOfValue } from '../../../common/config/text.ts'
import { daemonConfig } from '../../../daemon/config.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-config-'))
after(() => rm(folder, { recursive: true }))
const path = join(folder, 'any.yaml')

/** Graphemes: half of a surrogate pair is no text of a file or a variable. */
const words = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(text => !/\p{Cc}/u.test(text))
const absolutePath = words.map(text => `/${text}`)
const port = fc.integer({ min: 0, max: 65_535 })
const rescuePort = fc.integer({ min: 1, max: 65_535 })
const ipv6 = fc.ipV6().filter(address => !/\d\.\d/.test(address))
const endpoint = fc.oneof(
  fc.tuple(fc.ipV4(), port).map(([address, number]) => `${address}:${number}`),
  fc.tuple(ipv6, port).map(([address, number]) => `[${address}]:${number}`),
)

const byFormat: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  path: absolutePath,
  endpoint,
  'loopback-endpoint': fc.oneof(
    fc.constant('none'),
    fc.tuple(fc.integer({ min: 0, max: 255 }), port).map(([last, number]) => `127.0.0.${last}:${number}`),
    port.map(number => `[::1]:${number}`),
  ),
  rescue: fc.oneof(
    fc.tuple(fc.ipV4(), fc.constantFrom('', '/0', '/24'), rescuePort).map(([at, length, to]) => `${at}${length}:${to}`),
    fc.tuple(ipv6, fc.constantFrom('', '/64', '/128'), rescuePort).map(([at, length, to]) => `[${at}${length}]:${to}`),
  ),
  listen: fc.oneof(
    fc.tuple(fc.constantFrom('127.0.0.1', '127.9.9.9', '[::1]'), port).map(([at, number]) => `${at}:${number}`),
    absolutePath.map(text => `unix:${text}`),
  ),
  region: fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/),
  'https-url': fc.domain().map(name => `https://${name}:9443`),
  'webhook-url': fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true }),
  command: fc.oneof(
    absolutePath,
    fc.tuple(absolutePath, fc.array(words, { maxLength: 3 })).map(([program, rest]) => [program, ...rest]),
  ),
}

function valuesOf(schema: SettingSchema): fc.Arbitrary<unknown> {
  if (schema.format !== undefined) return byFormat[schema.format]!
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'integer':
      return fc.integer({ min: schema.minimum!, max: schema.maximum! })
    case 'boolean':
      return fc.boolean()
    case 'array':
      return fc.array(valuesOf(schema.items!), { maxLength: 4 })
    default:
      throw new Error(`no values are known for ${JSON.stringify(schema)}`)
  }
}

/** By `readConfig` alone: what settings say of each other does not matter here. */
async function valueFrom(
  outline: ConfigOutline,
  key: string,
  given: { readonly file?: string; readonly args?: readonly string[]; readonly environment?: Record<string, string> },
) {
  if (given.file !== undefined) await writeFile(path, given.file)
  const keys = Object.keys(outline.settings)
  const { texts, faults: flagFaults } = parseSettingFlags(given.args ?? [], keys)
  const { settings, faults } = await readConfig(
    { ...outline, file: given.file === undefined ? join(folder, 'none') : path, check: () => [] },
    { flags: texts, environment: given.environment ?? {}, folder },
  )
  assert.deepEqual([...flagFaults, ...faults], [])
  return settings.get(key)!.value
}

for (const outline of [agentConfig, daemonConfig] as readonly ConfigOutline[]) {
  describe(`settings of the ${outline.program}`, () => {
    for (const [key, { schema }] of Object.entries(outline.settings)) {
      test(`${key} is the same in YAML, JSON, a variable and a flag`, () =>
        fc.assert(
          fc.asyncProperty(valuesOf(schema), async value => {
            const text = textOfValue(schema, value)
            const read = [
              await valueFrom(outline, key, { file: stringify({ [key]: value }) }),
              await valueFrom(outline, key, { file: JSON.stringify({ [key]: value }) }),
              await valueFrom(outline, key, { environment: { [variableOf(outline.program, key)]: text } }),
              await valueFrom(outline, key, { args: [`${flagOf(key)}=${text}`] }),
              await valueFrom(outline, key, { args: [flagOf(key), text] }),
            ]
            for (const other of read) assert.deepEqual(other, read[0])
            assert.notEqual(read[0], null)
          }),
          { numRuns: 40 },
        ))
    }
  })
}

describe('whatever the file holds, it is read, or said what is wrong with it', () => {
  const readText = async (text: string | Uint8Array) => {
    await writeFile(path, text)
    const sources = { flags: new Map(), environment: {}, folder }
    const { config, faults } = await readConfig({ ...agentConfig, file: path }, sources)
    assert.equal(config === null, faults.length > 0)
    for (const fault of faults) {
      assert.ok(fault.includes(path), fault)
      assert.doesNotMatch(fault, /[\r\n]|^\s|at .*\.ts/)
    }
  }

  test('text', () => fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), readText), { numRuns: 200 }))

  test('bytes', () => fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), readText), { numRuns: 200 }))

  test('keys that are known, with any value', () => {
    const key = fc.constantFrom(...Object.keys(agentConfig.settings), '__proto__', 'constructor', 'a.b[0]')
    const file = fc.dictionary(key, fc.jsonValue()).map(value => JSON.stringify(value))
    return fc.assert(fc.asyncProperty(file, readText), { numRuns: 300 })
  })

  test('a file that was cut anywhere', async () => {
    const text = 'logLevel: debug\nrescuePort:\n  - 22\n  - 2222\nnotifyCommand: ["/bin/true", "-x"]\npolicy: "/a"\n'
    for (let length = 0; length <= text.length; length += 1) await readText(text.slice(0, length))
  })
})
