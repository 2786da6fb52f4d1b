/** The heaviest senders of a flood, as a table. */
import type { DdosSource } from '../../wire/ddos.ts'
import type { Column } from '../output/table.ts'
import { bytesText, countText, percentText } from '../output/units.ts'

export const sourceColumns: readonly Column<DdosSource>[] = [
  { heading: 'SOURCE', isWhole: true, cell: ({ address }) => address },
  { heading: 'PACKETS', isWhole: true, isRight: true, cell: ({ packets }) => countText(packets) },
  { heading: 'BYTES', isWhole: true, isRight: true, cell: ({ bytes }) => bytesText(bytes) },
  { heading: 'SHARE', isWhole: true, isRight: true, cell: ({ share }) => percentText(share) },
]
