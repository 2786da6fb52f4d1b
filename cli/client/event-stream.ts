/** Answers that go on: server-sent events (WHATWG HTML, section 9.2.6) and lines of JSON, from whatever chunks they come in. */

export interface ServerEvent {
  /** `message` where the server gives no name. */
  readonly name: string
  readonly data: string
}

/** Lines without their ends, which may be LF, CRLF or CR; what follows the last end is dropped, for it is torn. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    // A CR at the end may be half of a CRLF: it waits for what comes next.
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    yield* lines
  }
}

/** Events as they come. Comments, which keep the connection alive, are no events, and neither is one without data. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<ServerEvent> {
  let name = ''
  let data: string[] = []
  for await (const line of readLines(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { name: name || 'message', data: data.join('\n') }
      name = ''
      data = []
      continue
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
    if (field === 'event') name = value
    if (field === 'data') data.push(value)
  }
}
