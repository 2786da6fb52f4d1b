/**
 * Actions of the published service that have to do with what Ringwall keeps: security groups and who is in them,
 * interfaces, lists, tags, key pairs and roles of instances, access control, anti-DDoS. Which of them work is in
 * docs/ecs-api/actions.md.
 */
import type { Product } from './action.ts'

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

export const publishedActions: Readonly<Partial<Record<Product, readonly string[]>>> = {
  ecs: words(`
    DescribeRegions DescribeZones
    CreateSecurityGroup DeleteSecurityGroup DescribeSecurityGroups DescribeSecurityGroupAttribute
    ModifySecurityGroupAttribute ModifySecurityGroupPolicy DescribeSecurityGroupReferences
    AuthorizeSecurityGroup AuthorizeSecurityGroupEgress RevokeSecurityGroup RevokeSecurityGroupEgress
    ModifySecurityGroupRule ModifySecurityGroupEgressRule
    JoinSecurityGroup LeaveSecurityGroup
    DescribeInstances ModifyInstanceAttribute DescribeInstanceAttribute DescribeInstanceTypes
    CreateNetworkInterface DescribeNetworkInterfaces ModifyNetworkInterfaceAttribute AttachNetworkInterface
    DetachNetworkInterface DeleteNetworkInterface AssignPrivateIpAddresses UnassignPrivateIpAddresses
    AssignIpv6Addresses UnassignIpv6Addresses
    CreatePrefixList ModifyPrefixList DeletePrefixList DescribePrefixLists DescribePrefixListAttributes
    DescribePrefixListAssociations
    CreatePortRangeList ModifyPortRangeList DeletePortRangeList DescribePortRangeLists DescribePortRangeListEntries
    DescribePortRangeListAssociations
    TagResources UntagResources ListTagResources JoinResourceGroup
    CreateKeyPair ImportKeyPair DescribeKeyPairs AttachKeyPair DetachKeyPair DeleteKeyPairs
    AttachInstanceRamRole DetachInstanceRamRole DescribeInstanceRamRole
    ModifyInstanceMetadataOptions
  `),
  ram: words(`
    CreateUser GetUser UpdateUser ListUsers DeleteUser
    CreateGroup GetGroup ListGroups DeleteGroup AddUserToGroup RemoveUserFromGroup ListUsersForGroup ListGroupsForUser
    CreatePolicy GetPolicy ListPolicies DeletePolicy CreatePolicyVersion GetPolicyVersion ListPolicyVersions
    SetDefaultPolicyVersion DeletePolicyVersion
    AttachPolicyToUser AttachPolicyToGroup AttachPolicyToRole DetachPolicyFromUser DetachPolicyFromGroup
    DetachPolicyFromRole ListPoliciesForUser ListPoliciesForGroup ListPoliciesForRole ListEntitiesForPolicy
    CreateRole GetRole ListRoles UpdateRole DeleteRole
    CreateAccessKey ListAccessKeys GetAccessKeyLastUsed UpdateAccessKey DeleteAccessKey
  `),
  sts: words('AssumeRole GetCallerIdentity'),
  'antiddos-public': words(`
    DescribeRegions DescribeDdosThreshold DescribeIpDdosThreshold ModifyDefenseThreshold ModifyIpDefenseThreshold
    DescribeDdosEventList DescribeDdosCount DescribeInstanceIpAddress DescribeInstance DescribeIpLocationService
    ModifyDdosStatus DescribeCap DescribeDdosCredit DescribeBgpPackByIp
  `),
}
