/**
 * Makes `npm pack` in the repository give the package of `npm run package`. npm packs what package.json names, and the
 * repository's own names sources, which Node does not run in node_modules. While npm packs, another stands in its place.
 *
 * Usage: npm-pack.ts before|after   by npm itself: prepack, postpack
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const project = join(import.meta.dirname, '../..')
const manifest = join(project, 'package.json')
const kept = join(project, 'dist/package.json')
const folder = 'dist/npm'

// One that was killed has left it there.
if (existsSync(kept)) renameSync(kept, manifest)
if (process.argv[2] === 'before') {
  const build = [join(project, 'scripts/package.ts'), '--only', 'npm']
  execFileSync(process.execPath, build, { stdio: ['ignore', 'ignore', 'inherit'] })
  const packed = JSON.parse(readFileSync(join(project, folder, 'package.json'), 'utf8'))
  packed.bin = { ringwall: `${folder}/ringwall` }
  // What npm takes from the root is not packed twice.
  packed.files = [folder, `!${folder}/LICENSE`, `!${folder}/*.md`, '/CHANGELOG.md']
  renameSync(manifest, kept)
  writeFileSync(manifest, `${JSON.stringify(packed, null, 2)}\n`)
}
