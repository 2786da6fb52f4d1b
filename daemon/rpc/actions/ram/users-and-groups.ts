/** Users, groups, and who is in which. */
import Type from 'typebox'
import type { RamGroupDoc, RamUserDoc } from '../../../model/ram.ts'
import { findNamed } from '../../../services/ram/ram-call.ts'
import * as users from '../../../services/ram/users.ts'
import type { RpcAction } from '../../action.ts'
import { renamed } from '../../envelope.ts'
import { isoSeconds } from '../../shapes.ts'
import {
  comments,
  GroupName,
  listsNamed,
  onGroup,
  onUser,
  pageByMarker,
  pageFields,
  reads,
  silent,
  UserName,
  writes,
} from './ram-action.ts'

const showUser = ({ id, name, displayName, comments, createdAtMs, updatedAtMs }: RamUserDoc) => ({
  UserId: id,
  UserName: name,
  DisplayName: displayName ?? '',
  Comments: comments ?? '',
  MobilePhone: '',
  Email: '',
  CreateDate: isoSeconds(createdAtMs),
  UpdateDate: isoSeconds(updatedAtMs),
  LastLoginDate: '',
})

const showGroup = ({ id, name, comments, createdAtMs, updatedAtMs }: RamGroupDoc) => ({
  GroupId: id,
  GroupName: name,
  Comments: comments ?? '',
  CreateDate: isoSeconds(createdAtMs),
  UpdateDate: isoSeconds(updatedAtMs),
})

export const userActions: readonly RpcAction[] = [
  writes(
    'CreateUser',
    {
      summary: 'make a user',
      parameters: { UserName, DisplayName: Type.Optional(Type.String({ maxLength: 128 })), Comments: comments },
      on: () => 'user/*',
    },
    (call, { UserName: name, DisplayName, Comments }) =>
      renamed(users.createUser(call, { name, displayName: DisplayName, comments: Comments }), user => ({
        User: showUser(user),
      })),
  ),
  reads('GetUser', { summary: 'a user', parameters: { UserName }, on: onUser }, (call, { UserName: name }) => ({
    User: showUser(findNamed(call, 'ramUser', name)),
  })),
  writes(
    'UpdateUser',
    {
      summary: 'change how a user is called and described',
      parameters: {
        UserName,
        NewDisplayName: Type.Optional(Type.String({ maxLength: 128 })),
        NewComments: comments,
      },
      on: onUser,
    },
    (call, { UserName: name, NewDisplayName, NewComments }) =>
      renamed(users.updateUser(call, name, { displayName: NewDisplayName, comments: NewComments }), user => ({
        User: showUser(user),
      })),
  ),
  listsNamed('ramUser', 'ListUsers', 'users of the account', showUser),
  writes(
    'DeleteUser',
    { summary: 'delete a user that has nothing any more', parameters: { UserName }, on: onUser },
    (call, { UserName: name }) => silent(users.deleteUser(call, name)),
  ),
]

export const groupActions: readonly RpcAction[] = [
  writes(
    'CreateGroup',
    { summary: 'make a group of users', parameters: { GroupName, Comments: comments }, on: () => 'group/*' },
    (call, { GroupName: name, Comments }) =>
      renamed(users.createRamGroup(call, { name, comments: Comments }), group => ({
        Group: showGroup(group),
      })),
  ),
  reads('GetGroup', { summary: 'a group', parameters: { GroupName }, on: onGroup }, (call, { GroupName: name }) => ({
    Group: showGroup(findNamed(call, 'ramGroup', name)),
  })),
  listsNamed('ramGroup', 'ListGroups', 'groups of the account', showGroup),
  writes(
    'DeleteGroup',
    { summary: 'delete a group without users and policies', parameters: { GroupName }, on: onGroup },
    (call, { GroupName: name }) => silent(users.deleteRamGroup(call, name)),
  ),
  ...(
    [
      ['AddUserToGroup', 'put a user into a group', users.addUserToGroup],
      ['RemoveUserFromGroup', 'take a user out of a group', users.removeUserFromGroup],
    ] as const
  ).map(([name, summary, change]) =>
    writes(
      name,
      {
        summary,
        parameters: { UserName, GroupName },
        on: (given: { UserName: string; GroupName: string }) => [onUser(given), onGroup(given)],
      },
      (call, { UserName: user, GroupName: group }) => silent(change(call, user, group)),
    ),
  ),
  reads(
    'ListUsersForGroup',
    { summary: 'users in a group', parameters: { GroupName, ...pageFields }, on: onGroup },
    (call, { GroupName: name, ...page }) => {
      const { shown, fields } = pageByMarker(users.usersOfGroup(call, name), ({ user }) => user.name, page)
      const listed = shown.map(({ user, joinedAtMs }) => ({
        UserName: user.name,
        DisplayName: user.displayName ?? '',
        JoinDate: isoSeconds(joinedAtMs),
      }))
      return { Users: { User: listed }, ...fields }
    },
  ),
  reads(
    'ListGroupsForUser',
    { summary: 'groups of a user', parameters: { UserName }, on: onUser },
    (call, { UserName: name }) => ({
      Groups: {
        Group: users.groupsOfUser(call, name).map(({ group, joinedAtMs }) => ({
          GroupId: group.id,
          GroupName: group.name,
          Comments: group.comments ?? '',
          JoinDate: isoSeconds(joinedAtMs),
        })),
      },
    }),
  ),
]
