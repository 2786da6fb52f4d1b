/** Lines of a file from its end, without reading all of it. */
import type { FileHandle } from 'node:fs/promises'

export interface Line {
  /** Without its line break. */
  readonly text: string
  /** Offset of its first byte. */
  readonly start: number
}

const chunkBytes = 64 * 1024
const newline = 0x0a

/**
 * @param end  offset after a line break, or the file's size; what stands between the last line break and it is the
 * first line given, if it is not empty
 */
export async function* linesBackwards(file: FileHandle, end: number): AsyncGenerator<Line> {
  /** Pieces of the line whose beginning has not been reached, from its end on. */
  let pieces: Buffer[] = []
  const textOf = () => {
    const text = Buffer.concat(pieces.reverse()).toString()
    pieces = []
    return text
  }
  for (let offset = end; offset > 0; ) {
    const chunk = await readBefore(file, offset)
    if (chunk.length === 0) break
    offset -= chunk.length
    let stop = chunk.length
    for (let at = chunk.lastIndexOf(newline); at !== -1; at = at === 0 ? -1 : chunk.lastIndexOf(newline, at - 1)) {
      pieces.push(chunk.subarray(at + 1, stop))
      const text = textOf()
      if (text !== '') yield { text, start: offset + at + 1 }
      stop = at
    }
    pieces.push(chunk.subarray(0, stop))
  }
  const text = textOf()
  if (text !== '') yield { text, start: 0 }
}

/** What stands before the offset, a chunk at most; the beginning is read as often as the kernel cuts it short. */
async function readBefore(file: FileHandle, end: number): Promise<Buffer> {
  const start = Math.max(0, end - chunkBytes)
  const chunk = Buffer.allocUnsafe(end - start)
  for (let filled = 0; filled < chunk.length; ) {
    const { bytesRead } = await file.read(chunk, filled, chunk.length - filled, start + filled)
    // It was cut meanwhile: nothing before it can be trusted to be a whole line.
    if (bytesRead === 0) return chunk.subarray(0, 0)
    filled += bytesRead
  }
  return chunk
}
