import { statfs } from 'node:fs/promises'
import { findWritable } from '../../../common/files.ts'
import { defineCheck } from '../check.ts'

type Code = 'state-dir-not-writable' | 'disk-full' | 'disk-filling' | 'state-dir-missing' | 'state-dir'

export interface StateDirFacts {
  readonly path: string
  readonly exists: boolean
  /** Why nothing can be written there; null where it can. Of a folder that is missing, the nearest above it. */
  readonly fault: string | null
  readonly freeBytes: number
  /** Files that can still be made; null where the file system has no such limit. */
  readonly freeFiles: number | null
}

/** The files of a host with 100 ENIs and 50,000 members, twice over: the new one stands beside the old one. */
const roomBytes = 64 * 1024 * 1024
const leastBytes = 1024 * 1024
const leastFiles = 16

export const stateDir = defineCheck<StateDirFacts, Code>({
  name: 'state-dir',
  area: 'state directory',
  question: 'Can the agent keep its files?',
  needs: [],
  outcomes: {
    'state-dir-not-writable': {
      severity: 'failure',
      means: 'No policy can be kept for the next start, and this host cannot join a daemon.',
      advice: 'Make it writable for whoever runs the agent, or name another: --state-dir.',
    },
    'disk-full': {
      severity: 'failure',
      means: 'No policy can be kept for the next start. Changes go to the kernel all the same.',
      advice: 'Free space there.',
    },
    'disk-filling': {
      severity: 'warning',
      means: 'A new policy may not find room beside the one it replaces.',
      advice: 'Free space there.',
    },
    'state-dir-missing': { severity: 'note', means: 'The agent makes it when it has something to keep.', advice: '' },
    'state-dir': { severity: 'ok', means: 'It can be written, and there is room.', advice: '' },
  },
  async gather({ stateDir: path }) {
    const { there, fault } = await findWritable(path)
    const { bavail, bsize, files, ffree } = await statfs(there)
    return { path, exists: there === path, fault, freeBytes: bavail * bsize, freeFiles: files === 0 ? null : ffree }
  },
  judge({ path, exists, fault, freeBytes, freeFiles }) {
    const room = `${Math.floor(freeBytes / 1024 / 1024).toLocaleString('en')} MiB free`
    if (fault !== null) return [{ code: 'state-dir-not-writable', found: `${path}: ${fault}` }]
    if (freeFiles !== null && freeFiles < leastFiles)
      return [{ code: 'disk-full', found: `${path}: no room for files` }]
    if (freeBytes < leastBytes) return [{ code: 'disk-full', found: `${path}: ${room}` }]
    if (freeBytes < roomBytes) return [{ code: 'disk-filling', found: `${path}: ${room}` }]
    return [{ code: exists ? 'state-dir' : 'state-dir-missing', found: `${path}: ${room}` }]
  },
})
