/** The units by systemd's own checks: what it warns of, and how much of the host each service is exposed to. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'

const folder = join(import.meta.dirname, '../../systemd')
const units = globSync('*.service', { cwd: folder }).sort()
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0
const skip = hasAnalyze ? false : 'needs systemd-analyze (Debian package systemd)'

/** 0 is exposed to nothing, 10 to everything; systemd-analyze takes tenths. */
const mostExposure: Readonly<Record<string, number>> = {
  'ringwall-agent.service': 2.0,
  'ringwall-boot.service': 1.5,
  'ringwalld.service': 1.5,
}

/** A host with the units and the programs they name, and nothing else. */
const host = mkdtempSync(join(tmpdir(), 'ringwall-units-'))
after(() => rmSync(host, { recursive: true }))
const unitFolder = join(host, 'usr/lib/systemd/system')
mkdirSync(unitFolder, { recursive: true })
for (const unit of units) cpSync(join(folder, unit), join(unitFolder, unit))
for (const program of ['usr/bin/ringwall', 'bin/sh']) {
  const path = join(host, program)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '#!/bin/sh\n')
  chmodSync(path, 0o755)
}
// What comes with systemd itself.
for (const target of ['local-fs', 'network-pre', 'network-online', 'sysinit', 'shutdown', 'multi-user', 'basic']) {
  writeFileSync(join(unitFolder, `${target}.target`), '[Unit]\nDescription=Target\nDefaultDependencies=no\n')
}

function analyze(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('every unit has a limit of exposure', () => {
  assert.deepEqual(units, Object.keys(mostExposure).sort())
})

for (const unit of ['ringwalld.service', 'ringwall-agent.service']) {
  test(`${unit}, which has keys in its memory, leaves no core, and files for its user alone`, () => {
    const text = readFileSync(join(folder, unit), 'utf8')
    for (const setting of ['LimitCORE=0', 'UMask=0077', 'StateDirectoryMode=0700', 'NoNewPrivileges=yes']) {
      assert.ok(text.split('\n').includes(setting), setting)
    }
  })
}

describe('units', { skip }, () => {
  for (const unit of units) {
    test(`${unit}: systemd has nothing to say against it`, () => {
      // Keys and values it does not know are warnings on standard error, and exit code 0.
      const { status, stderr } = analyze('verify', `--root=${host}`, '--man=no', `/usr/lib/systemd/system/${unit}`)
      assert.equal(stderr, '')
      assert.equal(status, 0)
    })

    test(`${unit}: its exposure is at most ${mostExposure[unit]}`, () => {
      const threshold = `--threshold=${Math.round(mostExposure[unit]! * 10)}`
      const { status, stdout } = analyze('security', '--offline=yes', threshold, join(folder, unit))
      assert.equal(status, 0, stdout)
    })
  }
})

const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const valuesOf = (unit: string, key: string) =>
  [...read(unit).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)

test('users of the units are made by sysusers, their directories by tmpfiles for the same', () => {
  const made = [...read('ringwall.sysusers.conf').matchAll(/^u (\S+)/gm)].map(([, name = '']) => name)
  const used = new Set(units.flatMap(unit => valuesOf(unit, 'User')))
  assert.deepEqual([...used].sort(), made.sort())
  const folders = [...read('ringwall.tmpfiles.conf').matchAll(/^d (\S+) (\d+) (\S+)/gm)].map(([, ...words]) => words)
  for (const unit of ['ringwall-agent.service', 'ringwalld.service']) {
    const [state = ''] = valuesOf(unit, 'StateDirectory')
    const entry = folders.find(([path]) => path === `/var/lib/${state}`)
    assert.deepEqual(entry, [`/var/lib/${state}`, valuesOf(unit, 'StateDirectoryMode')[0], valuesOf(unit, 'User')[0]])
  }
})

test('the preset has every unit', () => {
  const named = [...read('50-ringwall.preset').matchAll(/^(?:enable|disable) (\S+)/gm)].map(([, name = '']) => name)
  assert.deepEqual(named.sort(), units)
})

test('every file of the folder is in its README', () => {
  const page = read('README.md')
  for (const path of globSync('*', { cwd: folder })) {
    if (path !== 'README.md') assert.ok(page.includes(`\`${basename(path)}\``), path)
  }
})
