"""A REST API for tests of gwcli: keeps a configuration object in memory and answers as the two
gateways of the recorded sessions did (ceph-gw-1, where gwcli runs, and ceph-gw-2)."""

import base64
import copy
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = 'ceph-gw-1'
NO_AUTH = {'username': '', 'password': '', 'password_encryption_enabled': False,
           'mutual_username': '', 'mutual_password': '',
           'mutual_password_encryption_enabled': False}
TARGET_DEFAULTS = {
    'cmdsn_depth': 128, 'dataout_timeout': 20, 'first_burst_length': 262144,
    'immediate_data': True, 'initial_r2t': True, 'max_burst_length': 524288,
    'max_outstanding_r2t': 1, 'max_recv_data_segment_length': 262144,
    'max_xmit_data_segment_length': 262144, 'nopin_response_timeout': 5, 'nopin_timeout': 5}
DISK_DEFAULTS = {'max_data_area_mb': 8, 'qfull_timeout': 5, 'osd_op_timeout': 30,
                 'hw_max_sectors': 1024}
LIMITS = {'cmdsn_depth': (1, 512), 'qfull_timeout': (0, 600), 'max_data_area_mb': (1, 2048)}
FEATURES = ['RBD_FEATURE_' + f for f in
            ('LAYERING', 'EXCLUSIVE_LOCK', 'OBJECT_MAP', 'FAST_DIFF', 'DEEP_FLATTEN')]


class Refused(Exception):
    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status


def human(size):
    for unit in 'bKMGTPE':
        if size % 1024:
            return '%d%s' % (size, unit)
        size //= 1024
    return '0b'


def size_of(text):
    return int(text[:-1]) << {'M': 20, 'G': 30, 'T': 40}[text[-1].upper()]


def check_chap(form):
    """The rules of the API, in its order."""
    u, p = form.get('username', ''), form.get('password', '')
    mu, mp = form.get('mutual_username', ''), form.get('mutual_password', '')
    if u and not p:
        raise Refused('Password is required')
    if not u and (p or mu):
        raise Refused('Username is required')
    if mu and not mp:
        raise Refused('Mutual password is required')
    if not mu and mp:
        raise Refused('Mutual username is required')
    for value, low, high, name, chars in (
            (u, 8, 64, 'username', r'[\w.:@-]+'), (mu, 8, 64, 'mutual username', r'[\w.:@-]+'),
            (p, 12, 16, 'password', r'[\w@/-]+'), (mp, 12, 16, 'mutual password', r'[\w@/-]+')):
        if value and len(value) < low:
            raise Refused('Minimum length of %s is %d characters' % (name, low))
        if value and len(value) > high:
            raise Refused('Maximum length of %s is %d characters' % (name, high))
        if value and not re.fullmatch(chars, value):
            raise Refused('Invalid ' + name)
    return dict(NO_AUTH, username=u, password=p, mutual_username=mu, mutual_password=mp)


def check_controls(form, defaults):
    controls = {}
    for name, value in json.loads(form['controls']).items():
        if name not in defaults:
            raise Refused('Unexpected or invalid controls - Supported controls: ' +
                          ','.join(defaults))
        if value != '':
            if isinstance(defaults[name], bool):
                value = value.lower() in ('yes', 'true', '1')
            else:
                value = int(value)
                if value > LIMITS[name][1]:
                    raise Refused('Unexpected or invalid controls - expected integer <= %d for %s'
                                  % (LIMITS[name][1], name))
        controls[name] = value
    return controls


def merge_controls(into, controls, defaults):
    for name, value in controls.items():
        into.pop(name, None)
        if value != '' and value != defaults[name]:
            into[name] = value


class Gateways:
    """The state, one method a route: route_METHOD_NAME(pieces, form) -> body."""

    def __init__(self):
        self.lock = threading.Lock()
        self.images = {}
        self.states = {}
        self.missing = set()
        self.sessions = {}
        self.owners = None  # as an API of ceph-iscsi: it tells none
        self.events = []
        self.health = {'health': 'HEALTH_OK', 'checks': []}
        self.password = 'admin'
        self.gone = False
        self.reset()

    def reset(self):
        self.wwns = 0
        self.config = {'version': 11, 'epoch': 0, 'created': '2026/11/21 11:59:30', 'disks': {},
                       'gateways': {}, 'targets': {}, 'discovery_auth': dict(NO_AUTH)}

    # --- reads ---
    def route_GET_config(self, pieces, form):
        return self.config

    def route_GET_settings(self, pieces, form):
        return {'target_default_controls': TARGET_DEFAULTS,
                'disk_default_controls': {'user:rbd': DISK_DEFAULTS}}

    def route_GET__ping(self, pieces, form):
        return {'message': 'pong'}

    def route_GET_sysinfo(self, pieces, form):
        return {'data': HOST if pieces[0] == 'hostname' else ['10.172.19.21']}

    def route_GET_clientinfo(self, pieces, form):
        return self.sessions.get(pieces[1], {'alias': '', 'ip_address': [], 'state': {}})

    def disk_state(self, disk):
        image = self.images.get(disk, {'size': None, 'snapshots': []})
        owner = self.config['disks'][disk].get('owner')
        status = {'state': 'Unknown'}
        if owner and image.get('online'):
            status = {'state': 'Online', 'lock_owner': owner, 'gateways': {}}
        return {'size': image['size'], 'status': status,
                'features': FEATURES if image['size'] else [],
                'snapshots': [{'name': n, 'size': s} for n, s in image['snapshots']]}

    def route_GET_overview(self, pieces, form):
        clients = {t: {c: self.route_GET_clientinfo([t, c], {}) for c in target['clients']}
                   for t, target in self.config['targets'].items()}
        owners = {'owners': self.owners} if self.owners else {}
        return {
            **owners,
            'cluster': dict(self.health, name='ceph', version='17.2.6', mons=3, quorum=3, osds=3,
                            osds_up=3, osds_in=3, total_bytes=61428 << 20,
                            conf='/etc/ceph/ceph.conf', client='client.admin'),
            'pools': {'rbd': {'type': 'replicated', 'desc': 'x3', 'max_bytes': 19 << 30,
                              'used_bytes': 192 << 10},
                      'ecpool': {'type': 'erasure', 'desc': '2+1', 'max_bytes': 38 << 30,
                                 'used_bytes': 0}},
            'disks': {d: self.disk_state(d) for d in self.config['disks']},
            'gateways': {g: self.states.get(g, 'UP') for g in self.config['gateways']},
            'clients': clients}

    def route_GET_disk(self, pieces, form):
        disk = '/'.join(pieces)
        return dict(self.config['disks'][disk], status=self.disk_state(disk)['status'])

    # --- owners: rbdgate's own routes ---
    def route_GET_rbdgate(self, pieces, form):
        return {'events': self.events[:int(form['count'])]}

    def route_PUT_rbdgate(self, pieces, form):
        if pieces[0] == 'owner':
            disk = '/'.join(pieces[1:])
            self.config['disks'][disk]['owner'] = form['owner']
            moved = self.owners['gateways'][form['owner']]['state'] == 'up'
            self.owners['luns'][disk]['preferred_owner'] = form['owner']
            if moved:
                self.owners['luns'][disk].update(owner=form['owner'], why='hand-over')
            return {'message': 'Preferred owner of %s is %s' % (disk, form['owner']),
                    'moved': moved}
        if pieces[0] == 'balance':
            if pieces[1] not in self.config['targets']:
                raise Refused('Target %s does not exist' % pieces[1], 404)
            return {'message': 'The gateways of %s have their shares already' % pieces[1]}
        gateways = self.owners['gateways']
        if pieces[1] not in gateways:
            raise Refused('Gateway %s does not exist in configuration' % pieces[1], 404)
        others = [g for n, g in gateways.items() if n != pieces[1] and g['state'] == 'up']
        if not others and form['force'] != 'true':
            raise Refused('No other gateway could take the LUNs of %s' % pieces[1])
        gateways[pieces[1]].update(state='maintenance', maintenance=True, luns=0)
        return {'message': 'Gateway %s owns nothing' % pieces[1]}

    def route_DELETE_rbdgate(self, pieces, form):
        self.owners['gateways'][pieces[1]].update(state='up', maintenance=False)
        return {'message': 'ok'}

    # --- disks ---
    def route_PUT_disk(self, pieces, form):
        disk = '/'.join(pieces)
        if form['mode'] == 'create':
            return self.create_disks(disk, form)
        known = self.config['disks'][disk]
        if form['mode'] == 'resize':
            size, old = size_of(form['size']), self.images[disk]['size']
            if size <= old:
                raise Refused('resize value must be larger than the current size (%s/%d)' %
                              (human(old), old))
            self.images[disk]['size'] = size
        else:
            merge_controls(known['controls'], check_controls(form, DISK_DEFAULTS), DISK_DEFAULTS)
        return {'message': 'ok'}

    def create_disks(self, disk, form):
        backstore = form.get('backstore', 'user:rbd')
        if backstore != 'user:rbd':
            raise Refused("Invalid '%s' backstore - Supported backstores: user:rbd" % backstore)
        count = int(form.get('count', 1))
        names = [disk] if count == 1 else ['%s%d' % (disk, n + 1) for n in range(count)]
        if any(name in self.config['disks'] for name in names):
            raise Refused('at least one rbd image(s) with that name/prefix is already defined')
        for name in names:
            if name not in self.images and form.get('create_image') == 'false':
                raise Refused('Image %s does not exist' % name)
            if name not in self.images and 'size' not in form:
                raise Refused('Size parameter is required when creating a new image')
        for name in names:
            if name not in self.images:
                self.images[name] = {'size': size_of(form['size']), 'snapshots': []}
            pool, image = name.split('/')
            self.wwns += 1
            self.config['disks'][name] = {
                'allocating_host': HOST, 'backstore': backstore,
                'backstore_object_name': '%s.%s' % (pool, image), 'controls': {},
                'created': '2026/11/21 11:59:44', 'image': image, 'pool': pool, 'pool_id': 2,
                'wwn': '6f1c7b64-32a8-4b5a-9c11-%012d' % self.wwns}
        return {'message': 'ok'}

    def route_DELETE_disk(self, pieces, form):
        disk = '/'.join(pieces)
        for target in self.config['targets'].values():
            clients = sorted(c for c, v in target['clients'].items() if disk in v['luns'])
            if clients:
                raise Refused('Unable to delete %s. Allocated to: %s' % (disk, ','.join(clients)))
        if form.get('preserve_image') != 'true':
            if self.images.get(disk, {}).get('snapshots'):
                raise Refused('disk map deletion failed on ceph-gw-1, applied to ceph-gw-2, '
                              'aborted ceph-gw-1. Failed to remove the LUN - Unable to delete the '
                              'underlying rbd image %s - Image has snapshots' % pieces[1])
            self.images.pop(disk, None)
        del self.config['disks'][disk]
        return {'message': 'ok'}

    def route_PUT_disksnap(self, pieces, form):
        disk, name = '/'.join(pieces[:2]), pieces[2]
        if form['mode'] == 'rollback':
            if not self.config['disks'][disk].get('owner'):
                raise Refused('failed to deactivate disk: failed on ceph-gw-2. LUN deactivate '
                              'failure - Disk %s must be assigned to a target' % disk)
            return {'message': 'ok'}
        self.images[disk]['snapshots'].append((name, self.images[disk]['size']))
        return {'message': 'ok'}

    def route_DELETE_disksnap(self, pieces, form):
        image = self.images['/'.join(pieces[:2])]
        image['snapshots'] = [s for s in image['snapshots'] if s[0] != pieces[2]]
        return {'message': 'ok'}

    # --- targets ---
    def route_PUT_target(self, pieces, form):
        iqn = pieces[0]
        if 'controls' in form:
            merge_controls(self.config['targets'][iqn]['controls'],
                           check_controls(form, TARGET_DEFAULTS), TARGET_DEFAULTS)
        elif iqn not in self.config['targets']:
            self.config['targets'][iqn] = {
                'acl_enabled': True, 'auth': dict(NO_AUTH), 'clients': {}, 'controls': {},
                'disks': {}, 'groups': {}, 'portals': {}}
        return {'message': 'ok'}

    def route_DELETE_target(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        if target['clients'] or target['disks']:
            raise Refused('failed on ceph-gw-1. Clients(%d) and disks(%d) must be removed before '
                          'the gateways' % (len(target['clients']), len(target['disks'])))
        del self.config['targets'][pieces[0]]
        self.count_gateways()
        return {'message': 'ok'}

    def count_gateways(self):
        names = {g for t in self.config['targets'].values() for g in t['portals']}
        self.config['gateways'] = {g: {'active_luns': 0} for g in sorted(names)}

    def share_portals(self, target):
        portals = target['portals']
        ips = [portals[g]['portal_ip_addresses'][0] for g in sorted(portals)]
        for portal in portals.values():
            portal.update(gateway_ip_list=ips, tpgs=len(ips), inactive_portal_ips=[
                ip for ip in ips if ip not in portal['portal_ip_addresses']])
        target['ip_list'] = ips
        self.count_gateways()

    def route_PUT_gateway(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        if pieces[1] in target['portals']:
            raise Refused('Gateway already exists in configuration')
        target['portals'][pieces[1]] = {'portal_ip_addresses': form['ip_address'].split(',')}
        self.share_portals(target)
        return {'message': 'ok'}

    def route_DELETE_gateway(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        if self.states.get(pieces[1], 'UP') != 'UP' and form['force'] != 'true':
            raise Refused('failed, gateway(s) unavailable:%s(UNKNOWN state)' % pieces[1], 503)
        if pieces[1] not in target['portals']:
            raise Refused('Gateway does not exist in configuration', 404)
        del target['portals'][pieces[1]]
        if not target['portals']:
            for disk in target['disks']:
                self.config['disks'][disk].pop('owner', None)
            target.update(disks={}, clients={}, controls={}, groups={})
        self.share_portals(target)
        return {'message': 'ok'}

    def route_PUT_targetauth(self, pieces, form):
        target, action = self.config['targets'][pieces[0]], form.get('action')
        if action == 'disable_acl' and target['clients']:
            raise Refused('Cannot disable ACL authentication because target has clients')
        if action:
            target['acl_enabled'] = action == 'enable_acl'
            return {'message': 'ok'}
        if form.get('username') and target['acl_enabled']:
            raise Refused('Cannot enable target CHAP authentication because ACL authentication '
                          'is enabled')
        target['auth'] = check_chap(form)
        return {'message': 'ok'}

    def route_PUT_discoveryauth(self, pieces, form):
        self.config['discovery_auth'] = check_chap(form)
        return {'message': 'ok'}

    def route_PUT_targetlun(self, pieces, form):
        target, disk = self.config['targets'][pieces[0]], form['disk']
        if disk not in self.config['disks']:
            raise Refused('Disk %s is not defined in the configuration' % disk)
        if disk in target['disks']:
            raise Refused('Disk %s cannot be used because it is already mapped on target %s' %
                          (disk, pieces[0]))
        used = {d['lun_id'] for d in target['disks'].values()}
        if not form.get('lun_id', '0').isdigit():
            raise Refused('Lun id must be a number')
        lun_id = int(form.get('lun_id', min(set(range(256)) - used)))
        if lun_id in used:
            raise Refused('Lun id %d already in use' % lun_id)
        target['disks'][disk] = {'lun_id': lun_id}
        owners = [self.config['disks'][d].get('owner') for d in target['disks']]
        self.config['disks'][disk]['owner'] = min(sorted(target['portals']), key=owners.count)
        return {'message': 'ok'}

    def route_DELETE_targetlun(self, pieces, form):
        target, disk = self.config['targets'][pieces[0]], form['disk']
        if disk not in self.config['disks']:
            raise Refused('Disk %s is not defined in the configuration' % disk)
        for client, value in target['clients'].items():
            if disk in value['luns']:
                raise Refused('Delete target LUN mapping failed - failed on ceph-gw-2. Failed to '
                              'remove the LUN - Unable to delete %s - allocated to %s' %
                              (disk, client))
        del target['disks'][disk]
        self.config['disks'][disk].pop('owner', None)
        return {'message': 'ok'}

    # --- hosts ---
    def route_PUT_client(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        if pieces[1] in target['clients']:
            raise Refused("A client with the name '%s' is already defined" % pieces[1])
        if target['auth']['username']:
            raise Refused('Cannot create client because target CHAP authentication is enabled')
        target['clients'][pieces[1]] = {
            'auth': {k: v for k, v in NO_AUTH.items() if 'encryption' not in k},
            'group_name': '', 'luns': {}}
        return {'message': 'ok'}

    def route_DELETE_client(self, pieces, form):
        clients, name = self.config['targets'][pieces[0]]['clients'], pieces[1]
        if name not in clients:
            raise Refused('%s is not defined yet - nothing to delete' % name)
        if clients[name]['group_name']:
            raise Refused("Unable to delete '%s' - it belongs to group %s" %
                          (name, clients[name]['group_name']))
        if name in self.sessions:
            raise Refused("Client '%s' is logged in to %s- unable to delete until it's logged out"
                          % (name, pieces[0]))
        del clients[name]
        return {'message': 'ok'}

    def route_PUT_clientauth(self, pieces, form):
        auth = check_chap(form)
        self.config['targets'][pieces[0]]['clients'][pieces[1]]['auth'] = {
            k: v for k, v in auth.items() if 'encryption' not in k}
        return {'message': 'ok'}

    def route_PUT_clientlun(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        client = target['clients'][pieces[1]]
        if client['group_name']:
            raise Refused("Unable to manage disks for '%s' - it belongs to group %s" %
                          (pieces[1], client['group_name']))
        client['luns'][form['disk']] = dict(target['disks'][form['disk']])
        if form['disk'] == 'rbd/disk_1':
            self.images[form['disk']]['online'] = True
        return {'message': 'ok'}

    def route_DELETE_clientlun(self, pieces, form):
        del self.config['targets'][pieces[0]]['clients'][pieces[1]]['luns'][form['disk']]
        return {'message': 'ok'}

    # --- groups ---
    def route_PUT_hostgroup(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        group = target['groups'].setdefault(pieces[1], {'disks': {}, 'members': []})
        member, disk = form.get('members'), form.get('disks')
        if form.get('action', 'add') == 'add':
            if member and target['clients'][member]['luns']:
                raise Refused('hostgroup create/update failed on ceph-gw-1. Group request failed '
                              'validation')
            if member:
                group['members'].append(member)
                target['clients'][member]['group_name'] = pieces[1]
            if disk:
                group['disks'][disk] = dict(target['disks'][disk])
        else:
            if member:
                group['members'].remove(member)
                target['clients'][member]['group_name'] = ''
            if disk:
                del group['disks'][disk]
        for name in group['members']:
            target['clients'][name]['luns'] = copy.deepcopy(group['disks'])
        return {'message': 'ok'}

    def route_DELETE_hostgroup(self, pieces, form):
        target = self.config['targets'][pieces[0]]
        for name in target['groups'].pop(pieces[1])['members']:
            target['clients'][name]['group_name'] = ''
        return {'message': 'ok'}

    def answer(self, method, path, form):
        path, _, query = path.partition('?')
        form = {**form, **dict(urllib.parse.parse_qsl(query))}
        pieces = [urllib.parse.unquote(p) for p in path.strip('/').split('/')]
        if path in self.missing or pieces[0] != 'api' or len(pieces) < 2:
            return 404, {'message': 'Not found'}
        route = getattr(self, 'route_%s_%s' % (method, pieces[1]), None)
        if not route:
            return 404, {'message': 'Not found'}
        try:
            with self.lock:
                # The object is stored with its keys sorted, as Python's json does.
                return 200, json.loads(json.dumps(route(pieces[2:], form), sort_keys=True))
        except Refused as e:
            return e.status, {'message': str(e)}
        except KeyError as e:
            return 500, {'message': 'Unhandled exception: %s' % e}


def serve(gateways):
    """Serves on a free port of 127.0.0.1; returns the server (server_port, shutdown())."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def handle_any(self):
            if gateways.gone:
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
            form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
            pair = base64.b64encode(('admin:' + gateways.password).encode()).decode()
            if self.headers.get('Authorization') != 'Basic ' + pair:
                status, answer = 401, {'message': 'username/password mismatch'}
            else:
                status, answer = gateways.answer(self.command, self.path, form)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_DELETE = handle_any

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
