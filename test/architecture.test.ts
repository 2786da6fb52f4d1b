/** What may import what, and what the repository's text must keep to. Each prohibition has its reason. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'

process.chdir(join(import.meta.dirname, '..'))

const sources = globSync('{rules-compiler,common,wire,daemon,agent,cli,lab,bench,scripts,test}/**/*.ts').sort()

interface Import {
  readonly file: string
  /** `node:fs`, `pino`, or the path of one of our files. */
  readonly of: string
}

/** Statements, which begin a line or close a list of names, and `import('…')`. */
const importForm =
  /^(?:import|export|\}).* from '(?<from>[\w@./:-]+)'|^import '(?<whole>[\w@./:-]+)'|\bimport\('(?<lazy>[\w@./:-]+)'\)/gm

const imports: readonly Import[] = sources.flatMap(file =>
  [...withoutComments(readFileSync(file, 'utf8')).matchAll(importForm)].map(({ groups = {} }) => {
    const name = groups.from ?? groups.whole ?? groups.lazy ?? ''
    return { file, of: name.startsWith('.') ? normalize(join(dirname(file), name)) : name }
  }),
)

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}

interface Prohibition {
  readonly name: string
  readonly reason: string
  /** Which files it holds for. */
  readonly files: RegExp
  readonly except?: RegExp
  /** What they must not import. */
  readonly not: RegExp
}

const prohibitions: readonly Prohibition[] = [
  {
    name: 'rules-compiler is pure',
    reason: 'the same policy must give the same ruleset everywhere, in a browser too: no files, clock or network',
    files: /^rules-compiler\//,
    not: /^node:|^(common|wire|daemon|agent|cli|lab|bench|scripts|test)\//,
  },
  {
    name: 'what daemon and agent share knows neither',
    reason: 'logs, files, child processes and process metrics are the same in both',
    files: /^common\//,
    except: /^common\/config\//,
    not: /^(rules-compiler|wire|daemon|agent|cli|lab|bench|scripts|test)\//,
  },
  {
    name: 'configuration is read as policy files are',
    reason: 'YAML, JSON and shapes are read in one place, which is the compiler’s; of policies it knows nothing',
    files: /^common\/config\//,
    not: /^(rules-compiler\/(?!address\/|validate\/(formats|nearest-word|problem|read-shape|read-text|report)\.ts$)|(wire|daemon|agent|cli|lab|bench|scripts|test)\/)/,
  },
  {
    name: 'the wire knows no side',
    reason: 'daemon and agent both import it, so it can import neither',
    files: /^wire\//,
    not: /^node:|^(common|daemon|agent|cli|lab|bench|scripts|test)\//,
  },
  {
    name: 'the daemon stands alone',
    reason: 'it speaks to agents over the wire and shares nothing else with them',
    files: /^daemon\//,
    not: /^(agent|cli|lab|bench|scripts|test)\//,
  },
  {
    name: 'what the daemon decides knows nothing of who asks',
    reason: 'both APIs, agents and the audit log ask the same services',
    files: /^daemon\/(audit|ddos|model|pki|ram|schemas|services|state|store)\//,
    not: /^daemon\/((http|routes|rpc)\/|(app|daemon)\.ts$)/,
  },
  {
    name: 'the compiler takes few packages',
    reason: 'what decides about packets is reviewed whole',
    files: /^rules-compiler\//,
    not: /^(?!rules-compiler\/|@noble\/hashes\/|ipaddr\.js$|typebox$|typebox\/|yaml$)/,
  },
  {
    name: 'the agent stands alone',
    reason: 'it is installed on hosts without the rest; commands use it, never the other way round',
    files: /^agent\//,
    not: /^(daemon|cli|lab|bench|scripts|test)\//,
  },
  {
    name: 'commands do not depend on trials',
    reason: 'the lab is one command; no other may need it',
    files: /^cli\//,
    except: /^cli\/commands\/lab\.ts$/,
    not: /^(lab|bench|scripts|test)\//,
  },
  {
    name: 'the lab command needs the lab alone',
    reason: 'it is part of the product',
    files: /^cli\/commands\/lab\.ts$/,
    not: /^(bench|scripts|test)\//,
  },
  {
    name: 'the lab judges agents from outside',
    reason:
      'it starts the real command and compares with the policy: what it shares with the agent it cannot find wrong',
    files: /^lab\//,
    not: /^(agent|cli|bench|scripts|test)\//,
  },
  {
    name: 'nothing is built on benchmarks',
    reason: 'they come and go with the questions they answer',
    files: /^(rules-compiler|common|wire|daemon|agent|cli|lab|scripts)\//,
    not: /^bench\//,
  },
  {
    name: 'one place starts child processes',
    reason: 'input, time limits, the C locale and the search path are settled once',
    files: /^(rules-compiler|common|wire|daemon|agent|cli)\//,
    // An interactive shell in a host of the lab.
    except: /^(common\/exec\.ts|cli\/commands\/lab\.ts)$/,
    not: /^node:child_process$/,
  },
  {
    name: 'one place runs nft',
    reason: 'calls are made one after the other, and only in namespaces that may be touched',
    files: /^(agent|cli)\//,
    except: /^agent\/((nft|watch|conntrack)\/|guard\/sessions\.ts$|logs\/reader\.ts$)/,
    not: /^common\/exec\.ts$/,
  },
  {
    name: 'logs and metrics are the services’',
    reason: 'commands speak to people',
    files: /^(rules-compiler|wire|cli|lab)\//,
    not: /^(pino|prom-client)$/,
  },
  {
    name: 'fast-check is for tests',
    reason: 'it is not installed where the agent runs',
    files: /^(rules-compiler|common|wire|daemon|agent|cli|lab)\//,
    not: /^fast-check$/,
  },
  {
    name: 'the fake is for tests',
    reason: 'nothing that acts on a host may believe in it',
    files: /^(rules-compiler|agent|cli|lab)\//,
    except: /^agent\/nft\/fake/,
    not: /^agent\/nft\/fake/,
  },
]

describe('imports', () => {
  for (const { name, reason, files, except, not } of prohibitions) {
    test(`${name}: ${reason}`, () => {
      const bound = imports.filter(({ file }) => files.test(file) && !except?.test(file))
      assert.ok(bound.length > 0, 'the prohibition holds for no file')
      const broken = bound.filter(({ of }) => not.test(of)).map(({ file, of }) => `${file} imports ${of}`)
      assert.deepEqual(broken, [])
    })
  }

  test('lead to files that exist', () => {
    const ours = imports.filter(({ of }) =>
      /^(rules-compiler|common|wire|daemon|agent|cli|lab|bench|scripts|test)\//.test(of),
    )
    assert.deepEqual(
      ours.filter(({ of }) => !existsSync(of)),
      [],
    )
  })
})

test("nft's stderr is sorted in one place", () => {
  const readers = sources
    .filter(file => /^(agent|cli)\//.test(file))
    .filter(file =>
      /\bstderr\s*(\.(match|includes|split|test)|\))|\.test\((\w+\.)?stderr/.test(
        withoutComments(readFileSync(file, 'utf8')),
      ),
    )
  // Whoever calls nft hands its stderr on.
  assert.deepEqual(readers.filter(file => /nft/.test(file)).sort(), [
    'agent/nft/errors.ts',
    'agent/nft/exec.ts',
    'agent/nft/survey.ts',
  ])
})

describe('packages', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync('package.json', 'utf8'),
  ) as Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Record<string, string>>
  const packageOf = (name: string) =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/')
  const outside = (of: string) =>
    !/^node:|^(rules-compiler|common|wire|daemon|agent|cli|lab|bench|scripts|test)\//.test(of) && !of.startsWith('.')
  const importedIn = (files: RegExp) =>
    new Set(imports.filter(({ file, of }) => files.test(file) && outside(of)).map(({ of }) => packageOf(of)))

  test('that the product depends on are what it imports', () => {
    assert.deepEqual(
      [...importedIn(/^(rules-compiler|common|wire|daemon|agent|cli|lab)\//)].sort(),
      Object.keys(dependencies).sort(),
    )
  })

  test('that anything imports are declared', () => {
    const declared = { ...dependencies, ...devDependencies, ...optionalDependencies }
    assert.deepEqual(
      [...importedIn(/./)].filter(name => !Object.hasOwn(declared, name)),
      [],
    )
  })
})

describe('text', () => {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
    .split('\n')
    .filter(file => file !== '' && existsSync(file) && !/\.(png|svg|ico|gz|pcap)$/.test(file))

  test('names no place of the machine it was written on', () => {
    // In two parts, so that this file does not break its own rule.
    const places = ['/wor' + 'k/', '/home' + '/', '/Use' + 'rs/', '/tmp' + '/w/', '/ro' + 'ot/']
    const broken = files.flatMap(file => {
      const text = readFileSync(file, 'utf8')
      // Behind a word it is a part of another path.
      return places.filter(place => new RegExp(`(?<!\\w)${place}`).test(text)).map(place => `${file}: ${place}`)
    })
    assert.deepEqual(broken, [])
  })

  for (const file of files.filter(name => name.endsWith('.md'))) {
    test(`links of ${file} lead to files that exist`, () => {
      const text = readFileSync(file, 'utf8').replace(/```[\s\S]*?```/g, '')
      const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target.split('#')[0]!)
      const broken = targets.filter(
        target => target !== '' && !/^(https?|mailto):/.test(target) && !existsSync(join(dirname(file), target)),
      )
      assert.deepEqual(broken, [])
    })
  }
})
