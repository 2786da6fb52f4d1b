/** `ringwall backup`: the whole state of the daemon, into a file and back. */
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { placeText, type Reply } from '../client/connection.ts'
import { UnreachableError } from '../client/errors.ts'
import { exitFailed, fileFault, InputError, OperationError, writeFault } from '../command.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { said } from '../operate/objects.ts'
import { verb } from '../operate/verb.ts'

const otherAuthority = 'The CA of agents is another one: start the daemon again, so that it takes it up.'
/** How an SQLite file begins (sqlite.org/fileformat.html). */
const magic = 'SQLite format 3\0'

export const command = nounCommand({
  name: 'backup',
  summary: 'the whole state, into a file and back',
  details: 'A backup has the keys of the CA of agents: keep it as safe as the daemon itself.',
  verbs: [
    verb({
      name: 'create',
      summary: 'write the whole state to a file, while the daemon runs',
      effect: 'looks',
      words: [{ name: 'FILE', help: 'where; it appears when it is whole' }],
      flags: { overwrite: { takes: 'nothing', help: 'replace a file that is there' } },
      async run({ daemon, words: [file = ''], flags }) {
        if (!flags.overwrite && (await sizeOf(file)) !== null) {
          throw new InputError([`Cannot write "${file}": there is one already; name another, or say --overwrite`])
        }
        const bytes = await saveWhole(await daemon.client.download('/v1/backup'), file)
        return { answer: { file, bytes }, text: () => [`Wrote ${bytes} bytes to "${file}".`] }
      },
    }),
    verb({
      name: 'restore',
      summary: 'make the state that of a backup, as one change',
      effect: 'makes',
      words: [{ name: 'FILE', help: 'as create has written it' }],
      flags: { yes: { takes: 'nothing', help: 'do not ask' } },
      details: `What was written since the backup is gone, but for the token that asks and, of the same daemon, certificates and
revocations of agents. Agents follow as ever.`,
      async run({ daemon, words: [file = ''], confirm }) {
        const bytes = await checkBackup(file)
        await confirm(`Replace the whole state of ${placeText(daemon.target.url)} with "${file}"?`)
        const content = { type: 'application/vnd.sqlite3', bytes, open: () => createReadStream(file) } as const
        const answer = await daemon.write({ method: 'POST', path: '/v1/restore', content })
        return said(answer, `The state is that of "${file}"`, answer.authorityChanged === true ? [otherAuthority] : [])
      },
    }),
  ],
})

/** For its owner alone, and under its name only when all of it is on the disk. @returns bytes */
async function saveWhole(reply: Reply, file: string): Promise<number> {
  const temporary = `${file}.new`
  try {
    // What is there already keeps its mode and owner where it is only written over.
    await rm(temporary, { force: true })
    await pipeline(reply.stream, createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true }))
    const bytes = await checkBackup(temporary)
    await rename(temporary, file)
    await syncFolder(dirname(file))
    return bytes
  } catch (error) {
    await rm(temporary, { force: true })
    if (error instanceof InputError)
      throw new OperationError(['The daemon’s answer is no backup; nothing was written.'], exitFailed)
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
      throw new UnreachableError(
        'broken',
        ['The connection broke before the backup was whole; nothing was written. Try again.'],
        error,
      )
    }
    throw new OperationError([`Cannot write "${file}": ${writeFault(error)}`], exitFailed, error)
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new InputError([`Cannot read "${file}": ${fileFault(error)}`])
  }
}

/** @returns bytes. @throws {InputError} where it is no SQLite file */
async function checkBackup(file: string): Promise<number> {
  const size = await sizeOf(file)
  if (size === null) throw new InputError([`Cannot read backup "${file}": there is no such file`])
  const handle = await open(file)
  try {
    const { buffer } = await handle.read(Buffer.alloc(magic.length), 0, magic.length, 0)
    if (buffer.toString('latin1') === magic) return size
  } finally {
    await handle.close()
  }
  throw new InputError([`Cannot read backup "${file}": expected a file that "ringwall backup create" wrote`])
}
