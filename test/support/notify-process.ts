/** Notifies, and prints the id of each when the disk has it, or has refused it: `notify-process.ts FOLDER URL`. */

import { Registry } from 'prom-client'
import { createLogger } from '../../common/log.ts'
import { createNotifier } from '../../common/notify/notifier.ts'
import { notification } from './notifications.ts'

const [folder = '', url = ''] = process.argv.slice(2)
const notifier = createNotifier({
  folder,
  command: null,
  webhook: { url, secret: null },
  kinds: ['ddos.start'],
  log: createLogger('test', 'error', { write() {} }),
  registry: new Registry(),
  limits: { diskWaitMs: 3_600_000 },
})
// Fewer than are kept, for whoever is slow to end this process.
for (let index = 0; index < 500; index += 1) {
  await notifier.notify(notification(`n-${index}`))
  console.log(`n-${index}`)
}
