import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { watchedDirectories } from '../../../agent/link/watched-directories.ts'

interface Row {
  readonly name: string
  /** Files end in nothing, directories in a slash, links are `from -> to`. */
  readonly tree: readonly string[]
  readonly path: string
  readonly expected: Readonly<Record<string, readonly string[]>>
}

const rows: readonly Row[] = [
  { name: 'a plain file', tree: ['policy.yaml'], path: 'policy.yaml', expected: { '': ['policy.yaml'] } },
  { name: 'a file that is not there', tree: [], path: 'policy.yaml', expected: { '': ['policy.yaml'] } },
  { name: 'nor its directory', tree: [], path: 'etc/policy.yaml', expected: { etc: ['policy.yaml'] } },
  {
    name: 'a link beside its target',
    tree: ['v2.yaml', 'policy.yaml -> v2.yaml'],
    path: 'policy.yaml',
    expected: { '': ['policy.yaml', 'v2.yaml'] },
  },
  {
    name: 'a link elsewhere',
    tree: ['data/', 'data/v2.yaml', 'policy.yaml -> data/v2.yaml'],
    path: 'policy.yaml',
    expected: { '': ['policy.yaml'], data: ['v2.yaml'] },
  },
  {
    name: 'a Kubernetes volume',
    tree: ['..v1/', '..v1/policy.yaml', '..data -> ..v1', 'policy.yaml -> ..data/policy.yaml'],
    path: 'policy.yaml',
    expected: { '': ['policy.yaml', '..data'], '..v1': ['policy.yaml'] },
  },
  {
    name: 'a linked directory above',
    tree: ['releases/', 'releases/3/', 'releases/3/policy.yaml', 'current -> releases/3'],
    path: 'current/policy.yaml',
    expected: { '': ['current'], 'releases/3': ['policy.yaml'] },
  },
  {
    name: 'a link that leads nowhere',
    tree: ['policy.yaml -> gone/policy.yaml'],
    path: 'policy.yaml',
    expected: { '': ['policy.yaml'], gone: ['policy.yaml'] },
  },
  { name: 'a link to itself', tree: ['loop -> loop'], path: 'loop', expected: { '': ['loop'] } },
]

describe('directories that tell of changes', () => {
  for (const { name, tree, path, expected } of rows) {
    test(name, t => {
      const root = realpathSync(mkdtempSync(join(tmpdir(), 'ringwall-test-')))
      t.after(() => rmSync(root, { recursive: true }))
      for (const entry of tree) {
        const [from = '', to] = entry.split(' -> ')
        if (to !== undefined) symlinkSync(to, join(root, from))
        else if (from.endsWith('/')) mkdirSync(join(root, from))
        else writeFileSync(join(root, from), '')
      }
      const watched = [...watchedDirectories(join(root, path))].map(([directory, names]) => [
        directory.slice(root.length + 1),
        [...names],
      ])
      assert.deepEqual(Object.fromEntries(watched), expected)
    })
  }
})
