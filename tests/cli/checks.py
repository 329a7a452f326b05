#!/usr/bin/env python3
"""What the recorded sessions do not show: exit statuses, stderr, pipes, completion, colours, keys,
gateways that are down, an API that is down, an API of ceph-iscsi.
    checks.py GWCLI"""

import json
import os
import re
import sys
import traceback

import fake_api
import gwcli_pty

IQN = 'iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw'
HOST = 'iqn.1994-05.com.redhat:rh7-client'
WALK_THROUGH = f'''
cd /iscsi-targets
create {IQN}
cd {IQN}/gateways
create ceph-gw-1 10.172.19.21 skipchecks=true
create ceph-gw-2 10.172.19.22 skipchecks=true
cd /disks
create pool=rbd image=disk_1 size=90G
cd /iscsi-targets/{IQN}/hosts
create {HOST}
auth username=myusername password=mypassword12 mutual_username=mytgtusername mutual_password=mytgtpassword
disk add rbd/disk_1
'''


class World:
    def __init__(self, program, configured=True):
        self.gateways = fake_api.Gateways()
        self.server = fake_api.serve(self.gateways)
        self.place = gwcli_pty.Place(program, self.server.server_port)
        if configured:
            out, err, status = self.place.run(stdin=WALK_THROUGH)
            equal(out.count('ok\n'), 7)
            equal(status, 0)


def equal(found, wanted):
    if found != wanted:
        raise AssertionError('found %r\n# wanted %r' % (found, wanted))


def contains(text, part):
    if part not in text:
        raise AssertionError('%r\n# is not in %r' % (part, text))


def check_the_walk_through_works_as_single_commands(program):
    world = World(program, configured=False)
    here = ''
    for line in WALK_THROUGH.strip().split('\n'):
        if line.startswith('cd '):
            here = line[3:] if line[3] == '/' else here + '/' + line[3:]
            continue
        out, err, status = world.place.run(*([here] + line.split()))
        equal((status, out.endswith('ok\n')), (0, True))
        if line.startswith('create ' + HOST):
            here += '/' + HOST
    out, err, status = world.place.run('ls')
    contains(out, '[Auth: CHAP_MUTUAL, Disks: 1(90G)]')
    equal({len(line) for line in out.splitlines()}, {132})


def check_exit_statuses_and_streams(program):
    place = World(program).place
    rows = (
        (['/disks', 'create', 'pool=rbd', 'image=disk_1', 'size=90G'], 1, '',
         'Failed : at least one rbd image(s) with that name/prefix is already defined\n'),
        (['nonsense'], 255, '', 'Command not found nonsense\n'),
        (['/nowhere', 'ls'], 255, '', 'No such path /nowhere\n'),
        (['ls', '/', 'x'], 255, '', 'The tree depth must be a number.\n'),
        (['/disks', 'resize'], 255, '', "Missing required parameters 'image_id', 'size'\n"),
        (['/disks', 'resize', 'rbd/disk_1', '100G', 'size=110G'], 255, '',
         'Duplicate parameter size.\n'),
        (['ls', '/', '1', '-d'], 255, '',
         'Got 3 positionnal parameters, expected at most 2.\n'),
        (['@nope', 'ls'], 255, '', 'No such bookmark nope\n'),
        (['/disks', 'resize', 'rbd/disk_1', '100G'], 0, 'ok\n', ''),
        (['/disks', 'resize', 'rbd/disk_1', 'size='], 1, '', 'Size is invalid\n'),
        (['pwd'], 0, '/\n', ''),
        (['/disks'], 0, '', ''),
        (['exit'], 0, '', ''),
        (['export', 'mode=bad'], 1, '',
         'Invalid export mode requested - supported modes are: copy\n'),
        (['/disks', 'delete', 'rbd/disk_1'], 1, '',
         'Unable to delete rbd/disk_1. Allocated to: %s\n' % HOST),
        (['/iscsi-target/' + IQN + '/disks', 'delete', 'rbd.nope'], 1, '',
         'Failed - Disk rbd.nope is not defined in the configuration\n'),
    )
    for words, status, out, err in rows:
        equal((words, place.run(*words)), (words, (out, err, status)))
    equal(place.run('/disks', 'create', 'rbd/disk_1', '1G', options=['--legacy-exit']),
          ('', '', 0))


def check_options(program):
    place = World(program, configured=False).place
    out, err, status = place.run(options=['--version'])
    equal((out.startswith('gwcli - 2.7 (rbdgate '), err, status), (True, '', 0))
    out, err, status = place.run(options=['-h'])
    equal((out.startswith('usage: gwcli [-h]'), status), (True, 0))
    out, err, status = place.run('ls', options=['-t', 'x'])
    equal(status, 2)
    contains(err, "gwcli: error: argument -t/--threads: invalid int value: 'x'\n")
    out, err, status = place.run(options=['--bogus'])
    equal(status, 2)
    contains(err, 'gwcli: error: unrecognized arguments: --bogus\n')
    out, err, status = place.run('ls', '/', '1', options=['-t', '2', '-c', 'pool/object'])
    equal(status, 0)


def check_secrets_are_shown_only_when_asked_for(program):
    place = World(program).place
    host = f'/iscsi-targets/{IQN}/hosts/{HOST}'
    contains(place.run(host, 'info')[0], '- password .. ***\n')
    contains(place.run(host, 'info', 'show_secrets=true')[0], '- password .. mypassword12\n')
    contains(place.run('export')[0], '"password": "mypassword12"')
    redacted = place.run('export', 'mode=redacted')[0]
    equal('mypassword12' in redacted, False)
    json.loads(redacted)


def check_the_status_of_a_pipe_is_that_of_its_first_failure(program):
    place = World(program).place
    out, err, status = place.run(stdin='pwd\nnonsense\n\n/disks info rbd/x\ncd /disks\npwd\n')
    equal((out, err, status),
          ('/\n/disks\n', 'Command not found nonsense\ndisk name provided does not exist\n', 255))


def check_an_api_that_is_not_there(program):
    world = World(program)
    port = world.server.server_port
    said = 'Unable to contact the local API endpoint (http://localhost:%d/api)\n' % port
    world.place.write_settings(port, password='wrong')
    equal(world.place.run('ls'), (said, '', 255))
    with gwcli_pty.Session(world.place) as session:
        text, path = session.wait_for_prompt()
        equal((text, path, session.status),
              ('REST API failure, code : 401\nUnable to access the configuration object\n' + said,
               None, 255))
    world.server.shutdown()
    world.server.server_close()
    equal(world.place.run('/disks', 'create', 'rbd/x', '1G'), (said, '', 255))


def check_the_tree_stays_when_the_api_goes(program):
    world = World(program)
    with gwcli_pty.Session(world.place) as session:
        session.wait_for_prompt()
        session.command('cd /disks')
        world.gateways.gone = True
        world.server.shutdown()
        world.server.server_close()
        port = world.server.server_port
        equal(session.command('create rbd/d7 1G')[0],
              'Failed : Unable to connect to api endpoint @ '
              'http://localhost:%d/api/disk/rbd/d7\n' % port)
        equal(session.command('/ export')[0],
              'REST API failure, code : 500\nUnable to refresh local config.\n')
        contains(session.command('ls /iscsi-targets 1')[0], 'Targets: 1]')
        equal(session.command('exit')[1], None)
        equal(session.status, 0)


def check_degraded_gateways_and_disks(program):
    world = World(program)
    world.gateways.states['ceph-gw-2'] = 'PARTIAL'
    world.gateways.health = {'health': 'HEALTH_WARN', 'checks': ['1 osds down', 'degraded']}
    world.gateways.sessions[HOST] = {'alias': 'rh7-client.example.com',
                                     'ip_address': ['10.172.19.31'],
                                     'state': {'LOGGED_IN': ['ceph-gw-1']}}
    with gwcli_pty.Session(world.place) as session:
        text, path = session.wait_for_prompt()
        equal(text, '1 gateway is inaccessible - updates will be disabled\n')
        text = session.command('ls /')[0]
        contains(text, '[Up: 1/2, Portals: 2]')
        contains(text, '[10.172.19.22 (PARTIAL)]')
        contains(text, '[HEALTH_WARN]')
        contains(text, '[LOGGED-IN, Auth: CHAP_MUTUAL, Disks: 1(90G)]')
        contains(session.command('/cluster/ceph info')[0],
                 'Health      : HEALTH_WARN\n - 1 osds down,degraded\n')
        text = session.command(f'/iscsi-targets/{IQN}/hosts/{HOST} info')[0]
        contains(text, 'Ip Address .. 10.172.19.31\nAlias      .. rh7-client.example.com\n'
                       'Logged In  .. LOGGED_IN\n')
        contains(session.command(f'/iscsi-targets/{IQN}/gateways delete ceph-gw-2')[0],
                 'Could not contact ceph-gw-2. If the gateway is permanently down. Use '
                 'confirm=true to force removal.')
        contains(session.command(f'/iscsi-targets/{IQN}/gateways/ceph-gw-2 info')[0],
                 'Service State\n- api .. UP\n- iscsi .. DOWN\n')


def check_an_api_without_the_overview(program):
    world = World(program)
    world.gateways.missing.add('/api/overview')
    out, err, status = world.place.run('ls', '/')
    equal((err, status), ('', 0))
    contains(out, '[unavailable]')
    contains(out, '[rbd/disk_1 (Online, size unknown)]')
    contains(out, '[10.172.19.21 (')


def with_owners(world):
    world.gateways.owners = {
        'gateways': {
            'ceph-gw-1': {'state': 'up', 'maintenance': False, 'luns': 0, 'instance': '0123',
                          'interconnect': '10.172.19.21:3262'},
            'ceph-gw-2': {'state': 'up', 'maintenance': False, 'luns': 1, 'instance': '4567',
                          'interconnect': '10.172.19.22:3262'}},
        'luns': {'rbd/disk_1': {
            'owner': 'ceph-gw-2', 'preferred_owner': 'ceph-gw-1', 'state': 'active', 'epoch': 7,
            'changed': '2026-11-21T17:40:12Z', 'why': 'take-over from ceph-gw-1'}}}
    return world.gateways.owners


def check_owners_stand_behind_the_texts_of_upstream(program):
    world = World(program)
    place, owners = world.place, with_owners(world)
    out, err, status = place.run('ls')
    contains(out, '[rbd/disk_1 (Online, 90G), Owner: ceph-gw-2 (take-over from ceph-gw-1)]')
    contains(out, '[Owner: ceph-gw-1, Lun: 0, now at ceph-gw-2 (take-over from ceph-gw-1)]')
    contains(out, '[10.172.19.21 (UP), LUNs: 0]')
    contains(out, '[10.172.19.22 (UP), LUNs: 1]')
    out = place.run('/disks/rbd/disk_1', 'info')[0]
    contains(out, 'Owner State           .. active\nOwner Epoch           .. 7\n'
                  'Owner Since           .. 2026-11-21T17:40:12Z\n'
                  'Owner Why             .. take-over from ceph-gw-1\n')
    contains(place.run(f'/iscsi-targets/{IQN}/gateways/ceph-gw-2', 'info')[0],
             'Luns Owned          .. 1\nInterconnect        .. 10.172.19.22:3262\n')
    owners['luns']['rbd/disk_1'].update(owner='ceph-gw-1')
    out = place.run('ls')[0]
    contains(out, '[rbd/disk_1 (Online, 90G), Owner: ceph-gw-1]')
    contains(out, '[Owner: ceph-gw-1, Lun: 0]')
    owners['luns']['rbd/disk_1'].update(owner='', state='clean', why='stop')
    contains(place.run('ls')[0], '[rbd/disk_1 (Online, 90G), Owner: none (stop)]')
    owners['luns']['rbd/disk_1'].update(state='none', why='')
    contains(place.run('ls')[0], '[rbd/disk_1 (Online, 90G)]')


def check_luns_are_moved_and_gateways_drained(program):
    world = World(program)
    place, owners = world.place, with_owners(world)
    gateways = f'/iscsi-targets/{IQN}/gateways'
    equal(place.run('/disks/rbd/disk_1', 'owner', 'ceph-gw-1'), ('ok\n', '', 0))
    equal(owners['luns']['rbd/disk_1']['owner'], 'ceph-gw-1')
    equal(place.run(gateways, 'balance'), (f'The gateways of {IQN} have their shares already\n', '', 0))
    equal(place.run(gateways, 'drain', 'ceph-gw-2'), ('ok\n', '', 0))
    contains(place.run('ls')[0], '[10.172.19.22 (UP), maintenance, LUNs: 0]')
    equal(place.run('/disks/rbd/disk_1', 'owner', 'ceph-gw-2'),
          ('', 'Preferred owner of rbd/disk_1 is ceph-gw-2\n', 0))
    equal(place.run(gateways, 'drain', 'ceph-gw-1'),
          ('', 'No other gateway could take the LUNs of ceph-gw-1\n', 1))
    equal(place.run(gateways + '/ceph-gw-1', 'drain', 'confirm=true'), ('ok\n', '', 0))
    equal(place.run(gateways, 'undrain', 'ceph-gw-2'), ('ok\n', '', 0))
    equal(place.run(gateways + '/ceph-gw-1', 'undrain'), ('ok\n', '', 0))
    equal(place.run(gateways, 'drain', 'ceph-gw-3'),
          ('', 'Gateway ceph-gw-3 does not exist in configuration\n', 1))
    equal(place.run(gateways, 'drain', 'ceph-gw-1', 'maybe')[2], 255)
    contains(place.run(gateways, 'help', 'drain')[0], 'drain gateway_name [confirm]')


def check_the_history_ends_with_the_newest(program):
    world = World(program)
    place = world.place
    equal(place.run('history'), ('', '', 0))
    world.gateways.events = [
        {'time': '2026-11-21T17:40:13.000Z', 'gateway': 'ceph-gw-1', 'kind': 'take-over',
         'lun': 'rbd/disk_1', 'text': 'took rbd/disk_1 over from ceph-gw-2'},
        {'time': '2026-11-21T17:40:12.345Z', 'gateway': 'ceph-gw-1', 'kind': 'fence', 'lun': '',
         'text': 'fenced ceph-gw-2'}]
    equal(place.run('history'),
          ('2026-11-21T17:40:12.345Z ceph-gw-1 fence: fenced ceph-gw-2\n'
           '2026-11-21T17:40:13.000Z ceph-gw-1 take-over rbd/disk_1: '
           'took rbd/disk_1 over from ceph-gw-2\n', '', 0))
    equal(place.run(f'/iscsi-targets/{IQN}/gateways', 'history', 'count=1')[0].count('\n'), 1)
    equal(place.run('history', '0'), ('', 'count must be a number from 1 to 1000\n', 1))
    world.gateways.route_GET_rbdgate = None
    equal(place.run('history'), ('', 'Failed to read the history: Not found\n', 1))


def check_scripts_read_json(program):
    world = World(program)
    place, owners = world.place, with_owners(world)
    gateways = f'/iscsi-targets/{IQN}/gateways'

    def read(*words, status=0, options=()):
        out, err, found = place.run(*words, options=options)
        equal((found, bool(err)), (status, status != 0))
        return json.loads(out)

    equal(read('owners', '--json'), owners)
    equal(read('owners', options=['--json']), owners)
    equal(read('/disks/rbd/disk_1', 'info', '--json')['owner_epoch'], 7)
    equal(read('/disks', 'info', '--json', 'rbd/disk_1')['image'], 'disk_1')
    equal(read(gateways, 'info', '--json'), ['ceph-gw-1', 'ceph-gw-2'])
    equal(read(gateways + '/ceph-gw-2', 'info', '--json')['luns_owned'], 1)
    equal(read('/cluster/ceph', 'info', '--json')['health'], 'HEALTH_OK')
    tree = read('ls', '/disks', '--json')
    equal((tree['name'], tree['children'][0]['children'][0]['health']), ('disks', 'good'))
    equal('children' in read('ls', '/disks', '1', '--json')['children'][0], False)

    world.gateways.events = [{'time': '2', 'kind': 'take-over'}, {'time': '1', 'kind': 'fence'}]
    equal([event['time'] for event in read('history', '--json')], ['1', '2'])
    equal(read('/disks/rbd/disk_1', 'owner', 'ceph-gw-1', '--json')['moved'], True)
    equal(read(gateways, 'drain', 'ceph-gw-2', '--json'), {'message': 'Gateway ceph-gw-2 owns nothing'})
    equal(read('/disks/rbd/disk_1', 'owner', 'ceph-gw-2', '--json')['moved'], False)
    equal(read(gateways, 'drain', 'ceph-gw-1', '--json', status=1),
          {'message': 'No other gateway could take the LUNs of ceph-gw-1'})
    equal(read(gateways, 'undrain', 'ceph-gw-2', '--json'), {'message': 'ok'})

    rows = ((['pwd', '--json'], 'pwd has no form for --json\n', 255),
            ([gateways + '/*', 'info', '--json'],
             'A path that ends with * does not go with --json\n', 255))
    for words, said, status in rows:
        equal(place.run(*words), ('', said, status))
    equal(place.run('target', 'list', '--json')[2], 2)
    equal(place.run(options=['--json'])[2], 2)
    contains(place.run('help', 'owners')[0], 'With --json: as JSON, for scripts.')


def check_the_owners_in_one_line_each(program):
    world = World(program)
    place = world.place
    equal(place.run('owners'), ('', 'The gateway does not tell who owns the LUNs\n', 1))
    lun = with_owners(world)['luns']['rbd/disk_1']
    equal(place.run('owners'),
          ('rbd/disk_1: ceph-gw-2, preferred: ceph-gw-1, since 2026-11-21T17:40:12Z '
           '(take-over from ceph-gw-1)\n', '', 0))
    lun.update(owner='', why='stop')
    contains(place.run('owners')[0], 'rbd/disk_1: none, preferred: ceph-gw-1, since ')
    lun.update(owner='ceph-gw-1', changed=None)
    equal(place.run('owners')[0], 'rbd/disk_1: ceph-gw-1\n')


def check_completion(program):
    world = World(program)
    rows = (
        ('/disks re', 'reconfigure  resize       \n'),
        ('/disks resize rb', '/disks resize rbd/disk_1 '),
        ('/disks resize image_id=', '/disks resize image_id=rbd/disk_1 '),
        ('/disks create ', 'backstore=  count=      ecpool      image=      pool=       rbd         '
                           'size=       wwn=        \n'),
        ('cd /iscsi-targets/iqn', 'cd /iscsi-targets/' + IQN + '/'),
        ('set global color_m', 'set global color_mode='),
        ('bookmarks ', 'action=    add        bookmark=  del        go         show       \n'),
        ('/disks/rbd/disk_1 owner ', 'ceph-gw-1      ceph-gw-2      gateway_name=  \n'),
        ('disc', ''),
    )
    with gwcli_pty.Session(world.place) as session:
        session.wait_for_prompt()
        for typed, shown in rows:
            session.send(typed + '\t')
            session.wait_for(lambda text: shown in text)
            session.send('\x03')
            session.wait_for(lambda text: re.search(r'\^C\n\n?[^\n]*> $', text))
            contains(session.text, shown)
            session.text = ''
        session.send('\x04')
        session.wait_for(lambda text: False)
        equal((session.text.endswith('exit\n'), session.status), (True, 0))


def check_passwords_stay_out_of_the_history(program):
    world = World(program)
    with gwcli_pty.Session(world.place) as session:
        session.wait_for_prompt()
        session.command(f'cd /iscsi-targets/{IQN}/hosts/{HOST}')
        session.command('auth username=myusername password=secretsecret')
        session.command('auth myusername secretsecret')
        session.command('pwd')
        session.command('exit')
    folder = os.path.join(world.place.folder.name, '.gwcli')
    with open(os.path.join(folder, 'history.txt')) as f:
        equal(f.read(), f'cd /iscsi-targets/{IQN}/hosts/{HOST}\npwd\nexit\n')
    equal(os.stat(os.path.join(folder, 'history.txt')).st_mode & 0o777, 0o600)
    with gwcli_pty.Session(world.place) as session:
        equal(session.wait_for_prompt()[1], '/iscsi-target...at:rh7-client')


def check_colours_only_at_a_terminal(program):
    world = World(program)
    equal('\033' in world.place.run('ls')[0], False)
    with gwcli_pty.Session(world.place, colour=True) as session:
        session.wait_for_prompt()
        text = session.command('ls /disks')[0]
        contains(text, 'o- \033[4m\033[1m\033[34mdisks\033[0m \033[34m...')
        contains(text, '\033[0m\033[1m [\033[0m90G, Disks: 1\033[1m]\033[0m\n')
        contains(text, '    o- \033[1mdisk_1\033[0m ...')
        contains(text, '\033[1m [\033[0m\033[32mrbd/disk_1 (Online, 90G)\033[0m\033[1m]\033[0m'
                       '\033[0m\n')
        equal(session.command('nonsense')[0], '\033[31mCommand not found nonsense\033[0m\n')
        equal(session.command('/disks resize rbd/disk_1 91G')[0], '\033[32;1mok\033[0m\n')
        equal(session.command('/disks resize rbd/nope 91G')[0],
              "\033[31;1mthe disk 'rbd/nope' does not exist in this configuration\033[0m\n")


def check_commands_of_courses(program):
    place = World(program, configured=False).place
    rows = (
        (['target', 'create', IQN], 0, 'ok\n', ''),
        (['target', 'add_portal', IQN, '10.172.19.21:3261'], 1, '',
         'Only port 3260 is supported\n'),
        (['target', 'add_portal', IQN, '10.172.19.21:3260'], 0,
         "Adding gateway, sync'ing 0 disk(s) and 0 client(s)\nok\n", ''),
        (['target', 'add_portal', IQN, '10.172.19.21'], 1, '',
         'Gateway ceph-gw-1 already has portals\n'),
        (['lun', 'create', IQN, '3', '--pool', 'rbd', '--image=i', '--size', '1G'], 0, 'ok\n', ''),
        (['lun', 'create', IQN, '3', '--pool', 'rbd', '--image', 'i'], 0, 'ok\n', ''),
        (['lun', 'list', IQN], 0, '3 rbd/i Owner: ceph-gw-1, Lun: 3\n', ''),
        (['target', 'set_chap', IQN, '--user', 'myusername', '--password', 'mypassword12'], 0,
         'ok\n', ''),
        (['target', 'set_chap', IQN, '--none'], 0, 'ok\n', ''),
        (['lun', 'delete', IQN, '4'], 1, '', 'No LUN 4 on %s\n' % IQN),
        (['lun', 'delete', IQN, '3'], 0, 'ok\n', ''),
        (['target', 'list'], 0, IQN + '\n', ''),
        (['target', 'delete', IQN], 0, 'ok\n', ''),
        (['target', 'delete', IQN], 1, '', 'Failed - Target %s not found\n' % IQN),
    )
    for words, status, out, err in rows:
        equal((words, place.run(*words)), (words, (out, err, status)))
    equal(place.run('lun', 'create', IQN)[2], 2)


def main():
    program = sys.argv[1]
    checks = [(n, f) for n, f in globals().items() if n.startswith('check_')]
    print('1..%d' % len(checks))
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        try:
            check(program)
            print('ok %d - %s' % (number, name[6:]))
        except Exception:
            failed += 1
            print('not ok %d - %s' % (number, name[6:]))
            print('# ' + traceback.format_exc().replace('\n', '\n# '))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
