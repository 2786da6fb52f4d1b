/** Capture files as tcpreplay reads and tcpdump writes them: pcap-savefile(5), version 2.4, Ethernet. */
const magic = 0xa1b2_c3d4
/** What a frame begins with: <https://www.tcpdump.org/linktypes.html>. */
const linkTypes = { ethernet: 1, nflog: 239 } as const
const fileHeaderLength = 24
const recordHeaderLength = 16

/** A capture file of the frames in order, all at time 0: sent as fast as they can be. */
export function writePcap(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(fileHeaderLength)
  header.writeUInt32LE(magic, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(65_535, 16)
  header.writeUInt32LE(linkTypes.ethernet, 20)
  const records = frames.flatMap(frame => {
    const record = Buffer.alloc(recordHeaderLength)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    return [record, frame]
  })
  return Buffer.concat([header, ...records])
}

/**
 * The frames of a capture as it grows: each as soon as its bytes are there, cut to the length captured.
 * @throws {Error} if the stream is no little-endian capture of such frames with microseconds
 */
export async function* readPcap(
  stream: AsyncIterable<Buffer>,
  kind: keyof typeof linkTypes = 'ethernet',
): AsyncGenerator<Buffer> {
  let bytes = Buffer.alloc(0)
  let headerRead = false
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk])
    let at = 0
    if (!headerRead) {
      if (bytes.length < fileHeaderLength) continue
      if (bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(20) !== linkTypes[kind]) {
        throw new Error(`Cannot read capture beginning "${bytes.toString('hex', 0, 8)}": expected pcap of ${kind}`)
      }
      headerRead = true
      at = fileHeaderLength
    }
    while (bytes.length >= at + recordHeaderLength) {
      const end = at + recordHeaderLength + bytes.readUInt32LE(at + 8)
      if (bytes.length < end) break
      yield bytes.subarray(at + recordHeaderLength, end)
      at = end
    }
    bytes = bytes.subarray(at)
  }
}
