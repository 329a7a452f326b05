#!/usr/bin/env python3
"""Replays recorded sessions: the commands of tests/golden/gwcli/*.txt are typed at a terminal, and
what gwcli answers must be what the file says.

The files began as recordings of ceph-iscsi's own gwcli and hold, where ours differs, what ours says
on purpose (sizes of 0, the order of hosts, *** for passwords, paths to `lun 0`, ...).
    sessions.py GWCLI FILE...            compare
    sessions.py --update GWCLI FILE...   write what gwcli says now; review the diff
All files of one call share the state of the gateways."""

import difflib
import re
import sys

import fake_api
import gwcli_pty

COMMAND = re.compile(r'^(/[^\n>]*)> (.*)$')


def normal(text, port):
    text = text.replace(':%d/api' % port, ':5000/api').replace(
        'port %d' % port, 'port 5000').replace('Rest API port      : %d' % port,
                                               'Rest API port      : 5000')
    return text


def run_session(place, port, lines):
    """Types the commands of lines; returns the transcript."""
    out = []
    with gwcli_pty.Session(place) as session:
        before, path = session.wait_for_prompt()
        out.append(before)
        for line in lines:
            found = COMMAND.match(line)
            if not found or not path:
                continue
            output, next_path = session.command(found.group(2))
            out.append('%s> %s\n%s' % (path, found.group(2), normal(output, port)))
            path = next_path
        return ''.join(out) + '\n[exit status %s]\n' % session.status


def replay(place, port, name, update):
    with open(name) as f:
        wanted = f.read()
    head = ''.join(line + '\n' for line in wanted.split('\n') if line.startswith('#'))
    found = head + '\n' + run_session(place, port, wanted.split('\n'))
    if update:
        with open(name, 'w') as f:
            f.write(found)
        return True
    if found == wanted:
        print('ok - %s' % name)
        return True
    print('not ok - %s' % name)
    for line in difflib.unified_diff(wanted.split('\n'), found.split('\n'), 'expected', 'found',
                                     lineterm='', n=1):
        print('# ' + line)
    return False


def main():
    arguments = sys.argv[1:]
    update = arguments[0] == '--update'
    program, *names = arguments[update:]
    server = fake_api.serve(fake_api.Gateways())
    place = gwcli_pty.Place(program, server.server_port)
    good = [replay(place, server.server_port, name, update) for name in names]
    sys.exit(0 if all(good) else 1)


if __name__ == '__main__':
    main()
