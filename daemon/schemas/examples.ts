/**
 * Requests as somebody might send them, for the OpenAPI document: bodies by the name of the operation, and the names that
 * stand in paths. A test sends each of them.
 */

export const pathExamples: Readonly<Record<string, string>> = {
  accountId: '1000000000000000',
  securityGroupId: 'sg-web',
  securityGroupRuleId: 'sgr-5tkc1ni2kngummwaq',
  prefixListId: 'pl-offices',
  portRangeListId: 'prl-web',
  instanceId: 'i-web1',
  networkInterfaceId: 'eni-web1',
  userName: 'alice',
  groupName: 'operators',
  roleName: 'deploy',
  policyName: 'web-groups',
}

const https = { direction: 'ingress', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' }
const readGroups = {
  Version: '1',
  Statement: [{ Effect: 'Allow', Action: ['ecs:DescribeSecurityGroup*'], Resource: ['acs:ecs:*:*:securitygroup/*'] }],
}
const trustPolicy = {
  Version: '1',
  Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: ['acs:ram::1000000000000000:root'] } }],
}

export const bodyExamples: Readonly<Record<string, object>> = {
  createAccount: { accountId: '2000000000000000', name: 'shop' },
  modifyAccount: { name: 'shop-eu', description: 'The shop, Europe' },
  createSecurityGroup: {
    securityGroupId: 'sg-app',
    securityGroupName: 'app',
    tags: { env: 'live' },
    innerAccessPolicy: 'drop',
    permissions: [{ direction: 'ingress', ipProtocol: 'tcp', portRange: '8080/8080', sourceGroupId: 'sg-web' }],
  },
  modifySecurityGroup: { securityGroupName: 'web-eu', tags: { env: 'live', team: 'shop' } },
  defaultSecurityGroups: { webPorts: true },
  cloneSecurityGroup: { securityGroupId: 'sg-web-copy', securityGroupName: 'web-copy' },
  createSecurityGroupRule: {
    permissions: [
      https,
      {
        direction: 'ingress',
        service: 'ssh',
        sourceCidrIp: '198.18.0.0/24,198.18.7.9',
        priority: 10,
        description: 'From the offices',
      },
      { direction: 'egress', policy: 'drop', ipProtocol: 'udp', portRange: '53/53', ipv6DestCidrIp: '::/0' },
    ],
  },
  modifySecurityGroupRule: { priority: 5, description: 'Checked in May' },
  revokeSecurityGroupRules: { permissions: [https] },
  importSecurityGroup: { permissions: [https] },
  joinSecurityGroup: { instanceIds: ['i-web1'] },
  leaveSecurityGroup: { networkInterfaceIds: ['eni-web1'] },
  createPrefixList: {
    prefixListId: 'pl-partners',
    prefixListName: 'partners',
    addressFamily: 'IPv4',
    entries: [{ cidr: '198.18.20.0/24', description: 'Berlin' }],
  },
  modifyPrefixList: { addEntries: [{ cidr: '198.18.21.0/24' }], removeEntries: [{ cidr: '198.18.1.0/24' }] },
  createPortRangeList: {
    portRangeListId: 'prl-app',
    portRangeListName: 'app',
    entries: [{ portRange: '8000/8100', description: 'Workers' }],
  },
  modifyPortRangeList: { addEntries: [{ portRange: '8443/8443' }] },
  createInstance: { instanceId: 'i-web2', instanceName: 'web2', instanceType: 'ecs.g5.large', tags: { env: 'live' } },
  modifyInstance: { instanceName: 'web1-eu' },
  createNetworkInterface: {
    networkInterfaceId: 'eni-web1-back',
    instanceId: 'i-web1',
    device: 'eth1',
    privateIpAddresses: ['198.18.2.2'],
    ipv6Addresses: ['2001:db8::2'],
    securityGroupIds: ['sg-web'],
  },
  modifyNetworkInterface: { privateIpAddresses: ['198.18.2.3'], securityGroupIds: ['sg-web', 'sg-db'] },
  attachNetworkInterface: { instanceId: 'i-web1' },
  detachNetworkInterface: { instanceId: 'i-web1' },
  createEnrolmentToken: { newInstance: { accountId: '1000000000000000', instanceType: 'ecs.g5.large' } },
  createToken: { name: 'ci', scopes: [{ accountId: '1000000000000000', access: 'write' }], expiresInSeconds: 86_400 },
  modifySettings: { revocation: 'drain', limits: { rulesPerGroup: 500 } },
  explain: {
    networkInterfaceId: 'eni-web1',
    direction: 'ingress',
    protocol: 'tcp',
    source: '203.0.113.9',
    destination: '198.18.2.1',
    port: 443,
  },
  setInstanceDdosThreshold: { bps: 500, pps: 100_000 },
  blackHoleInstance: { holdSeconds: 600 },
  createRamUser: { userName: 'bob', displayName: 'Bob' },
  modifyRamUser: { displayName: 'Alice of operations' },
  createRamGroup: { groupName: 'auditors', comments: 'They read' },
  createRamPolicy: { policyName: 'read-groups', document: readGroups },
  createRamPolicyVersion: { document: readGroups, setAsDefault: true },
  setRamPolicyDefaultVersion: { versionId: 'v1' },
  createRamRole: { roleName: 'backup', trustPolicy, maxSessionSeconds: 3600 },
  modifyRamRole: { description: 'For pipelines' },
  createRamAccessKey: { userName: 'alice' },
  modifyRamAccessKey: { status: 'Inactive' },
}
