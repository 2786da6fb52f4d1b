/** Services that are attacked, or give away data or the host itself, as soon as the whole Internet reaches them. */
export interface SensitivePort {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly service: string
}

const tcp: readonly (readonly [number, string])[] = [
  [21, 'ftp'],
  [22, 'ssh'],
  [23, 'telnet'],
  [135, 'msrpc'],
  [139, 'netbios'],
  [445, 'smb'],
  [873, 'rsync'],
  [1433, 'ms-sql'],
  [1521, 'oracle'],
  [2049, 'nfs'],
  [2375, 'docker'],
  [2376, 'docker-tls'],
  [2379, 'etcd'],
  [2380, 'etcd-peer'],
  [3306, 'mysql'],
  [3389, 'rdp'],
  [5432, 'postgresql'],
  [5601, 'kibana'],
  [5900, 'vnc'],
  [5985, 'winrm'],
  [5986, 'winrm-tls'],
  [6379, 'redis'],
  [6443, 'kubernetes'],
  [8086, 'influxdb'],
  [9042, 'cassandra'],
  [9092, 'kafka'],
  [9200, 'elasticsearch'],
  [10_250, 'kubelet'],
  [11_211, 'memcached'],
  [27_017, 'mongodb'],
]

const udp: readonly (readonly [number, string])[] = [
  [69, 'tftp'],
  [161, 'snmp'],
  [389, 'ldap'],
  [1900, 'ssdp'],
  [11_211, 'memcached'],
]

/** TCP before UDP, each by port. */
export const sensitivePorts: readonly SensitivePort[] = [
  ...tcp.map(([port, service]) => ({ protocol: 'tcp' as const, port, service })),
  ...udp.map(([port, service]) => ({ protocol: 'udp' as const, port, service })),
]
