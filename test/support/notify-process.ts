/** Notifies without end, and prints the id of each when it is on disk: `notify-process.ts FOLDER URL`. */

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
})
for (let index = 0; ; index += 1) {
  await notifier.notify(notification(`n-${index}`))
  console.log(`n-${index}`)
}
