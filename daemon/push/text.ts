/** Text that agents send. It goes to operators' terminals. */
import Type from 'typebox'
import { idPattern } from '../services/ids.ts'

/** No control, bidirectional or invisible characters. */
const printablePattern =
  '^[^\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]*$'

export const printableText = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: printablePattern })

export const instanceId = Type.String({ maxLength: 64, pattern: idPattern('instance') })
