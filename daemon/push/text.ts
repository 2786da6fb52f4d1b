/** Text that agents send. It goes to operators' terminals. */
import Type from 'typebox'
import { idPattern } from '../services/ids.ts'

/** No control, bidirectional, invisible or private characters, no line breaks of any kind, no halves of characters. */
const printablePattern = '^[^\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}]*$'

export const printableText = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: printablePattern })

export const instanceId = Type.String({ maxLength: 64, pattern: idPattern('instance') })
